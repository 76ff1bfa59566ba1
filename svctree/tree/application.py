"""
The application: the root of a tree, with what a runner needs to know about it.
"""

from __future__ import annotations

from twisted.application import service as _twisted
from twisted.application.service import IService
from twisted.python.components import Componentized

from svctree.tree.persist import Persistent
from svctree.tree.root import RootService
from svctree.tree.shedding import hasPasswd

__all__ = ["Application", "Process"]


class Process(_twisted.Process):
    """
    The process that runs an application.

    @ivar processName: what C{ps} shall show, or L{None}.
    @ivar uid: the user to become, or L{None}.
    @ivar gid: the group to become, or L{None} for the primary group of C{uid}.
    """

    processName: str | None = None  # type: ignore[assignment]

    def __init__(self, uid: int | None = None, gid: int | None = None) -> None:
        if uid is not None and gid is None and not hasPasswd(uid):
            # twistd would ask the password database for the group, and die of it.
            # The group of that number; never the one we happen to run with.
            gid = uid
        super().__init__(uid, gid)


def Application(
    name: str, uid: int | None = None, gid: int | None = None
) -> Componentized:
    """
    Make an application: what C{twistd} looks for in a C{.tac} file. Always cast it to
    the interface you need.

    @param uid: the user to run as; L{None} changes none.
    @param gid: the group to run as; L{None} changes none.
    @return: an object that supports L{IService}, L{IServiceCollection}, L{IProcess}
        and L{sob.IPersistable}.
    """
    made = Componentized()
    root, process = RootService(), Process(uid, gid)
    root._runsAs = process
    for component in (root, process, Persistent(made, name)):
        made.addComponent(component, ignoreClass=True)
    # Programs name an application "", which no other service may be.
    IService(made).name = name
    return made
