"""
A unix socket that is bound already, served by the reactor.

Twisted's own port does two things on adopting one that must not happen here: it sets
the permission of the path to 0666, whatever it was bound with (and fails to, when the
identity was given away), and it removes the path in the end, whoever owns it.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

__all__ = ["adoptPort"]


def adoptPort(
    reactor: Any, sock: socket.socket, factory: IProtocolFactory
) -> IListeningPort:
    """
    Serve C{factory} on a listening socket, which stays the caller's: what is used is
    a duplicate.
    """
    if sock.family != socket.AF_UNIX:
        port: IListeningPort = reactor.adoptStreamPort(
            sock.fileno(), sock.family, factory
        )
        return port
    adopted = _AdoptedUnixPort._fromListeningDescriptor(reactor, sock.fileno(), factory)
    adopted.startListening()
    return adopted


class _AdoptedUnixPort(unix.Port):
    """
    Accepts, and leaves the path alone.
    """

    def startListening(self) -> None:
        port: Any = self
        port.factory.doStart()
        port.socket, port._preexistingSocket = port._preexistingSocket, None
        port.socket.setblocking(False)
        port.fileno = port.socket.fileno
        port.connected = True
        port.numberAccepts = 100
        port.startReading()

    def _logConnectionLostMsg(self) -> None:
        """
        Whoever gave us the socket tells what becomes of it.
        """

    def connectionLost(self, reason: Any) -> None:
        tcp.Port.connectionLost(self, reason)
