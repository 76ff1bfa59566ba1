"""
The verdict on a head that is not whole, or not good.
"""

from __future__ import annotations

import re

from svctree.wire.contract import Limits, RequestError
from svctree.wire.http.fields import FieldCache
from svctree.wire.http.target import RequestLines

__all__ = ["HeadJudge"]

_BAD = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class HeadJudge:
    """
    Reads a head line by line, in the order of the stream, as far as it has come.

    The short way through a head (L{svctree.wire.http.codec}) finds I{that} something
    is wrong; this finds I{what} was wrong first. So the verdict does not depend on
    how the bytes were delivered: a flaw counts where it stands, and limits count
    from the byte that crosses them. It also ends what can never become a request (a
    TLS greeting, a flood) without waiting for its end.
    """

    __slots__ = ("_count", "_fields", "_limits", "_lines", "_position", "_used")

    def __init__(self, limits: Limits, lines: RequestLines, fields: FieldCache) -> None:
        self._limits = limits
        self._lines = lines
        self._fields = fields
        self._position = 0
        self._count = -1
        self._used = 0

    def look(self, head: bytes | bytearray, whole: bool) -> None:
        """
        Judge the lines that came since the last call.

        @param head: from the request line on; without its last CRLF CRLF if C{whole}.
        @raise RequestError: the first flaw.
        """
        while (end := head.find(b"\r\n", self._position)) >= 0:
            self._line(bytes(head[self._position : end]), True)
            self._position = end + 2
        last = bytes(head[self._position :])
        if not whole and last.endswith(b"\r"):
            # Perhaps the first half of CRLF.
            last = last[:-1]
        self._line(last, whole)

    def _line(self, line: bytes, whole: bool) -> None:
        limits = self._limits
        if self._count < 0:
            room, status = limits.line, 414
        else:
            room, status = min(limits.fieldSize, limits.head - self._used), 431
        if _BAD.search(line[: max(room, 0) + 1]) is not None:
            raise RequestError(400, "a control character in the head")
        if len(line) > room:
            raise RequestError(status, "a head beyond its limits")
        if not whole:
            return
        if self._count < 0:
            self._lines[line]
        else:
            if self._count >= limits.fields:
                raise RequestError(431, "more fields than limit-request-fields")
            self._fields[line]
            self._used += len(line) + 2
        self._count += 1
