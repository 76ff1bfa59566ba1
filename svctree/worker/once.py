"""
The model C{once}: one request in this process, then the end.

Nothing here waits for more than one thing, so it is plain blocking code around a
codec and the gateway: read until the request is complete, run the application, write.
The request comes from a connection (inetd, or one accepted from a listening socket)
or from the environment and standard input (CGI). What only a connection needs is
imported for one: a CGI script has to be quick.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

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
from svctree.worker.body import Body
from svctree.worker.config import WorkerConfig
from svctree.worker.peers import Peer, Streams
from svctree.wsgi import NO_INPUT, ClientGone, FileWrapper, Gateway
from svctree.wsgi.exchange import DONE, RESET

if TYPE_CHECKING:
    import socket

    from svctree.worker.accesslog import Answer

__all__ = ["NoCGIRequest", "Once"]


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
        import socket

        sock = socket.socket(fileno=os.dup(fd))
        return self._serveSocket(sock, sock, sock.getpeername())

    def _serveSocket(
        self, sock: socket.socket, listening: socket.socket, address: Any
    ) -> bool:
        from svctree.worker.onesocket import Connected, codecOf

        config = self._config
        codec = codecOf(config, _FLAGS, sock, listening, address)
        return self._serve(codec, Connected(sock, config.writeTimeout))

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
        return self._serve(codec, Streams(source, target))

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
