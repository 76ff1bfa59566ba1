"""
uwsgi, the protocol of uWSGI as nginx and Apache's mod_proxy_uwsgi speak it.

Four bytes (modifier 1, the size of the variables as a little-endian 16-bit word,
modifier 2), then the variables, each name and each value with its own 16-bit length,
then the body. The answer is HTTP's, status line included: mod_proxy_uwsgi takes
nothing else.
"""

from __future__ import annotations

from svctree.wire.cgivars import declaredLength, joinRepeated, screened, suspicious
from svctree.wire.contract import RequestError
from svctree.wire.onerequest import Head, OneRequest, OneRequestFactory

__all__ = ["UWSGICodec", "UWSGIError", "UWSGIFactory", "takeVariables"]

_HEADER_SIZE = 4


class UWSGIError(RequestError):
    """
    The peer does not speak uwsgi; the connection closes without an answer.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(400, reason)


def takeVariables(data: bytes, text: str) -> dict[str, str]:
    """
    Read the variables of a packet.

    Written for speed: one decoding for all, then slices of the text.

    @param text: C{data} in latin-1 up to the end of the variables.
    @raise UWSGIError: a name is empty, or a length leads beyond the end.
    """
    variables: dict[str, str] = {}
    at = _HEADER_SIZE
    end = len(text)
    count = 0
    try:
        while at < end:
            middle = at + 2 + data[at] + (data[at + 1] << 8)
            name = text[at + 2 : middle]
            at = middle + 2 + data[middle] + (data[middle + 1] << 8)
            variables[name] = text[middle + 2 : at]
            count += 1
    except IndexError:
        at = end + 1
    if at != end:
        raise UWSGIError("a length that leads beyond the variables")
    if "" in variables:
        raise UWSGIError("an empty name among the variables")
    if len(variables) != count:
        variables = joinRepeated(_pairs(data, text))
    return variables


def _pairs(data: bytes, text: str) -> list[tuple[str, str]]:
    # Only for variables that takeVariables has found whole.
    pairs = []
    at = _HEADER_SIZE
    while at < len(text):
        middle = at + 2 + data[at] + (data[at + 1] << 8)
        name = text[at + 2 : middle]
        at = middle + 2 + data[middle] + (data[middle + 1] << 8)
        pairs.append((name, text[middle + 2 : at]))
    return pairs


class UWSGICodec(OneRequest):
    """
    One connection from a uwsgi front end.
    """

    __slots__ = ()

    prefix = b"HTTP/1.1 "

    def takeHead(self, data: bytes) -> Head | int:
        # Modifier 1 says what the packet is: 0 is a request for WSGI, anything else
        # is addressed to some other part of uWSGI.
        if data[0]:
            self._mute = True
            raise UWSGIError(f"got modifier {data[0]}, expected 0 (WSGI)")
        if len(data) < _HEADER_SIZE:
            return _HEADER_SIZE
        size = data[1] | data[2] << 8
        if size > self._limits.head:
            raise RequestError(431, f"{size} bytes of variables")
        end = _HEADER_SIZE + size
        if len(data) < end:
            return end
        if data[3]:
            self._mute = True
            raise UWSGIError(f"got modifier 2 of {data[3]}, expected 0")
        try:
            text = data[:end].decode("latin-1")
            variables = takeVariables(data, text)
        except UWSGIError:
            self._mute = True
            raise
        if suspicious(data, end):
            variables = screened(variables, self._trust)
        chunked = "HTTP_TRANSFER_ENCODING" in variables
        length = declaredLength(variables, self._limits)
        if length < 0:
            if chunked:
                # The protocol has no end of a body: to guess would be to hand a part
                # of it on as if it were whole.
                raise RequestError(411, "a body without CONTENT_LENGTH")
            length = 0
        return variables, end, length


class UWSGIFactory(OneRequestFactory):
    """
    Makes the codecs of a worker's connections.
    """

    codec = UWSGICodec
