"""
Answers in CGI's form (RFC 3875, section 6), shared by SCGI, FastCGI, uwsgi and CGI.

The status comes first, as C{Status: 200 OK}, since some front ends look no further
for it; every line ends with CRLF, since lighttpd splits mixed ends in the wrong
place; there is no framing of its own: the front end frames towards its client. Date
and Server are the front end's business too.
"""

from __future__ import annotations

from typing import ClassVar

from svctree.wire.contract import Fields

__all__ = [
    "CGI_LINES",
    "PHRASES",
    "CGIReply",
    "StatusLines",
    "bodiless",
    "errorPage",
    "responseHead",
    "wholeAnswer",
]

PHRASES = {
    400: "Bad Request",
    403: "Forbidden",
    408: "Request Timeout",
    411: "Length Required",
    413: "Content Too Large",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
"""The statuses that a codec or its connection answers by itself."""

_MAX_LINES = 256


class StatusLines(dict[str, tuple[bytes, bool]]):
    """
    By status, its rendered line, and whether it allows no body. Applications use a
    handful; the bound is for the one that makes them up.
    """

    def __init__(self, prefix: bytes) -> None:
        """
        @param prefix: what stands before the status: C{b"Status: "}, or the version
            where the protocol wants HTTP's status line.
        """
        super().__init__()
        self._prefix = prefix

    def __missing__(self, status: str) -> tuple[bytes, bool]:
        line = self._prefix + status.encode("latin-1") + b"\r\n"
        found = line, bodiless(status)
        if len(self) >= _MAX_LINES:
            self.clear()
        self[status] = found
        return found


CGI_LINES = StatusLines(b"Status: ")
"""As CGI has them."""


def bodiless(status: str) -> bool:
    """
    @return: whether RFC 9110 allows no body with this status: 1xx, 204, 304.
    """
    return status[:1] == "1" or status[:3] in ("204", "304")


def responseHead(lines: StatusLines, status: str, fields: Fields, length: int) -> bytes:
    """
    @param length: for Content-Length; -1 leaves it out.
    @return: the head with its empty line.
    """
    line, _ = lines[status]
    if length >= 0:
        return b"%b%bContent-Length: %d\r\n\r\n" % (line, fields.block, length)
    return b"%b%b\r\n" % (line, fields.block)


def wholeAnswer(
    lines: StatusLines, status: str, fields: Fields, body: bytes, asked: bool
) -> bytes:
    """
    Hot path. Render an answer that is one block.

    @param asked: whether the client wants the body; not so with HEAD, whose
        Content-Length is that of the body which GET would give.
    """
    line, empty = lines[status]
    length = fields.contentLength
    if asked and not empty:
        if length < 0:
            length = len(body)
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (
            line,
            fields.block,
            length,
            body,
        )
    if length < 0 and body:
        length = len(body)
    return responseHead(lines, status, fields, -1 if empty else length)


def errorPage(lines: StatusLines, status: int) -> bytes:
    """
    @return: a complete plain answer that says no more than its status.
    """
    phrase = f"{status} {PHRASES.get(status, 'Error')}"
    text = phrase.encode("ascii") + b"\n"
    fields = Fields(b"Content-Type: text/plain; charset=utf-8\r\n")
    return responseHead(lines, phrase, fields, len(text)) + text


class CGIReply:
    """
    The output side of a codec whose answer ends with its connection.

    @cvar lines: the protocol's status lines.
    @ivar keepAlive: never.
    @cvar transparent: the body goes out as it is.
    """

    __slots__ = ("_bare", "_head", "_mute", "keepAlive")

    lines: ClassVar[StatusLines] = CGI_LINES
    transparent = True

    def __init__(self) -> None:
        self.keepAlive = False
        # The request was HEAD; no body may go out; the peer cannot be answered.
        self._head = False
        self._bare = False
        self._mute = False

    def close(self) -> None:
        """
        Nothing to do: each answer is the last.
        """

    def whole(self, status: str, fields: Fields, body: bytes) -> bytes:
        return wholeAnswer(self.lines, status, fields, body, not self._head)

    def head(self, status: str, fields: Fields, length: int) -> bytes:
        without = bodiless(status)
        self._bare = self._head or without
        if without:
            length = -1
        elif fields.contentLength >= 0:
            length = fields.contentLength
        return responseHead(self.lines, status, fields, length)

    def piece(self, data: bytes) -> bytes:
        return b"" if self._bare else data

    def end(self) -> bytes:
        return b""

    def interim(self, status: int, block: bytes = b"") -> bytes:
        """
        CGI has no place for one.
        """
        return b""

    def error(self, status: int) -> bytes:
        return b"" if self._mute else errorPage(self.lines, status)
