"""
The master's side of workers.

Loaded when first used: workers import L{svctree.pool.messages} through here and must
stay free of Twisted.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from svctree.pool.errors import BootError, PoolError, ReloadError, ScaleError
    from svctree.pool.models import register
    from svctree.pool.service import PoolService

_HOMES = {
    "BootError": "svctree.pool.errors",
    "PoolError": "svctree.pool.errors",
    "PoolService": "svctree.pool.service",
    "ReloadError": "svctree.pool.errors",
    "ScaleError": "svctree.pool.errors",
    "register": "svctree.pool.models",
}

__all__ = [
    "BootError",
    "PoolError",
    "PoolService",
    "ReloadError",
    "ScaleError",
    "register",
]


def __getattr__(name: str) -> object:
    try:
        home = _HOMES[name]
    except KeyError:
        message = f"module 'svctree.pool' has no attribute {name!r}"
        raise AttributeError(message) from None
    return getattr(importlib.import_module(home), name)
