"""
One client's connection.

A connection belongs to one thread at a time. It reads when the loop says so, feeds
its codec, collects the body, has the request run, and keeps what the client does not
take. It never waits.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from io import BytesIO
from time import monotonic
from typing import TYPE_CHECKING

from svctree.wire.contract import (
    ABORT,
    END,
    ICodec,
    Marker,
    Reply,
    Request,
    RequestError,
    WireError,
)
from svctree.worker.body import Body
from svctree.worker.polling import READ
from svctree.worker.upload import Upload
from svctree.worker.waiting import BODY, FRESH, HEAD, IDLE, QUEUED, Waiting
from svctree.wsgi import ClientGone
from svctree.wsgi.exchange import CUT, DONE, RESET

if TYPE_CHECKING:
    from svctree.worker.loop import Loop

__all__ = ["LATER", "Connection"]

LATER = -1
"""An outcome: no thread is free, L{Connection.again} will be called."""

_RECEIVE = 131072

_TAKEN: dict[str, object] = {}
"""Stands for the environ of a request that was handed over."""

Event = Request | bytes | Marker | Reply | None


class Connection(Waiting):
    """
    See the module. Also the gateway's sink.
    """

    __slots__ = ("_feed", "_headDeadline", "_receive")

    def __init__(self, loop: Loop, sock: socket.socket, codec: ICodec) -> None:
        super().__init__(loop, sock, codec)
        self._receive = sock.recv
        self._feed = codec.feed
        self._headDeadline = 0.0

    def start(self) -> None:
        """
        Begin to read.
        """
        self._await(READ, self.readable)
        loop = self._loop
        # The turn may have begun long ago.
        self._headDeadline = monotonic() + loop.config.headerTimeout
        loop.wheel.arm(self, self._headDeadline)

    # Reading

    def readable(self) -> None:
        """
        Hot path. The client has sent something, or left.
        """
        loop = self._loop
        if self._upload is not None:
            self._receiveBody(self._upload)
            return
        try:
            data = self._receive(_RECEIVE)
            self.meter.bytesIn += len(data)
            event = self._feed(data)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        except WireError as error:
            self.refuse(error)
            return
        if event.__class__ is Request and event.done:  # type: ignore[union-attr]
            # The usual request: whole in one piece, and so is its answer. As _taken().
            environ = event.environ  # type: ignore[union-attr]
            event.environ = _TAKEN  # type: ignore[union-attr]
            outcome = loop.serve(self, environ, event.line)  # type: ignore[union-attr]
            codec = self.codec
            if (
                not outcome
                and self._output is None
                and codec.keepAlive
                and codec.idle
                and self._mask
            ):
                self.deadline = monotonic() + loop.keepalive
                self._phase = IDLE
                if loop.keepaliveIsSoon:
                    loop.wheel.arm(self, self.deadline)
                return
            self._advance(self._answered, outcome)
        else:
            self._goOn(len(data), event)

    def _receiveBody(self, upload: Upload) -> None:
        """
        More of a body has come.
        """
        try:
            count, event = upload.receive(self._socket, self.codec)
            self.meter.bytesIn += count
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        except WireError as error:
            self.refuse(error)
            return
        self._goOn(count, event)

    def proceed(self, event: Event) -> None:
        """
        Go on with an event of the codec, or wait where there is none.
        """
        if event is None:
            self._settle()
        else:
            self._advance(self._take, event)

    def _goOn(self, count: int, event: Event) -> None:
        """
        @param count: bytes that came, 0 at the end of the stream.
        @param event: what the codec made of them.
        """
        if count or event is not None:
            self.proceed(event)
        else:
            self.close()

    def answered(self, outcome: int) -> None:
        """
        Go on after the answer to a request that was whole.
        """
        self._advance(self._answered, outcome)

    def _advance(self, step: Callable[..., Event], *arguments: object) -> None:
        """
        Take events until there are none, or until the output has to drain first.

        Iterates, so that a thousand pipelined requests need no thousand frames.
        """
        try:
            event = step(*arguments)
            while event is not None:
                event = self._take(event)
        except ClientGone:
            self.close()
        except WireError as error:
            self.refuse(error)
        except OSError as error:
            # The disk that holds the bodies is full, or descriptors have run out:
            # an overload, which may be over when the client asks again.
            sys.stderr.write(f"svctree: a request was dropped: {error}\n")
            self.refuse(RequestError(503, str(error)))
        else:
            self._settle()

    def _take(self, event: Event) -> Event:
        codec = self.codec
        if isinstance(event, bytes):
            assert self._upload is not None
            self._upload.body.add(event)
            return codec.nextEvent()
        if isinstance(event, Request):
            if event.done:
                environ = _taken(event)
                return self._answered(self._loop.serve(self, environ, event.line))
            return self._expectBody(event)
        if event is END:
            return self._runWithBody()
        if isinstance(event, Reply):
            self.write(event.data)
            return codec.nextEvent()
        assert event is ABORT
        self._dropUpload()
        # FastCGI confirms it, and then closes if the connection is not to be kept.
        return codec.nextEvent()

    def _expectBody(self, request: Request) -> Event:
        codec = self.codec
        environ, line, size = _taken(request), request.line, request.bodyLength
        expectContinue = request.expectContinue
        threshold = self._loop.config.bufferRequest
        event = codec.nextEvent()
        following = event
        if isinstance(event, bytes) and len(event) == size <= threshold:
            following = codec.nextEvent()
            if following is END:
                # A small body that came along with its head: no need to collect.
                environ["wsgi.input"] = BytesIO(event)
                environ["CONTENT_LENGTH"] = str(size)
                return self._answered(self._loop.serve(self, environ, line))
        body = Body(threshold, self._loop.reserve, size)
        self._upload = Upload(environ, line, body)
        if following is not event:
            assert isinstance(event, bytes)
            self._upload.body.add(event)
        if event is None and expectContinue:
            # Nothing of the body is here: the client does wait (RFC 9110, 10.1.1).
            self.write(codec.interim(100))
        return following

    def _runWithBody(self) -> Event:
        upload = self._upload
        assert upload is not None
        environ = upload.complete()
        return self._answered(self._loop.serve(self, environ, upload.line))

    def again(self, environ: dict[str, object], line: bytes) -> None:
        """
        A thread is free for the request that had to wait.
        """
        if self._phase == QUEUED:
            self._phase = IDLE
            self._advance(self._rerun, environ, line)

    def _rerun(self, environ: dict[str, object], line: bytes) -> Event:
        return self._answered(self._loop.serve(self, environ, line))

    def _answered(self, outcome: int) -> Event:
        """
        An answer has been rendered: go on with what follows it.
        """
        if outcome == LATER:
            self._phase = QUEUED
            self.detach(self.meter)
            return None
        self._dropUpload()
        if outcome == RESET:
            self._reset()
            return None
        if outcome == CUT:
            self.codec.close()
        self._phase = IDLE
        if self._output is not None:
            self._whenDrained(self._next)
            return None
        return self._following()

    def _following(self) -> Event:
        codec = self.codec
        if not codec.keepAlive:
            self._finish(not codec.idle)
            return None
        if self._loop.retiring:
            # This answer was rendered before; the next can say that it is the last.
            codec.close()
        return codec.nextEvent()

    def _next(self) -> None:
        if not self._loop.mayServe(self._next):
            self._await(READ, _postponed)
            return
        self._await(READ, self.readable)
        self._phase = IDLE
        self._advance(self._following)

    def _settle(self) -> None:
        """
        There is nothing more to do until the client acts: choose the deadline.
        """
        if self._phase > BODY:
            return
        loop = self._loop
        now = monotonic()
        if self._upload is not None:
            self._phase = BODY
            loop.wheel.arm(self, now + loop.config.bodyTimeout)
        elif not self.codec.idle:
            if self._phase == IDLE:
                self._headDeadline = now + loop.config.headerTimeout
            self._phase = HEAD
            # From the first byte on: a head that trickles in gains nothing by it.
            loop.wheel.arm(self, self._headDeadline)
        elif self._phase != FRESH:
            self._phase = IDLE
            loop.wheel.arm(self, now + loop.keepalive)
        if not self._mask:
            # Another thread reads for the loop by now; let it have this one again.
            self._await(READ, self.readable)
        if loop.retiring:
            self.retire(now, loop.grace)


def _taken(request: Request) -> dict[str, object]:
    """
    @return: the environ of C{request}, which may be used again and is not to keep it.
    """
    environ, request.environ = request.environ, _TAKEN
    return environ


def _postponed() -> None:
    pass


assert DONE == 0
