"""
The service tree: the names of L{twisted.application.service}.
"""

from twisted.application.service import (
    IProcess,
    IService,
    IServiceCollection,
    IServiceMaker,
    MultiService,
    Process,
    Service,
    ServiceMaker,
)

from svctree.tree.application import Application
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
