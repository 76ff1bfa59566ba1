"""
The backbone: life cycle, containers, supervision, lookup.
"""

from __future__ import annotations

from svctree.tree.container import MultiService
from svctree.tree.errors import DoNotRestart, Ignore, StopTree, TreeError
from svctree.tree.events import TreeEvent
from svctree.tree.health import HealthCheck
from svctree.tree.leaf import Service
from svctree.tree.policy import BackOff
from svctree.tree.spec import AutoShutdown, ChildSpec, Restart, Strategy
from svctree.tree.states import State
from svctree.tree.supervisor import Supervisor

__all__ = [
    "AutoShutdown",
    "BackOff",
    "ChildSpec",
    "DoNotRestart",
    "HealthCheck",
    "Ignore",
    "MultiService",
    "Restart",
    "Service",
    "State",
    "StopTree",
    "Strategy",
    "Supervisor",
    "TreeError",
    "TreeEvent",
]
