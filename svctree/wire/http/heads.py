"""
From a head to a request.

The short way is written for speed: a head without a body costs two dictionary updates
and no regular expression, and its answer one join; what it has in common with those
before it costs less still (L{svctree.wire.http.alike}). Whatever is not plain leaves it
(C{_settle}), whatever is wrong is judged anew in the order of the stream
(L{svctree.wire.http.judge}).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from svctree.wire.contract import Request, RequestError
from svctree.wire.http.alike import Alike, common
from svctree.wire.http.chunked import ChunkedBody
from svctree.wire.http.fields import SINGLETONS, SPECIAL, Special
from svctree.wire.http.forwarded import believe
from svctree.wire.http.judge import HeadJudge
from svctree.wire.http.rendering import Rendering
from svctree.wire.http.target import RequestLine

if TYPE_CHECKING:
    from svctree.wire.http.factory import HTTPFactory

__all__ = ["BODY", "BROKEN", "CHUNKS", "HEAD", "Heads", "linesOf"]

HEAD, BODY, CHUNKS, BROKEN = range(4)
"""What comes next: a head, a body of known length, chunks; or nothing that is read."""


class Heads(Rendering):
    """
    The part of a codec that reads heads, and what it has to remember for that.

    @ivar idle: see L{svctree.wire.contract.ICodec}.
    """

    __slots__ = (
        "_alike",
        "_along",
        "_asked",
        "_body",
        "_buffer",
        "_emptyLine",
        "_factory",
        "_fields",
        "_first",
        "_judge",
        "_left",
        "_lines",
        "_maxFields",
        "_seen",
        "_size",
        "_state",
        "_surely",
        "_template",
        "_trust",
        "idle",
    )

    def __init__(
        self,
        factory: HTTPFactory,
        template: dict[str, object],
        trust: Callable[[str], bool] | None,
    ) -> None:
        super().__init__(factory)
        self.idle = True
        self._factory = factory
        self._template = template
        self._size = len(template)
        self._trust = trust
        self._lines = factory.lines.__getitem__
        fields = factory.fields if trust is None else factory.proxyFields
        self._fields = fields.__getitem__
        self._maxFields = factory.limits.fields
        self._surely = factory.surely
        self._along = factory.limits.along
        self._asked = Request(template)
        self._buffer: bytearray | None = None
        self._first = b""
        # The lines of the first request; None when there is nothing more to learn.
        self._seen: list[bytes] | None = [] if trust is None else None
        self._alike: Alike | None = None
        self._state = HEAD
        self._judge: HeadJudge | None = None
        self._emptyLine = False
        self._left = 0
        self._body: ChunkedBody | None = None

    def _newJudge(self) -> HeadJudge:
        factory = self._factory
        fields = factory.fields if self._trust is None else factory.proxyFields
        return HeadJudge(factory.limits, factory.lines, fields)

    def _head(self, head: bytes) -> Request:
        """
        Turn a head into a request.

        @param head: with the empty line at its end.
        """
        size = len(head) - 4
        if self._alike is not None and size <= self._surely:
            request = self._again(head, self._alike)
            if request is not None:
                return request
        start = head.find(b"\r\n")
        try:
            if size > self._surely:
                self._newJudge().look(head[:-4], True)
            return self._request(head[:start], linesOf(head[start:-4]))
        except RequestError:
            # Something is wrong; say what was wrong first.
            self._break()
            self._newJudge().look(head[:-4], True)
            raise

    def _again(self, head: bytes, alike: Alike) -> Request | None:
        """
        Hot path. Turn a head into a request of which the most is known.

        @param head: with the empty line at its end.
        @return: L{None} where it is not plain, not like those before, or not even
            right.
        """
        start = head.find(b"\r\n")
        stop = start + alike.size
        if head[start:stop] != alike.front or head[alike.stop :] != alike.tail:
            return None
        line = head[:start]
        between = head[stop : alike.stop]
        try:
            asked = self._lines(line)
            if asked.__class__ is not dict:
                return None
            environ = alike.environ.copy()
            environ.update(asked)
            if between:
                first, *lines = between.split(b"\r\n")
                if first or len(lines) + alike.count > self._maxFields:
                    # The last line in common only begins like the one that came.
                    return None
                expected = alike.length
                for field in lines:
                    entry = self._fields(field)
                    if entry is not None:
                        environ[entry[0]] = entry[1]
                        expected += 1
                if len(environ) != expected or SPECIAL in environ:
                    return None
            request = self._asked
            if "CONTENT_LENGTH" in environ:
                self._frame(environ["CONTENT_LENGTH"], None)  # type: ignore[arg-type]
            else:
                request.bodyLength = 0
        except RequestError:
            return None
        request.environ = environ
        request.line = line
        self._minor = 1
        self._emptyLine = self._bodyless = False
        self._plain = self.keepAlive = not self._closing
        return request

    def _learn(self, lines: list[bytes]) -> None:
        """
        A plain request was not like those before, or is among the first.
        """
        alike = self._alike
        if alike is not None:
            known = alike.lines()
        elif self._seen:
            known = self._seen, self._seen
        else:
            self._seen = lines
            return
        front, back = common(*known, lines)
        environ = self._template.copy()
        environ.update(filter(None, map(self._fields, front + back)))
        if "HTTP_HOST" in environ:
            self._seen = []
            self._alike = Alike(front, back, environ)
        else:
            # Not even that: somebody passes on the requests of many.
            self._seen = self._alike = None

    def _request(self, line: bytes, lines: list[bytes]) -> Request:
        """
        Hot path. Turn the lines of a head into a request.

        @raise RequestError: something is wrong, not necessarily the first thing.
        """
        asked = self._lines(line)
        entries = list(filter(None, map(self._fields, lines)))
        environ = self._template.copy()
        if asked.__class__ is dict:
            environ.update(asked)
            environ.update(entries)
        request = self._asked
        request.line = line
        if (
            asked.__class__ is dict
            and len(environ) == self._size + len(entries)
            and "HTTP_HOST" in environ
            and SPECIAL not in environ
            and len(lines) <= self._maxFields
            and self._trust is None
        ):
            request.environ = environ
            request.expectContinue = False
            self._minor = 1
            if "CONTENT_LENGTH" in environ:
                self._frame(environ["CONTENT_LENGTH"], None)  # type: ignore[arg-type]
            else:
                request.bodyLength = 0
                request.done = True
            self._emptyLine = self._bodyless = False
            self._plain = self.keepAlive = not self._closing
            if self._seen is not None:
                self._learn(lines)
            return request
        if len(lines) > self._maxFields:
            raise RequestError(431, "more fields than limit-request-fields")
        full = asked if isinstance(asked, RequestLine) else RequestLine(asked)
        self._settle(full, lines)
        self._bodyless = full.head
        self._emptyLine = False
        if self._closing:
            self.keepAlive = False
        self._plain = self.keepAlive and not full.head and self._minor == 1
        return request

    def _settle(self, asked: RequestLine, lines: list[bytes]) -> None:
        """
        The long way: fields that repeat, frame the body, or rule the connection.
        """
        environ = self._template | asked.variables
        seen: dict[str, str] = {}
        words: list[str] = []
        special: dict[str, str] = {}
        for line in lines:
            entry = self._fields(line)
            if entry is None:
                if line[:11].lower() == b"connection:":
                    words.append("keep-alive")
                continue
            key, value = entry
            if isinstance(value, Special):
                key = value.key
                if key == "HTTP_CONNECTION":
                    words += [word.strip(" \t") for word in value.value.split(",")]
                    continue
                if key in special:
                    raise RequestError(400, f"more than one {key[5:]}")
                special[key] = value.value
            elif key in seen:
                if key in SINGLETONS:
                    raise RequestError(400, f"more than one {key}")
                joint = "; " if key == "HTTP_COOKIE" else ", "
                seen[key] += joint + str(value)
            else:
                seen[key] = str(value)
        if "HTTP_HOST" not in seen and asked.minor:
            raise RequestError(400, "no Host in HTTP/1.1")
        if asked.authority:
            seen["HTTP_HOST"] = asked.authority
        environ.update(seen)
        if self._trust is not None:
            believe(environ, self._trust)
        self._minor = asked.minor
        self.keepAlive = "close" not in words and (
            asked.minor == 1 or "keep-alive" in words
        )
        # The framing comes last: it changes the state, and the short way must be able
        # to begin again where this raises.
        expected = special.get("HTTP_EXPECT") if asked.minor else None
        if expected is not None and expected != "100-continue":
            raise RequestError(417, "an expectation other than 100-continue")
        request = self._asked
        request.environ = environ
        self._frame(seen.get("CONTENT_LENGTH"), special.get("HTTP_TRANSFER_ENCODING"))
        request.expectContinue = expected is not None and not request.done

    def _frame(self, length: str | None, coding: str | None) -> None:
        """
        How the body ends (RFC 9112, 6).
        """
        request = self._asked
        limits = self._factory.limits
        if coding is not None:
            if length is not None:
                raise RequestError(400, "Content-Length with Transfer-Encoding")
            if not self._minor:
                raise RequestError(400, "Transfer-Encoding in HTTP/1.0")
            if coding != "chunked":
                raise RequestError(*_notChunked(coding))
            trailers = limits.fields, limits.fieldSize, limits.head
            self._body = ChunkedBody(limits.body, trailers)
            self._state = CHUNKS
            request.bodyLength = -1
            request.done = False
        else:
            size = int(length or 0)
            if limits.body and size > limits.body:
                raise RequestError(413, "Content-Length beyond limit-request-body")
            request.bodyLength = self._left = size
            request.done = not size
            if size:
                self._state = BODY
        if not request.done:
            self.idle = False

    def _break(self) -> None:
        self._state = BROKEN
        self._buffer = None
        self.keepAlive = False
        self._closing = True


def linesOf(block: bytes) -> list[bytes]:
    """
    @param block: nothing, or lines with a CRLF before each.
    """
    lines = block.split(b"\r\n")
    del lines[0]
    return lines


_CODINGS = frozenset(("gzip", "x-gzip", "deflate", "compress", "x-compress"))


def _notChunked(coding: str) -> tuple[int, str]:
    words = [word.strip(" \t") for word in coding.split(",")]
    if words[-1:] == ["chunked"] and words[:-1] and _CODINGS.issuperset(words[:-1]):
        return 501, f"the transfer coding {coding}"
    return 400, "a Transfer-Encoding other than chunked"
