"""
Every zope interface of the project.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from zope.interface import Attribute, Interface

__all__ = ["IListener"]


class IListener(Interface):
    """
    A source of listening sockets, bound while the process is privileged.

    Pools find their listeners by name in the tree. The sockets belong to the
    listener: they are open from its privileged phase until it stops, they outlive
    every generation of workers, and a pool only passes them on by descriptor.
    """

    name = Attribute("C{str}: the name under which pools find this listener.")

    def sockets() -> Sequence[socket.socket]:
        """
        @return: the listening sockets, non-blocking; empty before the privileged
            phase.
        """

    def urls() -> Sequence[str]:
        """
        @return: for each socket what a person would click or type, e.g.
            C{http://127.0.0.1:8080/} or C{unix:/run/app.sock}.
        """
