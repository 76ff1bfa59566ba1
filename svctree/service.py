"""
The service tree: the names of L{twisted.application.service}.

A program that imports them from here instead keeps working. The interfaces are
Twisted's own objects.
"""

from __future__ import annotations

from twisted.application.service import (
    IProcess,
    IService,
    IServiceCollection,
    IServiceMaker,
    ServiceMaker,
)

from svctree.tree.application import Application, Process
from svctree.tree.container import MultiService
from svctree.tree.leaf import Service
from svctree.tree.persist import loadApplication

__all__ = [
    "Application",
    "IProcess",
    "IService",
    "IServiceCollection",
    "IServiceMaker",
    "MultiService",
    "Process",
    "Service",
    "ServiceMaker",
    "loadApplication",
]
