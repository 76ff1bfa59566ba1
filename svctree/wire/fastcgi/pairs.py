"""
FastCGI name-value pairs (section 3.4 of the specification).

A length below 128 is one byte, any other four bytes with the highest bit set; both
lengths come first, then the name, then the value. A pair knows nothing of records:
the whole stream is put together before it is read.
"""

from __future__ import annotations

import struct
from typing import Any

from svctree.wire.cgivars import declaredLength, joinRepeated
from svctree.wire.fastcgi.records import FastCGIError
from svctree.wire.shapes import Notation, Step

__all__ = ["NOTATION", "renderPairs", "takePairs"]

_LONG = struct.Struct(">I")


def takePairs(data: bytes) -> dict[str, str]:
    """
    Read a whole stream of pairs, in latin-1.

    Written for speed: one decoding for all, then slices of the text; nearly every
    pair of a request has two lengths of one byte.

    @raise FastCGIError: a pair runs past the end, or has no name.
    """
    text = data.decode("latin-1")
    pairs: dict[str, str] = {}
    at = count = 0
    end = len(data)
    try:
        while at < end:
            nameSize = data[at]
            valueSize = data[at + 1]
            if nameSize < 128 and valueSize < 128:
                middle = at + 2 + nameSize
            else:
                nameSize, valueSize, start = _longSizes(data, at)
                middle = start + nameSize
                name = text[start:middle]
                at = middle + valueSize
                pairs[name] = text[middle:at]
                count += 1
                continue
            name = text[at + 2 : middle]
            at = middle + valueSize
            pairs[name] = text[middle:at]
            count += 1
    except (IndexError, struct.error):
        at = end + 1
    if at != end:
        raise FastCGIError("a name-value pair runs past the end of its stream")
    if "" in pairs:
        raise FastCGIError("a name-value pair without a name")
    if len(pairs) != count:
        return joinRepeated(_each(data, text))
    return pairs


def _longSizes(data: bytes, at: int) -> tuple[int, int, int]:
    nameSize = data[at]
    if nameSize >= 128:
        nameSize = _LONG.unpack_from(data, at)[0] & 0x7FFFFFFF
        at += 4
    else:
        at += 1
    valueSize = data[at]
    if valueSize >= 128:
        valueSize = _LONG.unpack_from(data, at)[0] & 0x7FFFFFFF
        at += 4
    else:
        at += 1
    return nameSize, valueSize, at


def _each(data: bytes, text: str) -> list[tuple[str, str]]:
    # Only for a stream that takePairs has found whole.
    pairs = []
    at = 0
    while at < len(data):
        nameSize, valueSize, start = _longSizes(data, at)
        middle = start + nameSize
        at = middle + valueSize
        pairs.append((text[start:middle], text[middle:at]))
    return pairs


def _renderSize(size: int) -> bytes:
    return bytes((size,)) if size < 128 else _LONG.pack(size | 0x80000000)


def renderPairs(pairs: dict[str, str]) -> bytes:
    """
    The reverse of L{takePairs}.
    """
    return "".join(_pair(*pair) for pair in pairs.items()).encode("latin-1")


def _sizeOf(text: str) -> str:
    return _renderSize(len(text)).decode("latin-1")


def _pair(name: str, value: str) -> str:
    return _sizeOf(name) + _sizeOf(value) + name + value


def takeHoles(
    data: bytes, text: str, steps: tuple[Step, ...], tail: str, into: dict[str, Any]
) -> bool:
    """
    Hot path. See L{Notation}. What stands before a value is the length of its name,
    its own length, and its name.
    """
    at = 0
    try:
        for stretch, size, name in steps:
            middle = at + size
            if text[at:middle] != stretch:
                return False
            length = data[middle]
            if length < 128:
                middle += 1
            else:
                length = _LONG.unpack_from(data, middle)[0] & 0x7FFFFFFF
                middle += 4
            begin = middle + len(name)
            if text[middle:begin] != name:
                return False
            at = begin + length
            into[name] = text[begin:at]
    except (IndexError, struct.error):
        return False
    return at + len(tail) == len(text) and text[at:] == tail


NOTATION = Notation(
    lambda block, text: takePairs(block),
    takeHoles,
    pair=_pair,
    opening=_sizeOf,
    closing="",
    bodyLength=declaredLength,
)
