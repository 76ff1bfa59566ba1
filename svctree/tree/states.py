"""
The states of a service, for people and for the records of a container.
"""

from __future__ import annotations

import enum


class State(str, enum.Enum):
    """
    What a service is doing, as L{svctree.interfaces.IServiceState} has it.
    """

    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"

    def __str__(self) -> str:
        return self.value


class Record:
    """
    What a container knows of one child: a byte for each, so that a hundred
    thousand children cost a hundred thousand bytes.
    """

    NEW = 0
    STOPPED = 1
    PRIVILEGED = 2
    STARTING = 3
    UP = 4
    STOPPING = 5
    # Its start failed: it has nothing that could be stopped.
    FAILED = 6
    # It came up and then went down by itself: it is still to be stopped.
    CRASHED = 7
    FINISHED = 8


STATE_OF = {
    Record.NEW: State.NEW,
    Record.STOPPED: State.STOPPED,
    Record.PRIVILEGED: State.NEW,
    Record.STARTING: State.STARTING,
    Record.UP: State.RUNNING,
    Record.STOPPING: State.STOPPING,
    Record.FAILED: State.FAILED,
    Record.CRASHED: State.FAILED,
    Record.FINISHED: State.STOPPED,
}

TO_BE_STOPPED = frozenset(
    [
        Record.PRIVILEGED,
        Record.STARTING,
        Record.UP,
        Record.CRASHED,
        Record.FINISHED,
    ]
)
"""The records of children whose C{stopService} has to be called."""

__all__ = ["STATE_OF", "TO_BE_STOPPED", "Record", "State"]
