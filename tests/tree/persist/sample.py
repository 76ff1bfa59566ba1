"""
Services that live in a module, so that files can name them.
"""

from __future__ import annotations

from collections.abc import Callable

from zope.interface import implementer

from svctree.interfaces import IComposite, IDescribable
from svctree.service import MultiService, Service

MADE: list[str] = []
"""Whatever was constructed, by class name; tests clear it."""


def beat() -> None:
    """
    Something to refer to.
    """


@implementer(IDescribable)
class Ticker(Service):
    """
    A service with settings.
    """

    def __init__(self, **keywords: object) -> None:
        MADE.append("Ticker")
        self.keywords = keywords

    def settings(self) -> dict[str, object]:
        return self.keywords


@implementer(IDescribable)
class Strict(Service):
    """
    A service that checks its settings.
    """

    def __init__(self, interval: float, call: Callable[[], None] = beat) -> None:
        if interval <= 0:
            raise ValueError(f"interval is {interval}, expected more than 0")
        self.interval = interval
        self.call = call

    def settings(self) -> dict[str, object]:
        return {"interval": self.interval, "call": self.call}


def makeStrict() -> Strict:
    """
    A factory that can be imported.
    """
    return Strict(1.5)


class Silent(Service):
    """
    A service that does not say what it is made of.
    """

    def __init__(self, port: int = 1) -> None:
        self.port = port


class Bare(Service):
    """
    A service with nothing to say.
    """


@implementer(IComposite)
class Pair(MultiService):
    """
    Makes its own children.
    """

    def __init__(self) -> None:
        super().__init__()
        for name in ("left", "right"):
            child = Bare()
            child.setName(name)
            child.setServiceParent(self)

    def settings(self) -> dict[str, object]:
        return {}


def makePart(number: int) -> Strict:
    """
    A factory for partitions.
    """
    return Strict(number + 1.0)
