"""
Bodies in chunks (RFC 9112, 7.1), taken strictly.
"""

from __future__ import annotations

import re

from svctree.wire.contract import RequestError
from svctree.wire.http.fields import fieldOf

__all__ = ["ChunkedBody"]

# chunk-size [ chunk-ext ], extensions within bounds and without control characters;
# the white space that RFC 9112, 7.1.1 calls bad is allowed where the grammar has it.
_NAME = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = rb"\"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*\""
_SIZE_LINE = re.compile(
    rb"([0-9A-Fa-f]+)"
    rb"(?:[ \t]*;[ \t]*"
    + _NAME
    + rb"(?:[ \t]*=[ \t]*(?:"
    + _NAME
    + rb"|"
    + _QUOTED
    + rb"))?)*"
)
# Checked while a size line is not yet whole: no prefix of a good one has these.
_NEVER = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

_LINE_LIMIT = 1024
"""Bytes of a chunk's size line; llhttp and hyper allow 16 KiB of extensions in all."""

_EXTENSIONS_LIMIT = 16384
"""Bytes of all extensions of one body, so that they cannot outweigh the data."""

# What decides about framing, routing or the request's meaning came before the body
# (RFC 9110, 6.5.1): a trailer of that name is an attempt to say it twice.
_NEVER_TRAILERS = frozenset(
    [
        "content-length",
        "transfer-encoding",
        "host",
        "connection",
        "trailer",
        "te",
        "upgrade",
        "expect",
        "content-type",
        "content-encoding",
        "content-range",
        "authorization",
        "proxy-authorization",
        "cookie",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-port",
        "cache-control",
        "max-forwards",
        "range",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
        "if-range",
        "keep-alive",
        "proxy-connection",
    ]
)

_SIZE, _DATA, _DATA_END, _TRAILERS, _DONE = range(5)


class ChunkedBody:
    """
    Takes one chunked body off the front of a buffer.

    @ivar done: the body and its trailers are complete.
    """

    __slots__ = (
        "_extensions",
        "_left",
        "_limits",
        "_room",
        "_state",
        "_trailers",
        "done",
    )

    def __init__(self, bodyLimit: int, limits: tuple[int, int, int]) -> None:
        """
        @param bodyLimit: bytes of data, 0 for no limit.
        @param limits: of the trailers: lines, bytes of a line, bytes in all.
        """
        self.done = False
        self._room = bodyLimit or -1
        self._limits = limits
        self._state = _SIZE
        self._left = 0
        self._extensions = 0
        self._trailers = (0, 0)

    def take(self, buffer: bytearray) -> bytes:
        """
        Remove from C{buffer} what belongs to the body, and not more.

        @return: a piece of data; C{b""} when there is none: then either L{done} or
            more bytes are needed.
        @raise RequestError: the body is malformed or too large.
        """
        while True:
            state = self._state
            if state == _DATA:
                if not buffer:
                    return b""
                data = bytes(buffer[: self._left])
                del buffer[: len(data)]
                self._left -= len(data)
                if not self._left:
                    self._state = _DATA_END
                return data
            if state == _DATA_END:
                if not b"\r\n".startswith(buffer[:2]):
                    raise RequestError(400, "chunk data longer than its size")
                if len(buffer) < 2:
                    return b""
                del buffer[:2]
                self._state = _SIZE
            elif state == _SIZE:
                if not self._takeSize(buffer):
                    return b""
            elif state == _TRAILERS:
                if not self._takeTrailer(buffer):
                    return b""
            else:
                return b""

    def _takeSize(self, buffer: bytearray) -> bool:
        line = _takeLine(buffer, _LINE_LIMIT, 400, "a chunk size line too long")
        if line is None:
            return False
        found = _SIZE_LINE.fullmatch(line)
        if found is None:
            raise RequestError(400, "not a chunk size line")
        size = int(found[1], 16)
        self._extensions += len(line) - len(found[1])
        if self._extensions > _EXTENSIONS_LIMIT:
            raise RequestError(400, "chunk extensions beyond 16384 bytes")
        if not size:
            self._state = _TRAILERS
            return True
        if self._room >= 0:
            self._room -= size
            if self._room < 0:
                raise RequestError(413, "a chunked body beyond limit-request-body")
        self._left = size
        self._state = _DATA
        return True

    def _takeTrailer(self, buffer: bytearray) -> bool:
        lines, size, total = self._limits
        count, used = self._trailers
        line = _takeLine(
            buffer, max(min(size, total - used), 0), 431, "trailers beyond limits"
        )
        if line is None:
            return False
        if not line:
            self._state = _DONE
            self.done = True
            return True
        if count == lines:
            raise RequestError(431, "trailers beyond limit-request-fields")
        name, _ = fieldOf(line)
        if name.lower() in _NEVER_TRAILERS:
            raise RequestError(400, f"{name} in a trailer")
        self._trailers = (count + 1, used + len(line) + 2)
        return True


def _takeLine(buffer: bytearray, limit: int, status: int, reason: str) -> bytes | None:
    """
    Remove a line and its CRLF.

    What is refused is refused at the same byte, however the line arrives: first
    control characters within the limit, then the limit.
    """
    end = buffer.find(b"\r\n", 0, limit + 2)
    line = bytes(buffer[:end] if end >= 0 else buffer[: limit + 1])
    if end < 0 and line.endswith(b"\r") and len(line) == len(buffer):
        # This may be the first half of CRLF.
        line = line[:-1]
    if _NEVER.search(line) is not None:
        raise RequestError(400, "a control character in the framing of a chunk")
    if len(line) > limit:
        raise RequestError(status, reason)
    if end < 0:
        return None
    del buffer[: end + 2]
    return line
