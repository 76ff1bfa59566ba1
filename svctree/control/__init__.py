"""
The control socket, status and metrics.

The client is for commands, which start faster without Twisted; so the names are
loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from svctree.control.client import ControlClient, ControlError, NotRunning
    from svctree.control.commands import Commands, describeTree
    from svctree.control.service import ControlService

__all__ = [
    "Commands",
    "ControlClient",
    "ControlError",
    "ControlService",
    "NotRunning",
    "describeTree",
]

_HOMES = {
    "Commands": "commands",
    "ControlClient": "client",
    "ControlError": "client",
    "ControlService": "service",
    "NotRunning": "client",
    "describeTree": "commands",
}


def __getattr__(name: str) -> object:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(
            f"module 'svctree.control' has no attribute {name!r}"
        ) from None
    return getattr(importlib.import_module(f"svctree.control.{home}"), name)
