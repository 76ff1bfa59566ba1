"""
Names that third parties add to what an option can be set to.

The schema must not load the rooms that keep the registries, and an unknown name must
still be refused with all the known ones: so they are asked when one is met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

__all__ = ["addNames", "more"]


def _protocols() -> Iterable[str]:
    from svctree.wire import registry

    return registry.names()


def _models() -> Iterable[str]:
    # Loads Twisted and asks its plugins; only for a name that nobody knows.
    from svctree.pool.models import models

    return models()


_finders: dict[str, list[Callable[[], Iterable[str]]]] = {
    "protocol": [_protocols],
    "workermodel": [_models],
}


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
