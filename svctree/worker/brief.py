"""
Connections that begin with a whole request and end with its answer.

Front ends that speak SCGI, uwsgi or FastCGI connect, send the request at once, read the
answer and are gone. To such a connection everything that keeps connections alive is a
burden: a socket object, an entry in the poll set, a deadline. So a worker with one
thread reads right after it has accepted, and when the request is whole it is answered
and the connection closed in the same breath: six system calls, of which accept, read,
write and close are what there is to do. Whatever does not go that smoothly becomes an
ordinary L{Connection}, with what has come so far.

(Measured behind nginx, SCGI on a unix socket: 27 microseconds of processor time for a
request instead of 39, and uWSGI's 17 in the same run.)
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

from svctree.wire.contract import Request, WireError
from svctree.worker.connection import Connection
from svctree.worker.origin import Origin
from svctree.wsgi import ClientGone

if TYPE_CHECKING:
    from svctree.worker.loop import Loop

__all__ = ["Brief"]

_RECEIVE = 65536


class Brief:
    """
    Serves such connections, one after the other. Also the gateway's sink.

    @ivar codec: of the connection in hand.
    """

    __slots__ = (
        "_connection",
        "_fd",
        "_loop",
        "_renewable",
        "_spare",
        "_spareOf",
        "codec",
    )

    codec: Any

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        # To make a codec takes as long as a write. So the one before is used again,
        # where what it knows of its connection is true of the next, too.
        self._renewable = bool(getattr(loop.codecs, "renewable", False))
        self._spare: Any = None
        self._spareOf: Origin | None = None
        self._fd = -1
        self._connection: Connection | None = None

    def welcome(self, fd: int, address: Any, origin: Origin) -> None:
        """
        Hot path. Take over an accepted connection.

        @param fd: its descriptor.
        """
        loop = self._loop
        os.set_blocking(fd, False)
        try:
            data = os.read(fd, _RECEIVE)
        except BlockingIOError:
            loop.welcome(socket.socket(fileno=fd), address, origin)
            return
        except OSError:
            os.close(fd)
            return
        loop.bytesIn += len(data)
        self._fd = fd
        self._connection = None
        codec = self._spare
        if codec is None or origin is not self._spareOf:
            codec = origin.plainCodec(loop.codecs, address)
        self._spare = None
        self.codec = codec
        if loop.retiring:
            codec.close()
        try:
            event = codec.feed(data)
        except WireError as error:
            self._ordinary().refuse(error)
            return
        if event.__class__ is Request and event.done:  # type: ignore[union-attr]
            # A sink with a codec is all that a loop with one thread asks for.
            outcome = loop.serve(self, event.environ, event.line)  # type: ignore
            if (
                self._connection is None
                and not outcome
                and codec.idle
                and not codec.keepAlive
            ):
                os.close(fd)
                if self._renewable and origin.isAlike:
                    codec.renew()
                    self._spare, self._spareOf = codec, origin
                return
            self._ordinary().answered(outcome)
        elif data:
            self._ordinary().proceed(event)
        else:
            os.close(fd)

    def write(self, data: bytes) -> None:
        """
        Hot path. See L{Connection.write}.
        """
        if self._connection is None:
            try:
                sent = os.write(self._fd, data)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                raise ClientGone(str(error)) from None
            self._loop.bytesOut += sent
            if sent == len(data):
                return
            data = data[sent:]
        self._ordinary().write(data)

    def begin(self, data: bytes) -> None:
        """
        See L{Connection.begin}.
        """
        self.write(data)

    def gather(self, on: bool) -> None:
        """
        See L{Connection.gather}; what is sent in one breath has nothing to gather.
        """
        if self._connection is not None:
            self._connection.gather(on)

    def sendFile(self, fd: int, offset: int, count: int) -> None:
        """
        See L{Connection.sendFile}.
        """
        self._ordinary().sendFile(fd, offset, count)

    def _ordinary(self) -> Connection:
        """
        @return: the connection in hand as one that the loop looks after.
        """
        connection = self._connection
        if connection is None:
            sock = socket.socket(fileno=self._fd)
            sock.setblocking(False)
            connection = self._loop.adopt(sock, self.codec)
            self._connection = connection
        return connection
