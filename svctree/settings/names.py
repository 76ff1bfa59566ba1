"""
Names that third parties add to what an option can be set to.

The schema must not import the rooms that keep the registries, and an unknown name
must still be refused with all the known ones: so the registries tell it here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

__all__ = ["addNames", "more"]

_finders: dict[str, list[Callable[[], Iterable[str]]]] = {}


def addNames(option: str, finder: Callable[[], Iterable[str]]) -> None:
    """
    @param option: C{mode}, C{protocol} or C{workermodel}.
    @param finder: gives names to take beside those that svctree brings along;
        called when one of them is met, so it may load plugins.
    """
    _finders.setdefault(option, []).append(finder)


def more(option: str) -> list[str]:
    """
    @return: the names added for an option.
    """
    return [name for finder in _finders.get(option, ()) for name in finder()]
