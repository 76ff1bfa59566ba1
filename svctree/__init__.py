"""
svctree turns a Python application into a well-behaved Unix service.

The public names are loaded when they are first used: a worker process imports
C{svctree.worker} and must stay free of Twisted.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from svctree.listen import ListenerService
    from svctree.pool import PoolService
    from svctree.service import Application, MultiService, Service

__version__ = "0.1.0"

_HOMES = {
    "Application": "svctree.service",
    "ListenerService": "svctree.listen",
    "MultiService": "svctree.service",
    "PoolService": "svctree.pool",
    "Service": "svctree.service",
}

__all__ = ["Application", "ListenerService", "MultiService", "PoolService", "Service"]


def __getattr__(name: str) -> object:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module 'svctree' has no attribute {name!r}") from None
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
