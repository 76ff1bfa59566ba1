"""
What happens in a tree, as typed objects, each with a line for the log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from twisted.logger import LogLevel
from twisted.python.failure import Failure

from svctree.tree.errors import inOneLine
from svctree.tree.states import State

Reason = Failure | str | None
"""Why something happened: an error, words, or nothing to say."""


def sayReason(reason: Reason) -> str:
    """
    @return: the reason in one line.
    """
    if reason is None:
        return ""
    if isinstance(reason, str):
        return reason
    return inOneLine(reason)


@dataclass(frozen=True)
class TreeEvent:
    """
    Something that happened to one service.

    @ivar path: the path of the service in its tree.
    @ivar reason: why, where there is more to say.
    @ivar service: the service itself.
    """

    path: str
    reason: Reason = None
    service: Any = field(default=None, compare=False, repr=False)

    level = LogLevel.info

    def line(self) -> str:
        """
        @return: the line for the log.
        """
        return f"{self.path}: {type(self).__name__}{self._because()}"

    def __str__(self) -> str:
        return self.line()

    def facts(self) -> dict[str, Any]:
        """
        @return: the fields of the structured log event.
        """
        return {"path": self.path, "reason": self.reason}

    def _because(self) -> str:
        said = sayReason(self.reason)
        return f": {said}" if said else ""


@dataclass(frozen=True)
class Transition(TreeEvent):
    """
    A service went from one state to another.
    """

    old: State = State.NEW
    new: State = State.NEW

    def line(self) -> str:
        return f"{self.path}: {self.old} -> {self.new}{self._because()}"

    def facts(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "old": self.old,
            "new": self.new,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class ServiceStarting(Transition):
    """
    A start has begun.
    """

    level = LogLevel.debug


@dataclass(frozen=True)
class ServiceRunning(Transition):
    """
    A service is up.
    """


@dataclass(frozen=True)
class ServiceStopping(Transition):
    """
    A stop has begun.
    """

    level = LogLevel.debug


@dataclass(frozen=True)
class ServiceStopped(Transition):
    """
    A service is down because it was stopped, or because its work was done.
    """


@dataclass(frozen=True)
class ServiceFailed(Transition):
    """
    A service did not come up, or went down by itself.
    """

    level = LogLevel.error


@dataclass(frozen=True)
class ServiceReady(TreeEvent):
    """
    Everything in a container that had to be ready is.
    """

    def line(self) -> str:
        return f"{self.path}: ready"


@dataclass(frozen=True)
class RestartScheduled(TreeEvent):
    """
    A supervisor is going to restart a child.

    @ivar delay: seconds until then.
    @ivar attempt: how often in a row, from 1.
    """

    delay: float = 0.0
    attempt: int = 1

    level = LogLevel.warn

    def line(self) -> str:
        when = f"in {self.delay:.2g} s" if self.delay else "now"
        return f"{self.path}: restart {self.attempt} {when}{self._because()}"

    def facts(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "delay": self.delay,
            "attempt": self.attempt,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class SupervisorGaveUp(TreeEvent):
    """
    A supervisor has restarted too often and goes down.
    """

    level = LogLevel.error

    def line(self) -> str:
        return f"{sayReason(self.reason)}"


@dataclass(frozen=True)
class ChildDropped(TreeEvent):
    """
    A temporary child is down, and no child any more.
    """

    def line(self) -> str:
        return f"{self.path}: dropped{self._because()}"


@dataclass(frozen=True)
class StopOverdue(TreeEvent):
    """
    A child had not stopped in time and is left to itself.
    """

    level = LogLevel.error

    def line(self) -> str:
        return f"{sayReason(self.reason)}"


_TRANSITIONS: dict[State, type[Transition]] = {
    State.STARTING: ServiceStarting,
    State.RUNNING: ServiceRunning,
    State.STOPPING: ServiceStopping,
    State.STOPPED: ServiceStopped,
    State.FAILED: ServiceFailed,
}


def transition(
    path: str, old: State, new: State, reason: Reason, service: object
) -> Transition:
    """
    @return: the typed event for a change of state.
    """
    return _TRANSITIONS[new](
        path=path, reason=reason, service=service, old=old, new=new
    )


__all__ = [
    "ChildDropped",
    "Reason",
    "RestartScheduled",
    "ServiceFailed",
    "ServiceReady",
    "ServiceRunning",
    "ServiceStarting",
    "ServiceStopped",
    "ServiceStopping",
    "StopOverdue",
    "SupervisorGaveUp",
    "Transition",
    "TreeEvent",
    "sayReason",
    "transition",
]
