"""
The worker models: how a pool's work is shared out among processes and threads.

A model is a little class with answers to four questions. The table holds ours;
L{register} adds one, and so does a Twisted plugin that provides
L{svctree.interfaces.IWorkerModel}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.plugin import getPlugins
from zope.interface import implementer

from svctree.interfaces import IWorkerModel
from svctree.settings import workerRange

__all__ = ["model", "models", "register"]


@implementer(IWorkerModel)
class Single:
    """
    One process, one thread.
    """

    name = "single"
    inProcess = False

    def processes(self, settings: Any) -> tuple[int, int]:
        return 1, 1

    def threads(self, settings: Any) -> int:
        return 1

    def flags(self, settings: Any) -> Mapping[str, bool]:
        return _flags(self.threads(settings) > 1, False, False)


@implementer(IWorkerModel)
class Threaded(Single):
    """
    One process, C{minspare}..C{maxthreads} threads.
    """

    name = "threaded"

    def threads(self, settings: Any) -> int:
        found: int = settings.maxthreads
        return found

    def flags(self, settings: Any) -> Mapping[str, bool]:
        return _flags(True, False, False)


@implementer(IWorkerModel)
class Prefork(Single):
    """
    C{workers} processes, each with C{threads} threads.
    """

    name = "prefork"

    def processes(self, settings: Any) -> tuple[int, int]:
        return workerRange(settings.workers)

    def threads(self, settings: Any) -> int:
        found: int = settings.threads
        return found

    def flags(self, settings: Any) -> Mapping[str, bool]:
        return _flags(self.threads(settings) > 1, True, False)


@implementer(IWorkerModel)
class Once(Single):
    """
    This process, one request, exit.
    """

    name = "once"
    inProcess = True

    def flags(self, settings: Any) -> Mapping[str, bool]:
        return _flags(False, True, True)


def _flags(multithread: bool, multiprocess: bool, runOnce: bool) -> dict[str, bool]:
    return {
        "multithread": multithread,
        "multiprocess": multiprocess,
        "runOnce": runOnce,
    }


_models: dict[str, type[Any]] = {
    kind.name: kind for kind in (Single, Threaded, Prefork, Once)
}


def register(name: str, kind: type[Any]) -> None:
    """
    Add a model, or replace one.

    @param name: the value of C{workermodel}.
    @param kind: makes an L{IWorkerModel} when called without arguments.
    """
    _models[name] = kind


def models() -> dict[str, IWorkerModel]:
    """
    @return: every known model by name: ours, the registered, and the plugins'.
    """
    found = {plugin.name: plugin for plugin in getPlugins(IWorkerModel)}
    found.update((name, kind()) for name, kind in _models.items())
    return found


def model(name: str) -> IWorkerModel:
    """
    @raise KeyError: nobody knows a model of this name.
    """
    try:
        known: IWorkerModel = _models[name]()
    except KeyError:
        known = models()[name]
    return known
