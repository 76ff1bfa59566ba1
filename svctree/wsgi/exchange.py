"""
One request and its answer: what the application says, on its way to the connection.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Protocol

from svctree.wire.contract import ICodec
from svctree.wsgi.fields import FieldsCache, Statuses, checkHeader

__all__ = ["CUT", "DONE", "JOINED", "RESET", "ClientGone", "Exchange", "ISink", "log"]

ExcInfo = tuple[type[BaseException], BaseException, "TracebackType | None"]

DONE, CUT, RESET = range(3)
"""
How an exchange ended: complete; incomplete in a way that the framing tells the client,
so that a close suffices; incomplete where only a reset can tell.
"""

JOINED = 65536
"""
Up to this size head and body are joined and leave in one call; above, copying costs
more than a second call does.
"""

_BULK = 16384
"""Bytes of a block from which on it may be one of many, as in a download."""

_FLOW = 0.005
"""Seconds: who has given such a block so shortly after another will go on."""

_statuses = Statuses()
_known = FieldsCache()


class ClientGone(Exception):
    """
    Nobody takes the answer any more.
    """


class ISink(Protocol):
    """
    Where rendered answers go.
    """

    def write(self, data: bytes) -> None:
        """
        Send, or keep for sending, without waiting for the client.

        @raise ClientGone: the client has left; what it does not get is lost.
        """

    def begin(self, data: bytes) -> None:
        """
        As L{write}, for what is followed by more at once and can leave with it.
        """

    def gather(self, on: bool) -> None:
        """
        From now on, or no longer, let what does not fill a segment leave with what
        follows it; the kernel waits a fifth of a second for that, at most.
        """

    def sendFile(self, fd: int, offset: int, count: int) -> None:
        """
        Send a part of a regular file. The caller may close C{fd} at once.

        @raise ClientGone: as L{write}.
        """


class Exchange:
    """
    One request and its answer, from the application's call to its iterable's close.

    @ivar flowing: large blocks come one shortly after another.
    @ivar large: when this was last looked at, seconds of the monotonic clock.
    """

    ended: bool
    excess: bool
    flowing: bool
    large: float

    __slots__ = (
        "codec",
        "ended",
        "excess",
        "fields",
        "flowing",
        "large",
        "left",
        "outcome",
        "sink",
        "started",
        "status",
    )

    def __init__(self, codec: ICodec, sink: ISink) -> None:
        self.codec = codec
        self.sink = sink
        self.status = ""
        self.started = False

    def startResponse(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: ExcInfo | None = None,
    ) -> Callable[[bytes], None]:
        """
        Hot path. PEP 3333's C{start_response}.
        """
        if self.status:
            self._again(exc_info)
        try:
            self.fields = _known[tuple(headers)]
        except TypeError:
            # Something that cannot be hashed, such as a list of two; say which.
            for header in headers:
                checkHeader(header)
            raise
        self.status = _statuses[status]
        return self.write

    def _again(self, exc_info: ExcInfo | None) -> None:
        if exc_info is None:
            raise AssertionError("start_response called again without exc_info")
        if self.started:
            raise exc_info[1].with_traceback(exc_info[2])

    def write(self, data: bytes) -> None:
        """
        Send a block at once; also PEP 3333's C{write}.
        """
        if data.__class__ is not bytes:
            raise TypeError(f"the application gave {type(data).__name__}, not bytes")
        if not data:
            return
        head = b"" if self.started else self._start(-1)
        if self.left >= 0:
            data = self._fit(data)
        if self.flowing or len(data) >= _BULK:
            self._flow(len(data))
        data = head + self.codec.piece(data) if data else head
        if data:
            self.sink.write(data)

    def _flow(self, size: int) -> None:
        """
        See whether large blocks come one shortly after another, as in a download.
        """
        now = monotonic()
        flows = size >= _BULK and now - self.large < _FLOW
        self.large = now
        if flows != self.flowing:
            self.flowing = flows
            self.sink.gather(flows)

    def earlyHints(self, headers: list[tuple[str, str]]) -> None:
        """
        Send C{103 Early Hints}, as C{wsgi.early_hints}; ignored once the answer has
        begun, or where the protocol has no place for it.

        @param headers: as for C{start_response}, e.g. C{[("Link", "</a.css>; ...")]}.
        """
        if not self.started:
            data = self.codec.interim(103, _known[tuple(headers)].block)
            if data:
                self.sink.write(data)

    def _start(self, length: int) -> bytes:
        """
        @param length: bytes of the body, when the application did not say.
        """
        if not self.status:
            raise AssertionError("the application did not call start_response")
        if self.fields.contentLength >= 0:
            length = self.fields.contentLength
        self.started = True
        self.ended = self.excess = self.flowing = False
        self.left = length
        self.large = 0.0
        return self.codec.head(self.status, self.fields, length)

    def _fit(self, data: bytes) -> bytes:
        """
        Hold the application to the Content-Length that the client was told.
        """
        if len(data) > self.left:
            if not self.excess:
                self.excess = True
                log("the application sent more than its Content-Length; cut off")
            data = data[: self.left]
        self.left -= len(data)
        return data

    def finish(self, bodyless: bool) -> int:
        """
        Send what ends the answer, unless that has been done.
        """
        if not self.started:
            return self.wholeOf(b"", bodyless)
        if self.ended:
            return DONE
        if self.left > 0 and not bodyless:
            log(f"the application sent {self.left} bytes less than its Content-Length")
            return CUT
        self.ended = True
        data = self.codec.end()
        if data:
            self.sink.write(data)
        if self.flowing:
            self.sink.gather(False)
        return DONE

    def wholeOf(self, body: bytes, bodyless: bool) -> int:
        """
        Send an answer of one block.
        """
        if not self.status:
            raise AssertionError("the application did not call start_response")
        declared = self.fields.contentLength
        if declared >= 0 and declared != len(body) and not bodyless:
            self.sink.write(self._start(declared))
            self.write(body)
            return self.finish(bodyless)
        if len(body) > JOINED:
            self.sink.begin(self._start(len(body)))
            self.write(body)
            return self.finish(bodyless)
        self.started = self.ended = True
        self.excess = self.flowing = False
        self.left = 0
        self.sink.write(self.codec.whole(self.status, self.fields, body))
        return DONE


def log(text: str) -> None:
    """
    Say something in the error log.
    """
    # One write, so that the lines of threads and processes do not mix.
    sys.stderr.write(f"svctree: {text}\n")
    sys.stderr.flush()
