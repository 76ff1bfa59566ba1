"""
Answers in HTTP/1.1 and 1.0.
"""

from __future__ import annotations

from typing import Protocol

from svctree.wire.contract import Fields
from svctree.wire.http.answer import Lengths, StatusLines, reasonOf

__all__ = ["ICommon", "Rendering"]

_statusLines = StatusLines()
_lengths = Lengths()
_PLAIN = Fields(b"Content-Type: text/plain; charset=utf-8\r\n")


class ICommon(Protocol):
    """
    The fields that every answer has.

    @ivar date: the Date line.
    @ivar server: the Server line; empty for none.
    @ivar common: both.
    """

    date: bytes
    server: bytes
    common: bytes


class Rendering:
    """
    The part of a codec that renders; what it has to know of the request was set when
    the head was read. See L{svctree.wire.contract.ICodec}.
    """

    __slots__ = (
        "_bodyless",
        "_chunking",
        "_closing",
        "_common",
        "_minor",
        "_plain",
        "keepAlive",
        "transparent",
    )

    def __init__(self, common: ICommon) -> None:
        self.keepAlive = True
        self.transparent = False
        self._common = common
        self._closing = False
        self._bodyless = False
        self._chunking = False
        self._minor = 1
        # HTTP/1.1, not HEAD, and the connection is kept: the usual case.
        self._plain = True

    def close(self) -> None:
        self._closing = True
        self.keepAlive = self._plain = False

    def whole(self, status: str, fields: Fields, body: bytes) -> bytes:
        """
        Hot path. Render a complete answer.
        """
        line, bodyless = _statusLines[status]
        if self._plain and fields.plain and not bodyless:
            # The gateway has made sure that a declared length is the body's.
            return b"".join(
                (line, self._common.common, fields.block, _lengths[len(body)], body)
            )
        length = fields.contentLength
        if bodyless or self._bodyless:
            if length < 0 and body and not bodyless:
                length = len(body)
            return self._render(line, fields, length, status[:3])
        return self._render(line, fields, len(body), status[:3]) + body

    def head(self, status: str, fields: Fields, length: int) -> bytes:
        line, bodyless = _statusLines[status]
        self._bodyless = self._bodyless or bodyless
        self._chunking = False
        if length < 0 and not self._bodyless:
            if self._minor:
                self._chunking = True
            else:
                self.keepAlive = False
        self.transparent = not self._chunking and not self._bodyless
        return self._render(line, fields, length, status[:3])

    def _render(self, line: bytes, fields: Fields, length: int, code: str) -> bytes:
        parts = [line]
        if not fields.hasDate:
            parts.append(self._common.date)
        if not fields.hasServer:
            parts.append(self._common.server)
        parts.append(fields.block)
        if self._chunking:
            parts.append(b"Transfer-Encoding: chunked\r\n")
        if not self.keepAlive:
            parts.append(b"Connection: close\r\n")
        elif not self._minor:
            parts.append(b"Connection: keep-alive\r\n")
        # RFC 9110, 8.6: never with 1xx and 204.
        if length >= 0 and code != "204" and code[:1] != "1":
            parts.append(_lengths[length])
        else:
            parts.append(b"\r\n")
        return b"".join(parts)

    def piece(self, data: bytes) -> bytes:
        if self._bodyless:
            return b""
        if self._chunking:
            return b"%x\r\n%b\r\n" % (len(data), data)
        return data

    def end(self) -> bytes:
        if self._chunking:
            self._chunking = False
            return b"0\r\n\r\n"
        return b""

    def interim(self, status: int, block: bytes = b"") -> bytes:
        if not self._minor:
            return b""
        return b"HTTP/1.1 %b\r\n%b\r\n" % (reasonOf(status).encode(), block)

    def error(self, status: int) -> bytes:
        self.close()
        self._bodyless = self._chunking = False
        phrase = reasonOf(status)
        return self.whole(phrase, _PLAIN, phrase.encode("ascii") + b"\n")
