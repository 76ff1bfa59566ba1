"""
The master's side of workers.

Loaded when first used: workers import L{svctree.pool.messages} through here and must
stay free of Twisted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from svctree.lazy import lazyNames

if TYPE_CHECKING:
    from svctree.pool.errors import BootError, PoolError, ReloadError, ScaleError
    from svctree.pool.models import register
    from svctree.pool.service import PoolService

_HOMES = {
    "BootError": "errors",
    "PoolError": "errors",
    "PoolService": "service",
    "ReloadError": "errors",
    "ScaleError": "errors",
    "register": "models",
}

__all__ = [
    "BootError",
    "PoolError",
    "PoolService",
    "ReloadError",
    "ScaleError",
    "register",
]

__getattr__ = lazyNames(__name__, _HOMES)
