"""
A connection with one request on it, for L{svctree.worker.once}.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from typing import Any

from svctree.wire.contract import ICodec
from svctree.wire.registry import codecs
from svctree.worker.config import WorkerConfig
from svctree.worker.origin import Origin
from svctree.worker.peers import RECEIVE, Streams
from svctree.worker.trust import Trust
from svctree.wsgi import ClientGone

__all__ = ["Connected", "codecOf"]

_LINGER = 2.0


class Connected(Streams):
    """
    A connected socket, blocking.
    """

    def __init__(self, sock: socket.socket, writeTimeout: float) -> None:
        super().__init__(sock.fileno(), sock.fileno())
        self._socket = sock
        self._writeTimeout = writeTimeout or None

    def receive(self, timeout: float) -> bytes:
        self._socket.settimeout(timeout or None)
        return self._socket.recv(RECEIVE)

    def write(self, data: bytes) -> None:
        self._socket.settimeout(self._writeTimeout)
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise ClientGone(str(error)) from None

    def finish(self, linger: bool) -> None:
        # See the workers' connections: a close before the peer has stopped sending
        # would cost it the answer.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            if linger:
                self._socket.settimeout(_LINGER)
                while self._socket.recv(RECEIVE):
                    pass
        self._socket.close()


def codecOf(
    config: WorkerConfig,
    variables: Mapping[str, object],
    sock: socket.socket,
    listening: socket.socket,
    address: Any,
) -> ICodec:
    """
    @param variables: what is different here from the workers' C{wsgi.*}.
    @param listening: where the connection was accepted, or the connection itself.
    @return: the connection's codec; the next answer is its last.
    """
    trust = Trust(config.forwardedAllow) if config.forwardedAllow else None
    origin = Origin(listening, config, trust, config.proxyProtocol, variables)
    make = codecs(config.protocol)(config.limits, config.mount, config.serverName)
    codec = origin.codec(make, sock, address)
    codec.close()
    return codec
