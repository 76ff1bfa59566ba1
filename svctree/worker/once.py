"""
The model C{once}: one request in this process, then the end.

Nothing here waits for more than one thing, so it is plain blocking code around a
codec and the gateway: read until the request is complete, run the application, write.
The request comes from a connection (inetd, or one accepted from a listening socket)
or from the environment and standard input (CGI).
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import socket
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from svctree.wire.cgi import CGICodec, variablesFrom
from svctree.wire.contract import (
    END,
    REQUEST_VARIABLES,
    ICodec,
    Reply,
    Request,
    RequestError,
    WireError,
)
from svctree.wire.registry import codecs
from svctree.worker.body import Body
from svctree.worker.config import WorkerConfig
from svctree.worker.origin import Origin
from svctree.worker.trust import Trust
from svctree.wsgi import NO_INPUT, ClientGone, FileWrapper, Gateway
from svctree.wsgi.gateway import DONE, RESET

if TYPE_CHECKING:
    from svctree.worker.accesslog import Answer

__all__ = ["NoCGIRequest", "Once"]

_RECEIVE = 65536
_LINGER = 2.0
_BLOCK = 1 << 20


class NoCGIRequest(Exception):
    """
    The process was not started as a CGI script.
    """

    exitStatus = 1

    def __init__(self) -> None:
        super().__init__(
            "standard input is no socket and there is no CGI request in the "
            "environment (REQUEST_METHOD); expected to be started by a web server"
        )


class Peer(Protocol):
    """
    The other end. Also the gateway's sink.
    """

    def receive(self, timeout: float) -> bytes:
        """
        @return: what came, C{b""} at the end.
        @raise OSError: nothing came in time, or the peer has left.
        """

    def write(self, data: bytes) -> None: ...

    def begin(self, data: bytes) -> None: ...

    def sendFile(self, fd: int, offset: int, count: int) -> None: ...

    def finish(self, linger: bool) -> None:
        """
        Say that no more follows.
        """


class _Streams:
    """
    A pair of descriptors: what the server reads of us, and what we read of it.
    """

    def __init__(self, source: int, target: int) -> None:
        self._source = source
        self._target = target

    def receive(self, timeout: float) -> bytes:
        # A regular file, a pipe, /dev/null: the server answers for its client's pace.
        return os.read(self._source, _RECEIVE)

    def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._target, left) :]
            except OSError as error:
                raise ClientGone(str(error)) from None

    def begin(self, data: bytes) -> None:
        self.write(data)

    def sendFile(self, fd: int, offset: int, count: int) -> None:
        while count:
            data = os.pread(fd, min(count, _BLOCK), offset)
            if not data:
                raise ClientGone("the file has become shorter while it was sent")
            self.write(data)
            offset += len(data)
            count -= len(data)

    def finish(self, linger: bool) -> None:
        """
        The end of the process closes the streams.
        """


class _Connection(_Streams):
    """
    A connected socket, blocking.
    """

    def __init__(self, sock: socket.socket, writeTimeout: float) -> None:
        super().__init__(sock.fileno(), sock.fileno())
        self._socket = sock
        self._writeTimeout = writeTimeout or None

    def receive(self, timeout: float) -> bytes:
        self._socket.settimeout(timeout or None)
        return self._socket.recv(_RECEIVE)

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
                while self._socket.recv(_RECEIVE):
                    pass
        self._socket.close()


class Once:
    """
    Serves one request and is done.
    """

    def __init__(
        self, application: Callable[..., Any], settings: Mapping[str, Any]
    ) -> None:
        """
        @param settings: of the pool, as plain data.
        """
        self._config = WorkerConfig.fromSettings(settings)
        self._timeout = float(settings.get("timeout") or 0)
        self._gatewayAnswer: Answer = Gateway(application).answer
        if settings.get("accesslog"):
            from svctree.worker.accesslog import AccessLog

            log = AccessLog(settings["accesslog"], settings["accesslogFormat"])
            self._gatewayAnswer = log.around(self._gatewayAnswer)

    def fromAccepted(
        self, sock: socket.socket, listening: socket.socket, address: Any
    ) -> bool:
        """
        Serve a connection that was accepted.

        @return: whether a request was answered as it should be.
        """
        sock.setblocking(True)
        return self._serveSocket(sock, listening, address)

    def fromConnected(self, fd: int = 0) -> bool:
        """
        Serve the connection behind a descriptor (inetd).
        """
        sock = socket.socket(fileno=os.dup(fd))
        return self._serveSocket(sock, sock, sock.getpeername())

    def _serveSocket(
        self, sock: socket.socket, listening: socket.socket, address: Any
    ) -> bool:
        config = self._config
        trust = Trust(config.forwardedAllow) if config.forwardedAllow else None
        origin = Origin(listening, config, trust, config.proxyProtocol, _FLAGS)
        make = codecs(config.protocol)(config.limits, config.mount, config.serverName)
        codec = origin.codec(make, sock, address)
        codec.close()
        return self._serve(codec, _Connection(sock, config.writeTimeout))

    def fromEnvironment(
        self, environment: Mapping[bytes, bytes], source: int = 0, target: int = 1
    ) -> bool:
        """
        Serve the request of a CGI script.

        @param environment: C{os.environb}.
        @raise NoCGIRequest: there is none.
        """
        if b"REQUEST_METHOD" not in environment:
            raise NoCGIRequest()
        config = self._config
        template: dict[str, object] = {
            "wsgi.version": (1, 0),
            "wsgi.input": NO_INPUT,
            "wsgi.input_terminated": True,
            "wsgi.errors": sys.stderr,
            "wsgi.file_wrapper": FileWrapper,
            **dict.fromkeys(REQUEST_VARIABLES, ""),
            **_FLAGS,
        }
        codec = CGICodec(
            variablesFrom(environment), template, config.limits, config.mount
        )
        return self._serve(codec, _Streams(source, target))

    def _serve(self, codec: ICodec, peer: Peer) -> bool:
        """
        @return: whether a request was answered as it should be.
        """
        try:
            return self._converse(codec, peer)
        except RequestError as error:
            sys.stderr.write(f"svctree: a request was refused: {error}\n")
            with contextlib.suppress(ClientGone):
                peer.write(codec.error(error.status))
            peer.finish(True)
        except (WireError, ClientGone, OSError) as error:
            sys.stderr.write(f"svctree: a request was lost: {error}\n")
            peer.finish(False)
        return False

    def _converse(self, codec: ICodec, peer: Peer) -> bool:
        body = Body(self._config.bufferRequest)
        try:
            return self._takeRequest(codec, peer, body)
        finally:
            body.close()

    def _takeRequest(self, codec: ICodec, peer: Peer, body: Body) -> bool:
        config = self._config
        environ: dict[str, Any] = {}
        began = ended = False
        event = codec.nextEvent()
        while True:
            if event is None:
                if ended:
                    peer.finish(False)
                    return False
                data = peer.receive(
                    config.bodyTimeout if began else config.headerTimeout
                )
                ended = not data
                event = codec.feed(data)
                continue
            if isinstance(event, Request):
                environ = event.environ
                if event.done:
                    return self._answer(environ, codec, peer)
                began = True
                if event.expectContinue:
                    peer.write(codec.interim(100))
            elif isinstance(event, Reply):
                peer.write(event.data)
            elif event is END:
                with body.stream() as stream:
                    environ["wsgi.input"] = stream
                    environ["CONTENT_LENGTH"] = str(body.size)
                    return self._answer(environ, codec, peer)
            elif isinstance(event, bytes):
                body.add(event)
            # After an ABORT the codec confirms it, and then takes nothing more.
            event = codec.nextEvent()

    def _answer(self, environ: dict[str, Any], codec: ICodec, peer: Peer) -> bool:
        if self._timeout:
            # Written and carried out in C: it works whatever the application does.
            faulthandler.dump_traceback_later(self._timeout, exit=True, file=2)
        outcome = self._gatewayAnswer(environ, codec, peer)
        faulthandler.cancel_dump_traceback_later()
        if outcome != RESET:
            peer.finish(not codec.idle)
        return outcome == DONE


_FLAGS: dict[str, object] = {
    "wsgi.multithread": False,
    "wsgi.multiprocess": True,
    "wsgi.run_once": True,
}
