"""
One client's connection.

A connection belongs to one thread at a time. It reads when the loop says so, feeds
its codec, collects the body, has the request run, and keeps what the client does not
take. It never waits.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable
from io import BytesIO
from select import EPOLLIN, EPOLLOUT
from time import monotonic
from typing import IO, TYPE_CHECKING

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
from svctree.worker.sink import IMeter, Sink
from svctree.worker.timers import NEVER
from svctree.wsgi import ClientGone
from svctree.wsgi.gateway import CUT, DONE, RESET

if TYPE_CHECKING:
    from svctree.worker.loop import Loop

__all__ = ["LATER", "Connection"]

FRESH, IDLE, HEAD, BODY, QUEUED, WRITING, LINGERING, CLOSED = range(8)
"""
What a connection waits for: its first byte, the next request, the rest of a head, more
of a body, a thread, room for its output, the client's end. The deadline is that of the
phase.
"""

LATER = -1
"""An outcome: no thread is free, L{Connection.again} will be called."""

_LINGER = 2.0
"""Seconds in which a refused client can read why, before its data meets a reset."""

_FRESH_GRACE = 0.5
_RECEIVE = 131072
_RECEIVE_BODY = 262144
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

Event = Request | bytes | Marker | Reply | None


class Connection(Sink):
    """
    See the module. Also the gateway's sink.
    """

    __slots__ = (
        "_body",
        "_environ",
        "_feed",
        "_headDeadline",
        "_line",
        "_mask",
        "_phase",
        "_receive",
        "_stream",
        "_then",
        "bucket",
        "codec",
        "deadline",
        "fd",
    )

    def __init__(self, loop: Loop, sock: socket.socket, codec: ICodec) -> None:
        self.codec = codec
        self.fd = sock.fileno()
        self.deadline = NEVER
        self.bucket = 0
        super().__init__(loop, sock)
        self._receive = sock.recv
        self._feed = codec.feed
        self._phase = FRESH
        self._mask = 0
        self._headDeadline = 0.0
        self._then: Callable[[], None] | None = None
        self._body: Body | None = None
        self._environ: dict[str, object] | None = None
        self._stream: IO[bytes] | None = None
        self._line = b""

    def start(self) -> None:
        """
        Begin to read.
        """
        self._await(EPOLLIN, self.readable)
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
        try:
            data = self._receive(_RECEIVE if self._body is None else _RECEIVE_BODY)
            self._meter.bytesIn += len(data)
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
            # The usual request: whole in one piece, and so is its answer.
            outcome = loop.serve(self, event.environ, event.line)  # type: ignore[union-attr]
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
        elif event is not None:
            self._advance(self._take, event)
        elif data:
            self._settle()
        else:
            self.close()

    def proceed(self, event: Event) -> None:
        """
        Go on with an event of the codec, or wait where there is none.
        """
        if event is None:
            self._settle()
        else:
            self._advance(self._take, event)

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
            # The disk that holds the bodies is full.
            sys.stderr.write(f"svctree: a request was dropped: {error}\n")
            self.refuse(RequestError(500, str(error)))
        else:
            self._settle()

    def _take(self, event: Event) -> Event:
        codec = self.codec
        if isinstance(event, bytes):
            assert self._body is not None
            self._body.add(event)
            return codec.nextEvent()
        if isinstance(event, Request):
            if event.done:
                return self._answered(self._loop.serve(self, event.environ, event.line))
            return self._expectBody(event)
        if event is END:
            return self._runWithBody()
        if isinstance(event, Reply):
            self.write(event.data)
            return codec.nextEvent()
        assert event is ABORT
        self._dropBody()
        # FastCGI confirms it, and then closes if the connection is not to be kept.
        return codec.nextEvent()

    def _expectBody(self, request: Request) -> Event:
        codec = self.codec
        environ, line, size = request.environ, request.line, request.bodyLength
        event = codec.nextEvent()
        threshold = self._loop.config.bufferRequest
        if isinstance(event, bytes) and len(event) == size <= threshold:
            following = codec.nextEvent()
            if following is END:
                # A small body that came along with its head: no need to collect.
                environ["wsgi.input"] = BytesIO(event)
                environ["CONTENT_LENGTH"] = str(size)
                return self._answered(self._loop.serve(self, environ, line))
            self._body = Body(threshold)
            self._body.add(event)
            event = following
        else:
            self._body = Body(threshold)
        self._environ = environ
        self._line = line
        if event is None and request.expectContinue:
            # Nothing of the body is here: the client does wait (RFC 9110, 10.1.1).
            self.write(codec.interim(100))
        return event

    def _runWithBody(self) -> Event:
        body, environ = self._body, self._environ
        assert body is not None and environ is not None
        stream = body.stream()
        environ["wsgi.input"] = stream
        environ["CONTENT_LENGTH"] = str(body.size)
        self._stream = stream
        return self._answered(self._loop.serve(self, environ, self._line))

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
            self.detach(self._meter)
            return None
        if self._stream is not None:
            self._dropBody()
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
            self._await(EPOLLIN, _postponed)
            return
        self._await(EPOLLIN, self.readable)
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
        if self._body is not None:
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
            self._meter = loop
            self._await(EPOLLIN, self.readable)
        if loop.retiring:
            self.retire(now, loop.grace)

    # Waiting for the client

    def _whenDrained(self, then: Callable[[], None]) -> None:
        self._then = then
        self._phase = WRITING
        loop = self._loop
        self._await(EPOLLOUT, self._writable)
        loop.wheel.arm(self, monotonic() + loop.config.writeTimeout)

    def _writable(self) -> None:
        try:
            before = self._meter.bytesOut
            self._flush()
        except OSError:
            self.close()
            return
        if self._output is not None:
            if self._meter.bytesOut != before:
                self.deadline = monotonic() + self._loop.config.writeTimeout
            return
        then, self._then = self._then, None
        assert then is not None
        then()

    # Ending

    def refuse(self, error: WireError) -> None:
        """
        Say what is wrong, as far as the protocol can, and end the connection so that
        the client gets to read it.
        """
        self._dropBody()
        if not isinstance(error, RequestError):
            self.close()
            return
        self._meter.errors += 1
        if self._loop.refused is not None:
            self._loop.refused(self._socket, error.status)
        try:
            self.write(self.codec.error(error.status))
        except ClientGone:
            self.close()
            return
        self._finish(True)

    def _finish(self, linger: bool) -> None:
        """
        Close when everything is sent.

        @param linger: the client may have sent more: closing at once would answer
            that with a reset, and a reset discards what the client has not read yet
            (RFC 9112, 9.6).
        """
        if self._output is not None:
            self._whenDrained(self._linger if linger else self.close)
        elif linger:
            self._linger()
        else:
            self.close()

    def _linger(self) -> None:
        self._phase = LINGERING
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
            return
        self._await(EPOLLIN, self._discard)
        self._loop.wheel.arm(self, monotonic() + _LINGER)

    def _discard(self) -> None:
        try:
            data = self._receive(_RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()

    def _reset(self) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.close()

    def close(self) -> None:
        """
        End the connection now.
        """
        if self._phase == CLOSED:
            return
        self._phase = CLOSED
        self._dropBody()
        if self._output is not None:
            self._output.close()
            self._output = None
        self._then = None
        if self._mask:
            self._loop.interest(self.fd, self._mask, 0)
            self._mask = 0
        self._loop.goodbye(self)
        self._socket.close()

    def _dropBody(self) -> None:
        if self._body is not None:
            if self._stream is not None:
                self._stream.close()
                self._stream = None
            self._body.close()
            self._body = self._environ = None

    def isBetween(self) -> bool:
        """
        @return: whether nothing of a request was read and nothing of an answer is
            left to be sent.
        """
        return (
            self._phase <= IDLE
            and self._mask == EPOLLIN
            and self._output is None
            and self._body is None
            and self.codec.idle
        )

    def retire(self, now: float, grace: float) -> None:
        """
        Let the next answer be the last; without one, end when C{grace} is over.
        """
        if not self._mask or self._phase >= WRITING:
            # An answer is on its way that promised more. L{_settle} comes back here.
            return
        self.codec.close()
        if getattr(self.codec, "endsSilently", False):
            # Its peer learns of the end by the end alone, and may hand the connection
            # to its next request as soon as it has the answer. So the end travels in
            # the answer's last segment.
            self.endWithAnswer()
        if self._phase == FRESH:
            self._loop.wheel.arm(self, now + max(grace, _FRESH_GRACE))
        elif self._phase == IDLE:
            self._loop.wheel.arm(self, min(self.deadline, now + grace))

    def expired(self, now: float) -> None:
        """
        The deadline of the phase has passed.
        """
        if self._phase < WRITING and self._hasInput():
            # It is not the client that is late: the application kept this loop.
            self._loop.wheel.arm(self, now)
        elif self._phase == HEAD:
            self.refuse(RequestError(408, "a head took longer than header-timeout"))
        elif self._phase == BODY:
            self.refuse(RequestError(408, "a body took longer than body-timeout"))
        elif self._phase == WRITING:
            self._reset()
        else:
            self.close()

    def _hasInput(self) -> bool:
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    # Ownership

    def _await(self, mask: int, handler: Callable[[], None]) -> None:
        self._loop.handlers[self.fd] = handler
        if mask != self._mask:
            before, self._mask = self._mask, mask
            self._loop.interest(self.fd, before, mask)

    def detach(self, meter: IMeter) -> None:
        """
        Leave the loop, while the application runs, to a thread that no longer reads
        for it: no events and no deadline until L{_settle}.

        @param meter: where that thread counts.
        """
        self._loop.interest(self.fd, self._mask, 0)
        self._mask = 0
        self._meter = meter
        self.deadline = NEVER


def _postponed() -> None:
    pass


assert DONE == 0
