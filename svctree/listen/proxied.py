"""
PROXY headers in front of a Twisted protocol.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
)
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from zope.interface import directlyProvides, implementer, providedBy

from svctree.wire.proxy import ProxyError, ProxyHeader, takeHeader
from svctree.worker.trust import Trust

__all__ = ["HEADER_TIMEOUT", "ProxiedFactory"]

HEADER_TIMEOUT = 10.0
"""Seconds for the header to be complete."""


@implementer(IProtocolFactory)
class ProxiedFactory:
    """
    Builds another factory's protocols when it is known who the client is: from
    trusted peers at the end of the PROXY header, from others at once.
    """

    def __init__(self, factory: IProtocolFactory, trust: Trust, clock: Any) -> None:
        """
        @param clock: provides C{IReactorTime}.
        """
        self.factory = factory
        self.trust = trust
        self.clock = clock

    def doStart(self) -> None:
        self.factory.doStart()

    def doStop(self) -> None:
        self.factory.doStop()

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        host = getattr(addr, "host", None)
        trusted = self.trust.unix if host is None else self.trust(host)
        return _Greeting(self) if trusted else self.factory.buildProtocol(addr)


class _Greeting(Protocol):
    """
    Takes the header, then gives the transport to whom it was for.
    """

    _log = Logger()

    def __init__(self, factory: ProxiedFactory) -> None:
        self._factory = factory
        self._data = b""
        self._timeout: IDelayedCall | None = None

    def connectionMade(self) -> None:
        transport: Any = self.transport
        self._timeout = self._factory.clock.callLater(
            HEADER_TIMEOUT, transport.abortConnection
        )

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        try:
            taken = takeHeader(self._data)
        except ProxyError as error:
            assert self.transport is not None
            self._log.info(
                "closed a connection from {peer}: {error}",
                peer=self.transport.getPeer(),
                error=str(error),
            )
            self.transport.loseConnection()
            return
        if taken is not None:
            self._stopClock()
            self._introduce(*taken)

    def _introduce(self, header: ProxyHeader, rest: bytes) -> None:
        transport: Any = self.transport
        told = _Told(transport, header)
        protocol = self._factory.factory.buildProtocol(told.getPeer())
        if protocol is None:
            transport.loseConnection()
            return
        # From here on the transport talks to it directly.
        transport.protocol = protocol
        protocol.makeConnection(told)  # type: ignore[arg-type]
        if rest:
            protocol.dataReceived(rest)

    def connectionLost(self, reason: Any = None) -> None:
        self._stopClock()

    def _stopClock(self) -> None:
        if self._timeout is not None and self._timeout.active():
            self._timeout.cancel()


class _Told:
    """
    A transport whose ends are those that a PROXY header names.
    """

    def __init__(self, transport: Any, header: ProxyHeader) -> None:
        self._transport = transport
        self._peer = _address(header.family, header.source) or transport.getPeer()
        self._host = _address(header.family, header.destination) or transport.getHost()
        directlyProvides(self, providedBy(transport))

    def getPeer(self) -> Any:
        return self._peer

    def getHost(self) -> Any:
        return self._host

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _address(family: str, end: tuple[str, int] | None) -> Any:
    if end is None:
        return None
    host, port = end
    if family == "UNIX":
        return UNIXAddress(host or None)
    return (IPv4Address if family == "TCP4" else IPv6Address)("TCP", host, port)
