"""
What a FastCGI request brings: its parameters, then its body, or for a Filter its body
and its data.

The application starts when the parameters are complete and its body is there: the
body ends where CONTENT_LENGTH says, or with its stream, whichever comes first.
lighttpd, for one, leaves the stream open when it might become an upgraded
connection. What comes after the body is drained.
"""

from __future__ import annotations

from collections.abc import Mapping

from svctree.wire.contract import (
    END,
    Limits,
    Marker,
    Reply,
    Request,
    RequestError,
    Truncated,
)
from svctree.wire.fastcgi.records import Role
from svctree.wire.fastcgi.reply import FastCGIReply
from svctree.wire.fastcgi.states import Event, State, advance
from svctree.wire.reader import Reader

__all__ = ["FastCGIStreams"]

_ALONE = advance(State.PARAMS, Event.PARAMS_ALONE)
_WITH_BODY = advance(State.PARAMS, Event.PARAMS_END)


class FastCGIStreams(FastCGIReply):
    """
    Takes the records of the request in hand.
    """

    _template: dict[str, object]
    _limits: Limits
    _readers: Mapping[int, Reader]

    _role = Role.RESPONDER
    _params: list[bytes] | None = None
    _paramsSize = 0
    # Bytes of the body that are to come, -1 when only the end of the stream will tell;
    # those that were announced, and those that have come.
    _left = 0
    _declared = 0
    _received = 0
    # An event that follows the one just given.
    _pending: Marker | Reply | None = None

    def _onParams(self, content: bytes) -> Request | None:
        if content:
            self._state = advance(self._state, Event.PARAMS)
            if self._params is None:
                self._params = []
            self._params.append(content)
            self._paramsSize += len(content)
            if self._paramsSize > self._limits.head:
                raise RequestError(
                    431, f"more than {self._limits.head} bytes of parameters"
                )
            return None
        # Checked before anything else: PARAMS after their end have no place.
        advance(self._state, Event.PARAMS_END)
        data = b"".join(self._params or ())
        self._dropParams()
        return self._request(data)

    def _dropParams(self) -> None:
        self._params = None
        self._paramsSize = 0

    def _request(self, params: bytes) -> Request:
        """
        Hot path. All parameters are there.
        """
        reader = self._readers[self._role]
        repeats = reader.repeats
        if repeats.rest:
            repeats.rest -= 1
        elif (known := repeats.find(params)) is not None:
            # It was read before, and has no body.
            self._state = _ALONE
            self._head = known.isHead
            environ = {**self._template, **known.variables, "fcgi.errors": self.errors}
            return Request(environ, 0, True, False, known.line)
        environ, length, line, self._head, own = reader.read(params, self._template)
        environ["fcgi.errors"] = self.errors
        self._declared = length
        if self._role == Role.FILTER:
            # It reads its two streams one after the other.
            length = -1
        self._left = length
        if not length:
            self._state = _ALONE
            if not repeats.rest:
                repeats.saw(params, environ, own, line, self._head)
            return Request(environ, 0, True, False, line)
        self._state = _WITH_BODY
        self._received = 0
        self._environ = environ
        return Request(environ, length, False, False, line)

    def _onStdin(self, content: bytes) -> bytes | Marker | None:
        state = self._state
        if not content:
            self._open = False
        if state != State.STDIN:
            self._state = advance(state, Event.STDIN if content else Event.STDIN_END)
            return None
        if not content:
            return self._endOfStdin()
        left = self._left
        if left < 0:
            self._state = advance(state, Event.STDIN)
            return self._counted(content)
        size = len(content)
        if size < left:
            self._state = advance(state, Event.STDIN)
            self._left = left - size
            return content
        self._state = advance(state, Event.INPUT_END)
        self._pending = END
        return content[:left] if size > left else content

    def _counted(self, content: bytes) -> bytes:
        self._received += len(content)
        if self._received > self._limits.body > 0:
            raise RequestError(413, f"more than {self._limits.body} bytes of body")
        return content

    def _endOfStdin(self) -> Marker | None:
        missing = self._left if self._left > 0 else self._declared - self._received
        if missing > 0 and self._declared > 0:
            self._mute = True
            raise Truncated(f"STDIN ended {missing} bytes before CONTENT_LENGTH")
        if self._role == Role.FILTER:
            assert self._environ is not None
            self._environ["fcgi.data_offset"] = self._received
            self._state = advance(self._state, Event.STDIN_END)
            return None
        self._state = advance(self._state, Event.INPUT_END)
        return END

    def _onData(self, content: bytes) -> bytes | Marker | None:
        if self._state != State.DATA:
            # A Responder has no use for it.
            if self._role == Role.FILTER:
                advance(self._state, Event.DATA if content else Event.DATA_END)
            return None
        if content:
            self._state = advance(self._state, Event.DATA)
            return self._counted(content)
        self._state = advance(self._state, Event.INPUT_END)
        return END
