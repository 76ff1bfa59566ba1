"""
The control socket, status and metrics.

The client is for commands, which start faster without Twisted; so the names are
loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from svctree.lazy import lazyNames

if TYPE_CHECKING:
    from svctree.control.client import ControlClient, ControlError, NotRunning
    from svctree.control.commands import Commands, describeTree
    from svctree.control.service import ControlService
    from svctree.control.status import StatusService

__all__ = [
    "Commands",
    "ControlClient",
    "ControlError",
    "ControlService",
    "NotRunning",
    "StatusService",
    "describeTree",
]

_HOMES = {
    "Commands": "commands",
    "ControlClient": "client",
    "ControlError": "client",
    "ControlService": "service",
    "NotRunning": "client",
    "StatusService": "status",
    "describeTree": "commands",
}

__getattr__ = lazyNames(__name__, _HOMES)
