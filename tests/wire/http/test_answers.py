"""
How answers are rendered.
"""

from __future__ import annotations

import pytest

from svctree.wire.contract import Fields, Limits
from svctree.wire.http import HTTPCodec, HTTPFactory
from tests.wire.feeding import TEMPLATE

TEXT = Fields(b"Content-Type: text/plain\r\n")


def asked(request: bytes = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n") -> HTTPCodec:
    factory = HTTPFactory(Limits(), "", "test")
    factory.tick(784111777)
    codec = factory(TEMPLATE)
    codec.feed(request)
    return codec


def lines(head: bytes) -> list[bytes]:
    return head.split(b"\r\n")


def test_whole() -> None:
    """
    An answer of one block: status line, Date, Server, its fields, its length.
    """
    assert asked().whole("200 OK", TEXT, b"hi") == (
        b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: test\r\n"
        b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
    )


def test_ownDateAndServer() -> None:
    """
    An application's Date and Server replace the codec's.
    """
    answer = asked().whole("200 OK", Fields(b"Date: x\r\n", -1, True, False), b"")
    assert answer.count(b"Date:") == 1 and b"Server: test" in answer
    answer = asked().whole("200 OK", Fields(b"Server: x\r\n", -1, False, True), b"")
    assert answer.count(b"Server:") == 1 and b"Date: Sun" in answer


def test_noServer() -> None:
    """
    An empty name means no Server field.
    """
    codec = HTTPFactory(Limits(), "", "")(TEMPLATE)
    codec.feed(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert b"Server" not in codec.whole("200 OK", TEXT, b"hi")


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified", "101 X"])
def test_bodyless(status: str) -> None:
    """
    Statuses that have no body get none, and 1xx and 204 no length either.
    """
    answer = asked().whole(status, Fields(b"", 5), b"hello")
    assert answer.endswith(b"\r\n\r\n")
    assert (b"Content-Length" in answer) == status.startswith("304")
    codec = asked()
    head = codec.head(status, TEXT, -1)
    assert b"Transfer-Encoding" not in head
    assert codec.piece(b"x") == b"" and codec.end() == b""
    assert codec.keepAlive


def test_head() -> None:
    """
    HEAD gets the head of GET: a length that is known is said, and no body is sent.
    """
    request = b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"
    assert (
        asked(request)
        .whole("200 OK", Fields(b"", 5), b"")
        .endswith(b"Content-Length: 5\r\n\r\n")
    )
    assert (
        asked(request)
        .whole("200 OK", TEXT, b"12345678")
        .endswith(b"Content-Length: 8\r\n\r\n")
    )
    assert b"Content-Length" not in asked(request).whole("200 OK", TEXT, b"")
    codec = asked(request)
    assert b"chunked" not in codec.head("200 OK", TEXT, -1)
    assert codec.piece(b"x") == b"" and codec.end() == b"" and codec.keepAlive


def test_chunked() -> None:
    """
    A stream of unknown length goes out in chunks.
    """
    codec = asked()
    assert b"Transfer-Encoding: chunked" in lines(codec.head("200 OK", TEXT, -1))
    assert codec.piece(b"x" * 20) == b"14\r\n" + b"x" * 20 + b"\r\n"
    assert codec.end() == b"0\r\n\r\n"
    assert codec.keepAlive and not codec.transparent


def test_knownLength() -> None:
    """
    A stream of known length goes out as it is.
    """
    codec = asked()
    assert b"Content-Length: 20" in lines(codec.head("200 OK", TEXT, 20))
    assert codec.piece(b"x") == b"x" and codec.end() == b"" and codec.transparent


def test_streamIn10() -> None:
    """
    To HTTP/1.0 a stream of unknown length ends with the connection.
    """
    codec = asked(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    head = lines(codec.head("200 OK", TEXT, -1))
    assert b"Connection: close" in head and b"Transfer-Encoding: chunked" not in head
    assert codec.piece(b"x") == b"x" and codec.end() == b""
    assert not codec.keepAlive and codec.transparent


def test_keepAliveIn10() -> None:
    """
    HTTP/1.0 is told that the connection is kept.
    """
    codec = asked(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"Connection: keep-alive" in codec.whole("200 OK", TEXT, b"hi")


def test_close() -> None:
    """
    After C{close} the next answer says that it is the last.
    """
    codec = asked()
    codec.whole("200 OK", TEXT, b"hi")
    codec.close()
    codec.feed(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert b"Connection: close" in codec.whole("200 OK", TEXT, b"hi")
    assert not codec.keepAlive


def test_interim() -> None:
    """
    Interim answers go to HTTP/1.1 only.
    """
    assert asked().interim(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert asked().interim(103, b"Link: x\r\n").endswith(b"Link: x\r\n\r\n")
    assert asked(b"GET / HTTP/1.0\r\n\r\n").interim(100) == b""


def test_nothingAfterAnError() -> None:
    """
    After an error further input is neither read nor kept.
    """
    codec = asked()
    codec.whole("200 OK", TEXT, b"hi")
    try:
        codec.feed(b"GET\r\n\r\n")
    except Exception:
        answer = codec.error(400)
    assert b"Connection: close" in answer
    assert codec.feed(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 1000) is None
    assert codec.nextEvent() is None and codec._buffer is None
