"""
uwsgi, the protocol of uWSGI as nginx and Apache's mod_proxy_uwsgi speak it.

Four bytes (modifier 1, the size of the variables as a little-endian 16-bit word,
modifier 2), then the variables, each name and each value with its own 16-bit length,
then the body. The answer is HTTP's, status line included: mod_proxy_uwsgi takes
nothing else.
"""

from __future__ import annotations

from typing import Any

from svctree.wire.cgireply import StatusLines
from svctree.wire.cgivars import declaredLength, joinRepeated
from svctree.wire.contract import Limits, RequestError
from svctree.wire.onerequest import NotSpoken, OneRequest, OneRequestFactory
from svctree.wire.reader import Head
from svctree.wire.shapes import Notation, Step

__all__ = ["UWSGICodec", "UWSGIError", "UWSGIFactory", "takeVariables"]

_HEADER_SIZE = 4


class UWSGIError(NotSpoken):
    """
    The peer does not speak uwsgi; the connection closes without an answer.
    """


def takeVariables(block: bytes, text: str) -> dict[str, str]:
    """
    Read the variables of a packet.

    Written for speed: one decoding for all, then slices of the text.

    @param text: the same in latin-1.
    @raise UWSGIError: a name is empty, or a length leads beyond the end.
    """
    variables: dict[str, str] = {}
    at = 0
    end = len(text)
    count = 0
    try:
        while at < end:
            middle = at + 2 + block[at] + (block[at + 1] << 8)
            name = text[at + 2 : middle]
            at = middle + 2 + block[middle] + (block[middle + 1] << 8)
            variables[name] = text[middle + 2 : at]
            count += 1
    except IndexError:
        at = end + 1
    if at != end:
        raise UWSGIError("a length that leads beyond the variables")
    if "" in variables:
        raise UWSGIError("an empty name among the variables")
    if len(variables) != count:
        variables = joinRepeated(_pairs(block, text))
    return variables


def _pairs(block: bytes, text: str) -> list[tuple[str, str]]:
    # Only for variables that takeVariables has found whole.
    pairs = []
    at = 0
    while at < len(text):
        middle = at + 2 + block[at] + (block[at + 1] << 8)
        name = text[at + 2 : middle]
        at = middle + 2 + block[middle] + (block[middle + 1] << 8)
        pairs.append((name, text[middle + 2 : at]))
    return pairs


def bodyLength(variables: dict[str, str], limits: Limits) -> int:
    """
    See L{declaredLength}.

    @raise RequestError: 411, where there is a body and nothing tells its end.
    """
    chunked = "HTTP_TRANSFER_ENCODING" in variables
    length = declaredLength(variables, limits)
    if length < 0:
        if chunked:
            # The protocol has no end of a body: to guess would be to hand a part of
            # it on as if it were whole.
            raise RequestError(411, "a body without CONTENT_LENGTH")
        length = 0
    return length


def takeHoles(
    block: bytes, text: str, steps: tuple[Step, ...], tail: str, into: dict[str, Any]
) -> bool:
    """
    Hot path. See L{Notation}. A value's length stands before it.
    """
    at = 0
    try:
        for stretch, size, name in steps:
            end = at + size
            if text[at:end] != stretch:
                return False
            begin = end + 2
            at = begin + block[end] + (block[end + 1] << 8)
            into[name] = text[begin:at]
    except IndexError:
        return False
    return at + len(tail) == len(text) and text[at:] == tail


def _counted(text: str) -> str:
    return chr(len(text) & 255) + chr(len(text) >> 8) + text


NOTATION = Notation(
    takeVariables,
    takeHoles,
    pair=lambda name, value: _counted(name) + _counted(value),
    opening=_counted,
    closing="",
    bodyLength=bodyLength,
)


class UWSGICodec(OneRequest):
    """
    One connection from a uwsgi front end.
    """

    __slots__ = ()

    lines = StatusLines(b"HTTP/1.1 ")
    notation = NOTATION

    def takeHead(self, data: bytes) -> tuple[int, Head] | int:
        # Modifier 1 says what the packet is: 0 is a request for WSGI, anything else
        # is addressed to some other part of uWSGI.
        if data[0]:
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
            raise UWSGIError(f"got modifier 2 of {data[3]}, expected 0")
        reader = self._reader
        assert reader is not None
        return end, reader.read(data[_HEADER_SIZE:end], self._template)


class UWSGIFactory(OneRequestFactory):
    """
    Makes the codecs of a worker's connections.
    """

    codec = UWSGICodec
