"""
svctree turns a Python application into a well-behaved Unix service.

The public names are loaded when they are first used: a worker process imports
C{svctree.worker} and must stay free of Twisted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from svctree.lazy import lazyNames

if TYPE_CHECKING:
    from svctree.listen import ListenerService
    from svctree.pool import PoolService
    from svctree.service import Application, MultiService, Service

__version__ = "0.1.0"

_HOMES = {
    "Application": "service",
    "ListenerService": "listen",
    "MultiService": "service",
    "PoolService": "pool",
    "Service": "service",
}

__all__ = ["Application", "ListenerService", "MultiService", "PoolService", "Service"]

__getattr__ = lazyNames(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
