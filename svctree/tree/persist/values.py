"""
Plain data as text and back, for the XML document.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

from svctree.tree.description import Reference

__all__ = ["SCALARS", "isWritable", "readScalar", "typeOf", "writeScalar"]

_WRITABLE = re.compile("[\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
"""What XML 1.0 (section 2.2) can carry and gives back unchanged: it turns a carriage
return into a line feed (section 2.11)."""

_INTEGER = re.compile(r"-?[0-9]+", re.ASCII)

_BOOLEANS = {"true": True, "false": False}


def isWritable(text: str) -> bool:
    """
    @return: whether C{text} survives in a document as it is.
    """
    return _WRITABLE.fullmatch(text) is not None


def typeOf(value: object) -> str:
    """
    @return: the C{type} attribute for a piece of plain data.
    """
    if value is None:
        return "none"
    if isinstance(value, Reference):
        return "reference"
    if isinstance(value, str) and not isWritable(value):
        return "text64"
    return type(value).__name__


def writeScalar(value: object) -> str:
    """
    @return: the content of the element for anything but list, tuple and dict.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, str) and not isWritable(value):
        # Python's strings hold more than XML's (and than UTF-8: lone surrogates, as
        # in file names that are not UTF-8).
        raw = value.encode("utf-8", "surrogatepass")
        return base64.b64encode(raw).decode("ascii")
    return str(value) if isinstance(value, str) else repr(value)


def readScalar(kind: str, text: str) -> object:
    """
    @param kind: one of L{SCALARS}.
    @raise ValueError: the text is none of that type; the message says what is
        expected.
    """
    return SCALARS[kind](text)


def _none(text: str) -> None:
    if text.strip():
        raise ValueError(f"got {text!r}, expected nothing for the type none")


def _bool(text: str) -> bool:
    try:
        return _BOOLEANS[text.strip()]
    except KeyError:
        raise ValueError(f"got {text!r}, expected true or false") from None


def _int(text: str) -> int:
    if _INTEGER.fullmatch(text.strip()) is None:
        raise ValueError(f"got {text!r}, expected an integer")
    return int(text)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"got {text!r}, expected a number") from None


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"got {text!r}, expected base64") from None


def _text64(text: str) -> str:
    return _bytes(text).decode("utf-8", "surrogatepass")


SCALARS: dict[str, Callable[[str], object]] = {
    "bool": _bool,
    "bytes": _bytes,
    "float": _float,
    "int": _int,
    "none": _none,
    "reference": lambda text: Reference(text.strip()),
    "str": lambda text: text,
    "text64": _text64,
}
