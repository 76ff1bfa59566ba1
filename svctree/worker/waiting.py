"""
What a connection waits for, and how it ends.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from svctree.wire.contract import ICodec, RequestError, WireError
from svctree.worker.polling import READ, WRITE
from svctree.worker.sink import IMeter, Sink
from svctree.worker.timers import NEVER
from svctree.worker.upload import Upload
from svctree.wsgi import ClientGone

if TYPE_CHECKING:
    from svctree.worker.loop import Loop

__all__ = [
    "BODY",
    "FRESH",
    "HEAD",
    "IDLE",
    "LINGERING",
    "QUEUED",
    "WRITING",
    "Waiting",
]

FRESH, IDLE, HEAD, BODY, QUEUED, WRITING, LINGERING, CLOSED = range(8)
"""
What a connection waits for: its first byte, the next request, the rest of a head, more
of a body, a thread, room for its output, the client's end. The deadline is that of the
phase.
"""

_LINGER = 2.0
"""Seconds in which a refused client can read why, before its data meets a reset."""

_FRESH_GRACE = 0.5
_RECEIVE = 131072
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Waiting(Sink):
    """
    A connection between the moments in which it does something.

    @ivar fd: the descriptor.
    @ivar deadline: see L{svctree.worker.timers.ITimed}, as C{bucket}.
    """

    __slots__ = (
        "_mask",
        "_phase",
        "_then",
        "_upload",
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
        self._phase = FRESH
        self._mask = 0
        self._then: Callable[[], None] | None = None
        self._upload: Upload | None = None

    def _await(self, mask: int, handler: Callable[[], None]) -> None:
        self._loop.handlers[self.fd] = handler
        if mask != self._mask:
            before, self._mask = self._mask, mask
            # Where a thread had it alone, it is the loop's from now on.
            self.meter = self._loop
            self._loop.interest(self.fd, before, mask)

    def detach(self, meter: IMeter) -> None:
        """
        Leave the loop, while the application runs, to a thread that no longer reads
        for it: no events and no deadline until L{_await}.

        @param meter: where that thread counts.
        """
        self._loop.interest(self.fd, self._mask, 0)
        self._mask = 0
        self.meter = meter
        self.deadline = NEVER

    # Waiting for the client

    def _whenDrained(self, then: Callable[[], None]) -> None:
        self._then = then
        self._phase = WRITING
        loop = self._loop
        self._await(WRITE, self._writable)
        loop.wheel.arm(self, monotonic() + loop.config.writeTimeout)

    def _writable(self) -> None:
        try:
            before = self.meter.bytesOut
            self._flush()
        except OSError:
            self.close()
            return
        if self._output is not None:
            if self.meter.bytesOut != before:
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
        self._dropUpload()
        if not isinstance(error, RequestError):
            self.close()
            return
        self.meter.errors += 1
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
        self._await(READ, self._discard)
        self._loop.wheel.arm(self, monotonic() + _LINGER)

    def _discard(self) -> None:
        try:
            data = self._socket.recv(_RECEIVE)
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
        self._dropUpload()
        if self._output is not None:
            self._output.close()
            self._output = None
        self._then = None
        if self._mask:
            self._loop.interest(self.fd, self._mask, 0)
            self._mask = 0
        self._loop.goodbye(self)
        self._socket.close()

    def _dropUpload(self) -> None:
        if self._upload is not None:
            self._upload.close()
            self._upload = None

    def _hasInput(self) -> bool:
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def isBetween(self) -> bool:
        """
        @return: whether nothing of a request was read and nothing of an answer is
            left to be sent.
        """
        return (
            self._phase <= IDLE
            and self._mask == READ
            and self._output is None
            and self._upload is None
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
