"""
One connection's HTTP: from bytes to requests.

The short way is written for speed: a request that arrives whole in one piece, with a
small body or none, becomes an event without passing through the buffer. Measured on one
core beside the alternatives by C{benchmarks/http.py}.
"""

from __future__ import annotations

from io import BytesIO

from svctree.wire.contract import END, Marker, Request, RequestError, Truncated
from svctree.wire.http.heads import BODY, BROKEN, CHUNKS, HEAD, Heads, linesOf

__all__ = ["HTTPCodec"]


class HTTPCodec(Heads):
    """
    See L{svctree.wire.contract.ICodec}.
    """

    __slots__ = ()

    def feed(self, data: bytes) -> Request | bytes | Marker | None:
        """
        Hot path, as far as C{data} is one request. See L{ICodec.feed}.
        """
        if self._buffer is None:
            if self._state == HEAD:
                request = None
                if self._alike is not None and len(data) <= self._surely:
                    request = self._again(data, self._alike)
                if request is None:
                    request = self._unlike(data)
                if request is not None:
                    return request
            elif self._state == BODY and 0 < len(data) <= self._left:
                self._left -= len(data)
                return data
        if not data:
            self._ended()
            return None
        if self._state == BROKEN:
            return None
        self.idle = False
        if self._buffer is None:
            self._buffer = bytearray(data)
        else:
            self._buffer += data
        return self.nextEvent()

    def _unlike(self, data: bytes) -> Request | None:
        """
        Take a request that is not just a head like those before, if its head is whole
        and not too large; perhaps with its body, or the beginning of it.
        """
        if data[-4:] == b"\r\n\r\n" and len(data) <= self._surely:
            end = -4
        else:
            end = data.find(b"\r\n\r\n", 0, self._surely + 4)
        if not end or end == -1:
            return None
        request = None
        if end > 0 and self._alike is not None:
            request = self._again(data[: end + 4], self._alike)
        if request is None:
            start = data.find(b"\r\n")
            try:
                request = self._request(data[:start], linesOf(data[start:end]))
            except RequestError:
                # Two heads, or something wrong: the long way tells.
                return None
        if end < 0:
            self.idle = request.done
            return request
        rest = data[end + 4 :]
        if 0 < request.bodyLength == len(rest) <= self._along:
            # Nothing to collect. Measured with 1 KB on one connection: 24 microseconds
            # of processor time instead of 30.
            self._state = HEAD
            request.environ["wsgi.input"] = BytesIO(rest)
            request.done = self.idle = True
            request.expectContinue = False
        else:
            self._takeAlong(rest)
        return request

    def _takeAlong(self, rest: bytes) -> None:
        """
        Take what came along with a head.
        """
        if self._state == BODY and len(rest) <= self._left:
            self._first = rest
        elif rest:
            self._buffer = bytearray(rest)
        self.idle = False

    def _ended(self) -> None:
        self.keepAlive = False
        if self._state == BROKEN or (self._state == HEAD and not self._buffer):
            return
        self._state = BROKEN
        raise Truncated("the client left in the middle of a request")

    def nextEvent(self) -> Request | bytes | Marker | None:
        if self._state == HEAD:
            return self._takeHead() if self._buffer else None
        if self._state == BODY:
            if not self._left:
                return self._finished()
            if self._first:
                data, self._first = self._first, b""
                self._left -= len(data)
                return data
            if self._buffer is None:
                return None
            data = bytes(self._buffer[: self._left])
            self._drop(len(data))
            self._left -= len(data)
            return data
        if self._state == CHUNKS and self._body is not None:
            if self._buffer is None:
                return self._finished() if self._body.done else None
            try:
                data = self._body.take(self._buffer)
            except RequestError:
                self._break()
                raise
            self._drop(0)
            if data:
                return data
            return self._finished() if self._body.done else None
        return None

    def straight(self) -> int:
        """
        See L{svctree.wire.contract.IStraight}.
        """
        if self._state != BODY or self._buffer is not None or self._first:
            return 0
        return self._left

    def passed(self, count: int) -> Marker | None:
        """
        See L{svctree.wire.contract.IStraight}.
        """
        self._left -= count
        return None if self._left else self._finished()

    def _finished(self) -> Marker:
        self._state = HEAD
        self._body = None
        self.idle = self._buffer is None
        # The object serves the next request, too, and _again() relies on this.
        request = self._asked
        request.done = True
        request.expectContinue = False
        return END

    def _drop(self, count: int) -> None:
        buffer = self._buffer
        assert buffer is not None
        if count == len(buffer):
            self._buffer = None
        elif count:
            del buffer[:count]

    def _takeHead(self) -> Request | None:
        buffer = self._buffer
        assert buffer is not None
        if not self._emptyLine and buffer.startswith(b"\r\n"):
            # RFC 9112, 2.2: some clients end a body with one CRLF too many.
            self._emptyLine = True
            self._drop(2)
            if self._buffer is None:
                self.idle = True
                return None
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            if self._judge is None:
                self._judge = self._newJudge()
            try:
                self._judge.look(buffer, False)
            except RequestError:
                self._break()
                raise
            return None
        self._judge = None
        head = bytes(buffer[: end + 4])
        self._drop(end + 4)
        self.idle = self._buffer is None
        return self._head(head)
