"""
One FastCGI connection.

One request is in hand at a time; the connection may be kept for the next. Who asks
is told so truthfully: C{FCGI_MPXS_CONNS} is 0, and a second request on a connection
whose first is not answered gets C{CANT_MPX_CONN}, while the first goes on.

Management records are answered, and nothing is ever sent that was not asked for:
nginx takes any other record for an error, and after END_REQUEST one byte too many
makes it give the connection up.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

from svctree.wire.contract import (
    ABORT,
    Limits,
    Marker,
    Reply,
    Request,
    Truncated,
)
from svctree.wire.fastcgi.pairs import renderPairs, takePairs
from svctree.wire.fastcgi.records import (
    FastCGIError,
    Kind,
    Record,
    Role,
    Status,
    renderEnd,
    renderRecord,
    takeRecord,
)
from svctree.wire.fastcgi.states import Event, State, advance
from svctree.wire.fastcgi.streams import FastCGIStreams
from svctree.wire.reader import Reader

__all__ = ["FastCGICodec"]

_KEEP_CONNECTION = 1

_BEGUN = advance(State.IDLE, Event.BEGIN)
_HAS_PARAMS = advance(_BEGUN, Event.PARAMS)

# What nginx, lighttpd and Apache send before and after the parameters of request 1.
# First the header of BEGIN_REQUEST, role and flags, then kind and request, length and
# padding of PARAMS.
_SHORT = struct.Struct(">8sHB5x4sHBx")
_BEGIN_ONE = bytes((1, Kind.BEGIN_REQUEST, 0, 1, 0, 8, 0, 0))
_PARAMS_ONE = bytes((1, Kind.PARAMS, 0, 1))
_PARAMS_END_ONE = bytes((1, Kind.PARAMS, 0, 1, 0, 0, 0, 0))
_STDIN_END_ONE = bytes((1, Kind.STDIN, 0, 1, 0, 0, 0, 0))


class FastCGICodec(FastCGIStreams):
    """
    One connection from a FastCGI front end.
    """

    # What has come: _data from _at on, then _chunks; it is put together when there is
    # enough for another record, so that a record that comes byte by byte is not copied
    # each time, nor the many that may follow a short one.
    _data = b""
    _at = 0
    _chunks: list[bytes] | None = None
    _need = 1
    _eof = False
    # Why nothing more is taken, once a peer that may not come, or whose connection was
    # for one request only, has been told.
    _over = ""

    def __init__(
        self,
        template: dict[str, object],
        limits: Limits,
        readers: Mapping[int, Reader],
        values: Mapping[str, str],
        refused: bool = False,
    ) -> None:
        """
        @param template: keys of every environ of this connection.
        @param readers: for each role, of all connections with the same limits, mount
            and trust.
        @param values: the answers to GET_VALUES.
        @param refused: the peer is not one of C{FCGI_WEB_SERVER_ADDRS}; whatever it
            sends closes the connection.
        """
        self._template = template
        self._limits = limits
        self._readers = readers
        self._values = values
        if refused:
            self._over = "the peer is not one of FCGI_WEB_SERVER_ADDRS"

    # Input.

    def feed(self, data: bytes) -> Request | bytes | Marker | Reply | None:
        if not data:
            self._eof = True
        elif not self._have:
            self._data = data
            self._at = 0
            self._have = len(data)
            self.idle = False
        else:
            if self._chunks is None:
                self._chunks = []
            self._chunks.append(data)
            self._have += len(data)
        return self.nextEvent()

    def nextEvent(self) -> Request | bytes | Marker | Reply | None:
        if self._pending is not None:
            event, self._pending = self._pending, None
            return event
        if self._over:
            self._mute = True
            raise FastCGIError(self._over)
        try:
            while self._have >= self._need:
                if self._chunks:
                    self._data = b"".join((self._data[self._at :], *self._chunks))
                    self._chunks = None
                    self._at = 0
                data, at = self._data, self._at
                if self._state == State.IDLE and self._have >= 32:
                    request = self._takeShort(data, at)
                    if request is not None:
                        return request
                taken = takeRecord(data, at)
                if isinstance(taken, int):
                    self._need = taken - at
                    break
                record, end = taken
                self._taken(end)
                happened = self._onRecord(record)
                if happened is not None:
                    return happened
        except FastCGIError:
            self._mute = True
            raise
        if self._state == State.IDLE:
            self.idle = not self._have
        if self._eof:
            self._atEnd()
        return None

    def _taken(self, end: int) -> None:
        """
        Hot path. All before this offset is done with.
        """
        self._have -= end - self._at
        self._at = end
        self._need = 1
        if not self._have:
            # An idle connection keeps nothing.
            self._data = b""
            self._at = 0

    def _atEnd(self) -> None:
        # The end of the stream after a request was taken is a peer that sends no
        # more, or one that went away: writing the answer will tell.
        if self._state == State.ANSWER or self.idle:
            return
        self._mute = True
        raise Truncated("the stream ended inside a FastCGI request")

    def _takeShort(self, data: bytes, at: int) -> Request | None:
        """
        Hot path. Take a request that is all there in its usual form, without a look at
        each record: BEGIN_REQUEST, one record of PARAMS, its end.

        It changes nothing unless it takes the whole head, and what it takes means the
        same record by record.
        """
        begin, role, flags, start, length, padding = _SHORT.unpack_from(data, at)
        if begin != _BEGIN_ONE or role != Role.RESPONDER or start != _PARAMS_ONE:
            return None
        at += 24
        end = at + length + padding
        if data[end : end + 8] != _PARAMS_END_ONE or not length:
            return None
        if length > self._limits.head:
            return None
        end += 8
        self._begin(1, role, flags)
        self._state = _HAS_PARAMS
        request = self._request(data[at : at + length])
        # The empty body of a GET; were it left, it would be skipped after the answer.
        if request.done and data[end : end + 8] == _STDIN_END_ONE:
            end += 8
            self._open = False
        self._taken(end)
        return request

    def _onRecord(self, record: Record) -> Request | bytes | Marker | Reply | None:
        kind, requestID, content = record
        if not requestID:
            return self._manage(kind, content)
        if kind == Kind.BEGIN_REQUEST:
            return self._onBegin(requestID, content)
        handler = _HANDLERS.get(kind)
        if handler is None:
            raise FastCGIError(f"got a record of type {kind} for a request")
        if requestID != self._requestID or self._state == State.IDLE:
            # Of a request that was refused, or that is over.
            return None
        return handler(self, content)

    def _manage(self, kind: int, content: bytes) -> Reply:
        if kind != Kind.GET_VALUES:
            return Reply(
                renderRecord(Kind.UNKNOWN_TYPE, 0, bytes((kind, 0, 0, 0, 0, 0, 0, 0)))
            )
        known = {
            name: self._values[name]
            for name in takePairs(content)
            if name in self._values
        }
        return Reply(renderRecord(Kind.GET_VALUES_RESULT, 0, renderPairs(known)))

    def _onBegin(self, requestID: int, content: bytes) -> Reply | None:
        if len(content) != 8:
            raise FastCGIError(f"BEGIN_REQUEST has {len(content)} bytes, expected 8")
        role = content[0] << 8 | content[1]
        if self._state != State.IDLE:
            if requestID == self._requestID:
                advance(self._state, Event.BEGIN)
            return Reply(renderEnd(requestID, Status.CANT_MPX_CONN))
        if role not in Role.names:
            if not content[2] & _KEEP_CONNECTION:
                self._over = f"role {role} is unknown"
            return Reply(renderEnd(requestID, Status.UNKNOWN_ROLE))
        self._begin(requestID, role, content[2])
        return None

    def _begin(self, requestID: int, role: int, flags: int) -> None:
        self._state = _BEGUN
        self._requestID = requestID
        self._role = role
        self.idle = False
        self.keepAlive = bool(flags & _KEEP_CONNECTION) and not self._closing
        self._head = False
        self._open = True

    def _onAbort(self, content: bytes) -> Marker:
        self._state = advance(self._state, Event.ABORT)
        self._dropParams()
        self._notes = b""
        self._pending = Reply(renderEnd(self._requestID, Status.REQUEST_COMPLETE))
        if not self.keepAlive:
            self._over = "the request was aborted"
        return ABORT


_HANDLERS: dict[
    int, Callable[[FastCGICodec, bytes], Request | bytes | Marker | Reply | None]
] = {
    Kind.ABORT_REQUEST: FastCGICodec._onAbort,
    Kind.PARAMS: FastCGICodec._onParams,
    Kind.STDIN: FastCGICodec._onStdin,
    Kind.DATA: FastCGICodec._onData,
}
