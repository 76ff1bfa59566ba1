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
from svctree.wire.contract import (
    END,
    Limits,
    Marker,
    Reply,
    Request,
    RequestError,
    Truncated,
)
from svctree.wire.reader import Head, Reader
from svctree.wire.repeats import Known
from svctree.wire.shapes import Notation

__all__ = ["TRANSITIONS", "NotSpoken", "OneRequest", "OneRequestFactory"]

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

_ALONE = TRANSITIONS[HEAD][WITHOUT_BODY]


class NotSpoken(RequestError):
    """
    The peer does not speak the protocol; the connection closes without an answer.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(400, reason)


class OneRequest(CGIReply):
    """
    The input side of these protocols; they add L{takeHead}.

    @cvar notation: how the protocol writes variables.
    """

    __slots__ = (
        "_chunks",
        "_eof",
        "_have",
        "_left",
        "_limits",
        "_mount",
        "_need",
        "_reader",
        "_state",
        "_template",
        "_total",
        "idle",
    )

    notation: ClassVar[Notation]

    def __init__(
        self,
        template: dict[str, object],
        limits: Limits,
        reader: Reader | None = None,
    ) -> None:
        """
        @param template: keys of every environ of this connection.
        @param reader: of all connections with the same limits, mount and trust;
            L{None} for a protocol that does not find its variables in bytes.
        """
        self.keepAlive = self._head = self._bare = self._mute = False
        self.idle = True
        self._template = template
        self._limits = limits
        self._reader = reader
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
            if self._reader is not None:
                repeats = self._reader.repeats
                if repeats.rest:
                    repeats.rest -= 1
                elif (known := repeats.find(data)) is not None:
                    return self._again(known)
            self.idle = False
            self._have = len(data)
            return self._begin(data)
        elif self._state != ANSWER and self._state != CLOSED:
            self.idle = False
            self._chunks.append(data)
            self._have += len(data)
        return self.nextEvent()

    def renew(self) -> None:
        """
        Hot path. Begin anew, for another connection with the same template and as much
        trust; only after a request that came whole and was answered.
        """
        self._state = HEAD
        self._head = self._bare = False
        self._have = 0

    def takeHead(self, data: bytes) -> tuple[int, Head] | int:
        """
        @return: how many bytes the head took, i.e. where the body begins, and what it
            says; or how many bytes C{data} must have at least before another look is
            worth it.
        @raise RequestError: C{data} can never become a head.
        """
        raise NotImplementedError

    def _again(self, known: Known) -> Request:
        """
        Hot path. A request that was read before, and has no body.
        """
        self._state = _ALONE
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
            taken = self.takeHead(data)
        except RequestError as error:
            self._mute = isinstance(error, NotSpoken)
            self._state = CLOSED
            self._chunks = []
            raise
        if taken.__class__ is int:
            self._need = taken  # type: ignore[assignment]
            self._chunks = [data]
            # The stream may have ended already; this time it is looked at.
            if self._eof:
                self._incomplete()
            return None
        size, (environ, length, line, self._head, own) = taken  # type: ignore[misc]
        self._chunks.clear()
        if not length:
            self._state = _ALONE
            # Nothing more is to come: the connection may close without lingering.
            self.idle = self._have == size
            reader = self._reader
            if self.idle and reader is not None and not reader.repeats.rest:
                reader.repeats.saw(data, environ, own, line, self._head)
            return Request(environ, 0, True, False, line)
        self._left = length
        self._state = TRANSITIONS[HEAD][WITH_BODY]
        self._have -= size
        if self._have:
            self._chunks.append(data[size:])
        return Request(environ, length, False, False, line)

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
    @cvar renewable: see L{svctree.wire.contract.ICodecFactory}.
    """

    __slots__ = ("_limits", "_readers")

    renewable = True

    codec: ClassVar[type[OneRequest]]

    def __init__(self, limits: Limits, mount: str, serverName: str) -> None:
        """
        @param serverName: unused, since the Server field is the front end's.
        """
        self._limits = limits
        notation = self.codec.notation
        # By trust: one must not learn from what the other says.
        self._readers = {
            trusted: Reader(notation, limits, mount, trusted)
            for trusted in (False, True)
        }

    def __call__(
        self, template: dict[str, object], trust: Callable[[str], bool] | None
    ) -> OneRequest:
        return self.codec(template, self._limits, self._readers[trust is not None])

    def tick(self, now: float) -> None:
        for reader in self._readers.values():
            reader.tick()
