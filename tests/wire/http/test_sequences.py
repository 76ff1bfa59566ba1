"""
Requests that follow each other on one connection.
"""

from __future__ import annotations

import itertools

import pytest

from svctree.wire.contract import END, Fields, Limits, Request
from svctree.wire.http import HTTPFactory
from tests.wire.feeding import TEMPLATE


def message(line: bytes, more: bytes = b"", body: bytes = b"") -> bytes:
    return line + b" HTTP/1.1\r\nHost: h\r\n" + more + b"Accept: a\r\n\r\n" + body


MESSAGES = {
    "get": message(b"GET /a"),
    "other": message(b"GET /b?c"),
    "head": message(b"HEAD /a"),
    "post": message(b"POST /p", b"Content-Length: 3\r\n", b"abc"),
    "expecting": message(
        b"POST /p", b"Content-Length: 3\r\nExpect: 100-continue\r\n", b""
    ),
    "empty": message(b"POST /p", b"Content-Length: 0\r\n"),
    "chunked": message(
        b"POST /p", b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n0\r\n\r\n"
    ),
}
BODIES = {"post": b"abc", "chunked": b"abc", "expecting": b"abc"}


@pytest.mark.parametrize("along", [0, 2, 3])
@pytest.mark.parametrize("first", list(MESSAGES))
def test_anyOrder(first: str, along: int) -> None:
    """
    Whatever came before it on its connection, a request is what it is alone: what is
    remembered of one has no effect on the next.
    """
    factory = HTTPFactory(Limits(along=along), "", "")
    factory.tick(0.0)
    for rest in itertools.product(MESSAGES, repeat=3):
        codec = factory(dict(TEMPLATE), None)
        for name in (first, *rest):
            event = codec.feed(MESSAGES[name])
            assert isinstance(event, Request), (first, rest)
            method = MESSAGES[name].split()[0].decode()
            assert event.environ["REQUEST_METHOD"] == method
            body = b""
            if name == "post" and along == 3:
                assert event.done and codec.idle
                body = event.environ["wsgi.input"].read()  # type: ignore[attr-defined]
            elif name in BODIES:
                assert not event.done
                assert event.expectContinue == (name == "expecting")
                if name == "expecting":
                    assert codec.feed(b"abc") == b"abc"
                    body = b"abc"
                while (piece := codec.nextEvent()) is not END:
                    assert isinstance(piece, bytes), (first, rest)
                    body += piece
            else:
                assert event.done, (first, rest)
            assert body == BODIES.get(name, b"")
            codec.whole("200 OK", Fields(b""), b"x")
            assert codec.keepAlive
