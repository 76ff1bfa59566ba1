"""
The workers of a zygote as their parent sees them: processes with a limit to their time.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

from svctree.worker.channel import Channel

__all__ = ["Child", "Children"]

_NEVER = float("inf")


class Child:
    """
    One worker.

    @ivar slot: its number on the scoreboard.
    @ivar channel: the zygote's end.
    @ivar ready: it has said that it is.
    @ivar deadline: when it is killed (seconds of the monotonic clock).
    """

    __slots__ = ("channel", "deadline", "ready", "slot")

    def __init__(self, slot: int, channel: Channel) -> None:
        self.slot = slot
        self.channel = channel
        self.ready = False
        self.deadline = _NEVER

    def limit(self, seconds: float) -> None:
        """
        Let it end within so many seconds, or by the earlier time that was set before.
        """
        self.deadline = min(self.deadline, time.monotonic() + seconds)


class Children(dict[int, Child]):
    """
    All of them, by pid. None leaves but in L{reaped}: until then the pid is its own.
    """

    def kill(self, pid: int, number: int) -> None:
        """
        Send a signal to a worker that was not reaped yet.
        """
        if pid in self:
            os.kill(pid, number)

    def killOverdue(self) -> None:
        """
        Kill those whose time is over.
        """
        now = time.monotonic()
        for pid, child in self.items():
            if child.deadline <= now:
                child.deadline = _NEVER
                os.kill(pid, signal.SIGKILL)

    def untilDeadline(self) -> int | None:
        """
        @return: milliseconds until L{killOverdue} has something to do.
        """
        nearest = min((child.deadline for child in self.values()), default=_NEVER)
        if nearest == _NEVER:
            return None
        return max(0, int((nearest - time.monotonic()) * 1000) + 1)

    def reaped(self) -> Iterator[tuple[int, Child, int]]:
        """
        Take the workers that have ended out of the table, and out of the system's.

        @return: pid, child, and exit status, negative for a signal.
        """
        while self:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self.pop(pid, None)
            # Else the application started a process when it was imported.
            if child is not None:
                yield pid, child, os.waitstatus_to_exitcode(status)
