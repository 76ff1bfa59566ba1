"""
The backbone: life cycle, containers, supervision, lookup.
"""

from __future__ import annotations

from svctree.tree.container import MultiService
from svctree.tree.dynamic import DynamicSupervisor, PartitionSupervisor
from svctree.tree.errors import DoNotRestart, Ignore, StopTree, TreeError
from svctree.tree.events import TreeEvent
from svctree.tree.health import HealthCheck
from svctree.tree.leaf import Service
from svctree.tree.policy import BackOff
from svctree.tree.spec import AutoShutdown, ChildSpec, Restart, Strategy
from svctree.tree.states import State
from svctree.tree.supervisor import Supervisor
from svctree.tree.work import RunService

__all__ = [
    "AutoShutdown",
    "BackOff",
    "ChildSpec",
    "DoNotRestart",
    "DynamicSupervisor",
    "HealthCheck",
    "Ignore",
    "MultiService",
    "PartitionSupervisor",
    "Restart",
    "RunService",
    "Service",
    "State",
    "StopTree",
    "Strategy",
    "Supervisor",
    "TreeError",
    "TreeEvent",
]
