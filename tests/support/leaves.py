"""
Leaves for trees in tests: they do what they are told.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from svctree.interfaces import (
    IDrained,
    IHurried,
    ILogHolder,
    IPinged,
    IReloadable,
    IScalable,
)
from svctree.service import Service


@implementer(IReloadable, IScalable, IHurried, IDrained, ILogHolder, IPinged)
class FakePool(Service):
    """
    Behaves to operators as a pool does.

    @ivar calls: what it was asked, in order.
    @ivar broken: what a reload or a scaling fails with.
    @ivar slow: when given, what a reload waits for.
    """

    def __init__(self, name: str = "web") -> None:
        self.setName(name)
        self.calls: list[Any] = []
        self.size = 2
        self.reloads = 0
        self.broken: Exception | None = None
        self.slow: Deferred[None] | None = None

    def reload(self) -> Deferred[None]:
        self.calls.append("reload")
        if self.broken is not None:
            return fail(self.broken)
        return self.slow or succeed(None)

    def scale(self, number: int) -> Deferred[None]:
        self.calls.append(("scale", number))
        if self.broken is not None:
            raise self.broken
        self.size = number
        return succeed(None)

    def hurry(self) -> None:
        self.calls.append("hurry")

    def drain(self) -> None:
        self.calls.append("drain")

    def logReopened(self, fd: int) -> None:
        self.calls.append(("log", fd))

    def ping(self) -> Deferred[None]:
        return succeed(None)

    def describe(self) -> dict[str, object]:
        return {"size": self.size, "calls": list(map(str, self.calls))}
