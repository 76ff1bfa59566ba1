"""
Protocols with one request on each connection: SCGI, uwsgi and CGI.

A head, as many bytes of body as the head announces, the answer, the end. What comes
after the body is ignored and never parsed: nginx is known to announce less than it
sends (its issue 1118). A peer may close its half of the connection as soon as it has
sent its request.

The states and what leads from one to the other::

    HEAD ----- WITH_BODY ----> BODY ----- LAST -----> ENDED ----- TOLD ----> ANSWER
     |                          |  |                                        |    ^
     |-- WITHOUT_BODY --------- | -+- PIECE                          EXCESS +----+
     |                          |
     +-- END_OF_STREAM          +-- END_OF_STREAM: the body is incomplete
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from svctree.wire.cgireply import CGIReply
from svctree.wire.cgivars import environOf, requestLine
from svctree.wire.contract import (
    END,
    Limits,
    Marker,
    Reply,
    Request,
    RequestError,
    Truncated,
)
from svctree.wire.repeats import Known, Repeats

__all__ = ["TRANSITIONS", "Head", "OneRequest", "OneRequestFactory"]

# Plain texts and not an Enum, whose hash is computed in Python: these are looked up
# for each request.
HEAD, BODY, ENDED, ANSWER, CLOSED = "HEAD", "BODY", "ENDED", "ANSWER", "CLOSED"
WITH_BODY, WITHOUT_BODY, PIECE = "WITH_BODY", "WITHOUT_BODY", "PIECE"
LAST, TOLD, EXCESS, END_OF_STREAM = "LAST", "TOLD", "EXCESS", "END_OF_STREAM"

TRANSITIONS: dict[str, dict[str, str]] = {
    HEAD: {WITH_BODY: BODY, WITHOUT_BODY: ANSWER, END_OF_STREAM: CLOSED},
    BODY: {PIECE: BODY, LAST: ENDED, END_OF_STREAM: CLOSED},
    ENDED: {TOLD: ANSWER},
    ANSWER: {EXCESS: ANSWER, END_OF_STREAM: ANSWER},
    CLOSED: {EXCESS: CLOSED, END_OF_STREAM: CLOSED},
}
"""For each state the events that it has a place for, and the state after them."""


Head = tuple[dict[str, str], int, int]
"""
What a protocol finds at the beginning of its connection: the variables in latin-1; how
many bytes the head took, i.e. where the body begins; and the bytes of the body, -1 when
it ends with the stream.
"""


class OneRequest(CGIReply):
    """
    The input side of these protocols; they add L{takeHead}.
    """

    __slots__ = (
        "_chunks",
        "_eof",
        "_have",
        "_left",
        "_limits",
        "_mount",
        "_need",
        "_repeats",
        "_state",
        "_template",
        "_total",
        "_trust",
        "idle",
    )

    def __init__(
        self,
        template: dict[str, object],
        limits: Limits,
        mount: str = "",
        trust: Callable[[str], bool] | None = None,
        repeats: Repeats | None = None,
    ) -> None:
        """
        @param template: keys of every environ of this connection.
        @param mount: the path prefix of the application, or C{""}.
        @param trust: see L{svctree.wire.contract.ICodecFactory}.
        @param repeats: of connections with the same mount and trust.
        """
        self.keepAlive = self._head = self._bare = self._mute = False
        self.idle = True
        self._template = template
        self._limits = limits
        self._mount = mount
        self._trust = trust
        self._repeats = repeats
        self._state = HEAD
        self._chunks: list[bytes] = []
        self._have = 0
        # Bytes without which looking again at the head is of no use, so that a head
        # that comes byte by byte is not copied each time.
        self._need = 1
        self._left = 0
        self._total = 0
        self._eof = False

    def feed(self, data: bytes) -> Request | bytes | Marker | Reply | None:
        if not data:
            self._eof = True
        elif not self._have and self._state == HEAD:
            # The usual case: nothing has come before, and this is a whole head.
            if self._repeats is not None and data in self._repeats.known:
                return self._again(self._repeats.known[data])
            self.idle = False
            self._have = len(data)
            return self._begin(data)
        elif self._state != ANSWER and self._state != CLOSED:
            self.idle = False
            self._chunks.append(data)
            self._have += len(data)
        return self.nextEvent()

    def takeHead(self, data: bytes) -> Head | int:
        """
        @return: the head, or how many bytes C{data} must have at least before
            another look is worth it.
        @raise RequestError: C{data} can never become a head.
        """
        raise NotImplementedError

    def _again(self, known: Known) -> Request:
        """
        Hot path. A request that was read before, and has no body.
        """
        self._state = TRANSITIONS[HEAD][WITHOUT_BODY]
        self._head = known.isHead
        environ = {**self._template, **known.variables}
        return Request(environ, 0, True, False, known.line)

    def nextEvent(self) -> Request | bytes | Marker | Reply | None:
        state = self._state
        if state == HEAD:
            if self._have >= self._need:
                return self._begin(self._joined())
            if self._eof:
                self._incomplete()
            return None
        if state == BODY:
            return self._body()
        if state == ENDED:
            self._state = TRANSITIONS[ENDED][TOLD]
            return END
        return None

    def _joined(self) -> bytes:
        chunks = self._chunks
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _incomplete(self) -> None:
        self._state = TRANSITIONS[HEAD][END_OF_STREAM]
        if self._have:
            self._mute = True
            raise Truncated("the stream ended in the head of a request")

    def _begin(self, data: bytes) -> Request | None:
        """
        Hot path. Take the head, if C{data} has all of it.
        """
        try:
            head = self.takeHead(data)
            if head.__class__ is int:
                self._need = head  # type: ignore[assignment]
                self._chunks = [data]
                # The stream may have ended already; this time it is looked at.
                if self._eof:
                    self._incomplete()
                return None
            variables, size, length = head  # type: ignore[misc]
            environ = environOf(variables, self._template, self._mount)
        except RequestError:
            self._state = CLOSED
            self._chunks = []
            raise
        if variables["REQUEST_METHOD"] == "HEAD":
            self._head = True
        if not length:
            self._state = TRANSITIONS[HEAD][WITHOUT_BODY]
            self._chunks = []
            # Nothing more is to come: the connection may close without lingering.
            self.idle = self._have == size
            line = requestLine(variables)
            if self._repeats is not None and self.idle:
                self._repeats.saw(data, variables, environ, line)
            return Request(environ, 0, True, False, line)
        self._left = length
        self._state = TRANSITIONS[HEAD][WITH_BODY]
        self._have -= size
        self._chunks = [data[size:]] if self._have else []
        return Request(environ, length, False, False, requestLine(variables))

    def _body(self) -> bytes | Marker | None:
        if not self._have:
            if not self._eof:
                return None
            if self._left < 0:
                # The stream's end is the body's.
                self.idle = True
                self._state = TRANSITIONS[TRANSITIONS[BODY][LAST]][TOLD]
                return END
            self._state = TRANSITIONS[BODY][END_OF_STREAM]
            raise Truncated(f"the stream ended {self._left} bytes before the body did")
        data = self._joined()
        self._chunks = []
        self._have = 0
        if self._left < 0:
            self._total += len(data)
            if self._total > self._limits.body > 0:
                self._state = CLOSED
                raise RequestError(
                    413, f"the body has more than {self._limits.body} bytes"
                )
            return data
        if len(data) < self._left:
            self._left -= len(data)
            return data
        if len(data) > self._left:
            data = data[: self._left]
        else:
            self.idle = True
        self._left = 0
        self._state = TRANSITIONS[BODY][LAST]
        return data


class OneRequestFactory:
    """
    Makes the codecs of a worker's connections.

    @cvar codec: of which class.
    """

    __slots__ = ("_limits", "_mount", "_repeats")

    codec: ClassVar[type[OneRequest]]

    def __init__(self, limits: Limits, mount: str, serverName: str) -> None:
        """
        @param serverName: unused, since the Server field is the front end's.
        """
        self._limits = limits
        self._mount = mount
        self._repeats = Repeats()

    def __call__(
        self, template: dict[str, object], trust: Callable[[str], bool] | None
    ) -> OneRequest:
        # What is known was screened for peers that are not trusted.
        repeats = self._repeats if trust is None else None
        return self.codec(template, self._limits, self._mount, trust, repeats)

    def tick(self, now: float) -> None:
        """
        Nothing here depends on the time.
        """
