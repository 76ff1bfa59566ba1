"""
FastCGI records: the numbers of the specification, bytes to records and back.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from svctree.wire.contract import RequestError

__all__ = [
    "FastCGIError",
    "Kind",
    "Record",
    "Role",
    "Status",
    "renderEnd",
    "renderRecord",
    "renderStream",
    "takeRecord",
]

VERSION = 1
HEADER_SIZE = 8
MAX_CONTENT = 65535

# What one of our own records carries at most: a multiple of 8, as the specification
# recommends, so that none needs padding.
_CHUNK = 65528

HEADER = struct.Struct(">BBHHBx")
"""Version, type, request id, content length, padding length, reserved."""

_END_BODY = struct.Struct(">IB3x")


class Kind:
    """
    The types of records (section 8 of the specification).
    """

    BEGIN_REQUEST = 1
    ABORT_REQUEST = 2
    END_REQUEST = 3
    PARAMS = 4
    STDIN = 5
    STDOUT = 6
    STDERR = 7
    DATA = 8
    GET_VALUES = 9
    GET_VALUES_RESULT = 10
    UNKNOWN_TYPE = 11


class Role:
    """
    What the front end asks of the application.
    """

    RESPONDER = 1
    AUTHORIZER = 2
    FILTER = 3
    names = {1: "RESPONDER", 2: "AUTHORIZER", 3: "FILTER"}


class Status:
    """
    The protocol's own verdict in END_REQUEST.
    """

    REQUEST_COMPLETE = 0
    CANT_MPX_CONN = 1
    OVERLOADED = 2
    UNKNOWN_ROLE = 3


class FastCGIError(RequestError):
    """
    The peer does not speak FastCGI; the connection closes without an answer.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(400, reason)


class Record(NamedTuple):
    """
    One record without its padding.
    """

    kind: int
    requestID: int
    content: bytes


def takeRecord(data: bytes, at: int = 0) -> tuple[Record, int] | int:
    """
    Read the record that begins at C{at}.

    @return: the record and the offset after it with its padding; or how many bytes
        C{data} must have before it is whole.
    @raise FastCGIError: C{data} can never become a record.
    """
    if len(data) > at and data[at] != VERSION:
        raise FastCGIError(f"got FastCGI version {data[at]}, expected {VERSION}")
    start = at + HEADER_SIZE
    if len(data) < start:
        return start
    _, kind, requestID, length, padding = HEADER.unpack_from(data, at)
    end = start + length
    if len(data) < end + padding:
        return end + padding
    return Record(kind, requestID, data[start:end]), end + padding


def renderRecord(
    kind: int, requestID: int, content: bytes = b"", padding: int = 0
) -> bytes:
    """
    Render one record; C{content} has at most 65,535 bytes.
    """
    return b"%b%b%b" % (
        HEADER.pack(VERSION, kind, requestID, len(content), padding),
        content,
        bytes(padding),
    )


def renderStream(kind: int, requestID: int, data: bytes) -> bytes:
    """
    Render the bytes of a stream as one or more records; nothing gives nothing, since
    an empty record would end the stream.
    """
    size = len(data)
    if size <= MAX_CONTENT:
        if not size:
            return b""
        return HEADER.pack(VERSION, kind, requestID, size, 0) + data
    parts = []
    for at in range(0, size, _CHUNK):
        content = data[at : at + _CHUNK]
        parts.append(HEADER.pack(VERSION, kind, requestID, len(content), 0))
        parts.append(content)
    return b"".join(parts)


def renderEnd(requestID: int, protocolStatus: int, appStatus: int = 0) -> bytes:
    """
    Render END_REQUEST.

    @param appStatus: what a CGI program's exit status would be.
    """
    return renderRecord(
        Kind.END_REQUEST, requestID, _END_BODY.pack(appStatus, protocolStatus)
    )
