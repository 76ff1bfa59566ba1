"""
The output side of a FastCGI connection.

Always in this order: records of STDOUT, the empty one that ends it, END_REQUEST, and
nothing after that. STDERR comes before what is sent next of these, never after them,
and only when an application asks for it.
"""

from __future__ import annotations

import sys

from svctree.wire.cgireply import (
    CGI_LINES,
    bodiless,
    errorPage,
    responseHead,
    wholeAnswer,
)
from svctree.wire.contract import Fields
from svctree.wire.fastcgi.errors import FrontEndLog
from svctree.wire.fastcgi.records import (
    HEADER,
    MAX_CONTENT,
    Kind,
    Status,
    renderEnd,
    renderRecord,
    renderStream,
)
from svctree.wire.fastcgi.states import Event, State, advance

__all__ = ["FastCGIReply"]

_MAX_NOTES = 65536

_STDOUT = Kind.STDOUT
_ANSWER = State.ANSWER
_AFTER_ANSWER = advance(_ANSWER, Event.ANSWERED)

# The end of STDOUT and the request, by request id. Front ends use 1 and little else.
_tails: dict[int, bytes] = {}


def _tail(requestID: int) -> bytes:
    tail = _tails.get(requestID)
    if tail is None:
        tail = renderRecord(Kind.STDOUT, requestID) + renderEnd(
            requestID, Status.REQUEST_COMPLETE
        )
        if len(_tails) < 64:
            _tails[requestID] = tail
    return tail


class FastCGIReply:
    """
    Renders the answer to the request in hand.

    @ivar keepAlive: the peer asked for it, and L{close} was not called.
    @cvar transparent: never; the body is cut into records.
    @cvar endsSilently: the protocol has no word for the last answer on a connection.
    @ivar idle: see L{svctree.wire.contract.ICodec}.
    """

    transparent = False
    endsSilently = True

    # As they are for a new connection. Front ends make one for each request, and most
    # of these never change.
    idle = True
    keepAlive = True
    _state = State.IDLE
    _requestID = 0
    # Bytes that have come and are not taken.
    _have = 0
    # The request was HEAD; no body may go out; the peer cannot be answered.
    _head = False
    _bare = False
    _mute = False
    _closing = False
    # STDIN of the request in hand has not ended. To close a connection while its peer
    # still sends would reset it, and cost the peer the answer.
    _open = False
    # Records of STDERR that wait for the next ones of STDOUT.
    _notes = b""
    # Of a Filter's request, which learns more about its body later.
    _environ: dict[str, object] | None = None

    def close(self) -> None:
        self._closing = True
        self.keepAlive = False

    def _answered(self) -> None:
        # The usual case costs no call.
        self._state = (
            _AFTER_ANSWER
            if self._state == _ANSWER
            else advance(self._state, Event.ANSWERED)
        )
        self._environ = None
        self.idle = not self._have and (self.keepAlive or not self._open)

    def whole(self, status: str, fields: Fields, body: bytes) -> bytes:
        data = wholeAnswer(CGI_LINES, status, fields, body, not self._head)
        size = len(data)
        requestID = self._requestID
        if self._notes or size > MAX_CONTENT:
            data = self._noted(renderStream(Kind.STDOUT, requestID, data))
            self._answered()
            return data + _tail(requestID)
        self._answered()
        return (
            HEADER.pack(1, _STDOUT, requestID, size, 0)
            + data
            + (_tails.get(requestID) or _tail(requestID))
        )

    def head(self, status: str, fields: Fields, length: int) -> bytes:
        without = bodiless(status)
        self._bare = self._head or without
        if without:
            length = -1
        elif fields.contentLength >= 0:
            length = fields.contentLength
        data = responseHead(CGI_LINES, status, fields, length)
        return self._noted(renderStream(Kind.STDOUT, self._requestID, data))

    def piece(self, data: bytes) -> bytes:
        if self._bare:
            return b""
        return self._noted(renderStream(Kind.STDOUT, self._requestID, data))

    def end(self) -> bytes:
        notes = self._noted(b"")
        self._answered()
        return notes + _tail(self._requestID)

    def errors(self) -> FrontEndLog:
        """
        @return: C{wsgi.errors} for an application whose messages are to go to the
            front end's error log; it has this method as C{fcgi.errors}.
        """
        return FrontEndLog(self.stderr, sys.stderr)

    def stderr(self, data: bytes) -> bool:
        """
        Send a message for the front end's error log along with what comes next.

        @return: whether it will be sent: there is an answer under way, and not too
            much has been said already.
        """
        if self._state == State.IDLE or len(self._notes) > _MAX_NOTES:
            return False
        self._notes += renderStream(Kind.STDERR, self._requestID, data)
        return True

    def _noted(self, data: bytes) -> bytes:
        notes, self._notes = self._notes, b""
        return notes + data

    def interim(self, status: int, block: bytes = b"") -> bytes:
        """
        CGI has no place for one.
        """
        return b""

    def error(self, status: int) -> bytes:
        if self._mute or self._state == State.IDLE:
            return b""
        self.keepAlive = False
        verdict = Status.OVERLOADED if status == 503 else Status.REQUEST_COMPLETE
        page = errorPage(CGI_LINES, status)
        if self._head:
            page = page[: page.index(b"\r\n\r\n") + 4]
        requestID = self._requestID
        self._state = State.IDLE
        return b"".join(
            (
                self._noted(b""),
                renderStream(Kind.STDOUT, requestID, page),
                renderRecord(Kind.STDOUT, requestID),
                renderEnd(requestID, verdict),
            )
        )
