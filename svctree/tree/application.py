"""
The application: the root of a tree, with what a runner needs to know about it.
"""

from __future__ import annotations

from twisted.application.service import IService, MultiService, Process
from twisted.python.components import Componentized

from svctree.tree.persist import Persistent

__all__ = ["Application"]


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
    for component in (MultiService(), Process(uid, gid), Persistent(made, name)):
        made.addComponent(component, ignoreClass=True)
    IService(made).setName(name)
    return made
