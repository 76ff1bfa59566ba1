"""
Services that note what is done to them.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from zope.interface import implementer

from svctree.service import Service


class Noting(Service):
    """
    Notes each call in C{calls}, a list shared by all.
    """

    def __init__(self, calls: list[str], name: str | None = None) -> None:
        self.calls = calls
        if name is not None:
            self.setName(name)

    def note(self, what: str) -> None:
        self.calls.append(f"{what} {self.name}")

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        self.note("privileged")

    def startService(self) -> Any:
        super().startService()
        self.note("start")

    def stopService(self) -> Any:
        super().stopService()
        self.note("stop")


class Slow(Noting):
    """
    Starts and stops when the test says so.
    """

    starting: Deferred[None]
    stopping: Deferred[None]

    def startService(self) -> Deferred[None]:
        super().startService()
        self.starting = Deferred(lambda d: self.note("cancelled"))
        return self.starting

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self.stopping = Deferred()
        return self.stopping


class SlowStop(Noting):
    """
    Stops when the test says so.
    """

    stopping: Deferred[None]

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self.stopping = Deferred()
        return self.stopping


class Failing(Noting):
    """
    Raises where C{where} says: C{"start"}, C{"stop"} or C{"privileged"}.
    """

    def __init__(
        self, calls: list[str], name: str | None = None, where: str = "start"
    ) -> None:
        super().__init__(calls, name)
        self.where = where

    def note(self, what: str) -> None:
        super().note(what)
        if what == self.where:
            raise RuntimeError(f"{self.name} cannot {what}")


@implementer(IService)
class Bare:
    """
    An C{IService} provider with nothing that an object usually has: no C{__dict__},
    no weak references, no hash; and equal to every other.
    """

    __slots__ = ("calls", "name", "parent", "running")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, calls: list[str], name: str | None = None) -> None:
        self.calls = calls
        self.name = name
        self.parent: Any = None
        self.running = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bare)

    def setName(self, name: str) -> None:
        self.name = name

    def setServiceParent(self, parent: Any) -> None:
        self.parent = parent
        parent.addService(self)

    def disownServiceParent(self) -> Any:
        parent, self.parent = self.parent, None
        return parent.removeService(self)

    def privilegedStartService(self) -> None:
        self.calls.append(f"privileged {self.name}")

    def startService(self) -> None:
        self.calls.append(f"start {self.name}")

    def stopService(self) -> None:
        self.calls.append(f"stop {self.name}")
