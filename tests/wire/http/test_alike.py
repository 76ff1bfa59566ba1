"""
Requests of one connection that have lines in common.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svctree.wire.contract import Limits
from svctree.wire.http import HTTPFactory
from svctree.wire.http.alike import Alike, common
from tests.wire.feeding import TEMPLATE, converse

# Heads up to the smallest of the limits take the short way.
LIMITS = Limits(line=400, fields=9, fieldSize=400, head=900, body=1000, along=8)

FIRST = [b"Host: h:80", b"User-Agent: u", b"Accept: a"]
LAST = [b"Accept-Language: l", b"Cookie: c=1"]
USUAL = [*FIRST, *LAST]

HEADS: dict[str, list[bytes]] = {
    "usual": USUAL,
    "cookie": [*USUAL[:-1], b"Cookie: c=2"],
    "longer cookie": [*USUAL[:-1], b"Cookie: c=12"],
    "no cookie": USUAL[:-1],
    "first only": FIRST[:1],
    "one more": [*FIRST, b"X-A: 1", *LAST],
    "another": [*FIRST, b"X-A: 2", *LAST],
    "two more": [*FIRST, b"X-A: 1", b"X-B: 1", *LAST],
    "too many": [*FIRST, *(b"X-%d: 1" % n for n in range(5)), *LAST],
    "repeated": [*FIRST, b"Accept-Language: k", *LAST],
    "two hosts": [*FIRST, b"Host: h:80", *LAST],
    "other host": [b"Host: i:80", *USUAL[1:]],
    "no host": USUAL[1:],
    "host behind": [b"X-A: 1", *USUAL],
    "closing": [*FIRST, b"Connection: close", *LAST],
    "kept": [*FIRST, b"Connection: keep-alive", *LAST],
    "kept twice": [*FIRST, *[b"Connection: keep-alive"] * 2, *LAST],
    "dropped": [*FIRST, b"Proxy: p", b"X_Y: 1", *LAST],
    "dropped, longer": [*FIRST, b"Proxy: pp", *LAST],
    "length": [*FIRST, b"Content-Length: 3", *LAST],
    "other length": [*FIRST, b"Content-Length: 5", *LAST],
    "two lengths": [*FIRST, *[b"Content-Length: 3"] * 2, *LAST],
    "chunked": [*FIRST, b"Transfer-Encoding: chunked", *LAST],
    "expecting": [*FIRST, b"Expect: 100-continue", b"Content-Length: 3", *LAST],
    "folded": [*FIRST, b" folded", *LAST],
    "no field": [*FIRST, b"nothing", *LAST],
    "control": [*FIRST, b"X-A: \x01", *LAST],
    "bare LF": [*FIRST, b"X-A: 1\nX-B: 2", *LAST],
    "two heads": [*FIRST, b"", b"GET /b HTTP/1.1", b"Host: h", b"", *LAST],
    "long field": [*FIRST, b"X-A: " + b"a" * 400, *LAST],
    "long head": [*FIRST, *(b"X-%d: %s" % (n, b"a" * 250) for n in range(4)), *LAST],
}
BODIES = {
    "length": b"abc",
    "other length": b"abcde",
    "chunked": b"3\r\nabc\r\n0\r\n\r\n",
    "expecting": b"abc",
}


def messageOf(name: str, line: bytes = b"POST /p?q HTTP/1.1") -> bytes:
    return b"\r\n".join([line, *HEADS[name], b"", BODIES.get(name, b"")])


def newCodec() -> Any:
    factory = HTTPFactory(LIMITS, "", "")
    factory.tick(0.0)
    return factory(dict(TEMPLATE), None)


ALONE = {name: converse(newCodec(), [messageOf(name)], eof=False) for name in HEADS}
"""What each message says to a codec that has seen nothing before."""


def test_verdicts() -> None:
    """
    The messages are of all kinds.
    """
    refused = {name for name, said in ALONE.items() if said[-1][0] == "error"}
    assert refused == {
        *("too many", "two hosts", "no host", "two lengths", "folded", "no field"),
        *("control", "bare LF", "long field", "long head", "two heads"),
    }


@pytest.mark.parametrize("split", [0, 40])
@pytest.mark.parametrize("first", list(HEADS))
def test_asAlone(first: str, split: int) -> None:
    """
    Whatever was said before it on its connection, a message means what it means alone;
    also when it comes in pieces.
    """
    for rest in itertools.product(HEADS, repeat=2):
        codec = newCodec()
        for name in (first, *rest):
            message = messageOf(name)
            pieces = [message[:split], message[split:]] if split else [message]
            said = converse(codec, pieces, eof=False)
            assert said == ALONE[name], (first, rest, name)
            if said[-1][0] == "error" or not codec.keepAlive:
                break


@given(st.lists(st.sampled_from(list(HEADS)), min_size=3, max_size=12))
def test_asAloneForLong(names: list[str]) -> None:
    """
    The same of longer series.
    """
    codec = newCodec()
    for name in names:
        said = converse(codec, [messageOf(name)], eof=False)
        assert said == ALONE[name]
        if said[-1][0] == "error" or not codec.keepAlive:
            break


@pytest.mark.parametrize(
    "line",
    [b"GET /a HTTP/1.1", b"HEAD /a HTTP/1.1", b"GET /a HTTP/1.0", b"get /a HTTP/1.1"],
)
def test_anyRequestLine(line: bytes) -> None:
    """
    What a request line says does not depend on whether its fields are known.
    """
    codec = newCodec()
    for name in ("usual", "cookie", "longer cookie"):
        converse(codec, [messageOf(name)], eof=False)
    alone = converse(newCodec(), [messageOf("cookie", line)], eof=False)
    assert converse(codec, [messageOf("cookie", line)], eof=False) == alone


def test_whatIsRemembered() -> None:
    """
    Lines that were the same in all requests so far are remembered, and less and less
    where they differ; nothing when they do not even have a Host in common.
    """
    codec = newCodec()
    known = []
    for name in ("usual", "usual", "cookie", "another", "first only", "other host"):
        converse(codec, [messageOf(name)], eof=False)
        alike: Alike | None = codec._alike
        known.append(None if alike is None else alike.lines())
    assert known == [
        None,
        (USUAL, []),
        (USUAL[:-1], []),
        (FIRST, []),
        (FIRST[:1], []),
        None,
    ]
    converse(codec, [messageOf("usual")] * 3, eof=False)
    assert codec._alike is None


def test_theEnd() -> None:
    """
    Lines at the end are remembered, too, when what differs stands in the middle.
    """
    codec = newCodec()
    for name in ("one more", "another"):
        converse(codec, [messageOf(name)], eof=False)
    assert codec._alike.lines() == (FIRST, LAST)


LINES = st.lists(st.sampled_from([b"a", b"b", b"c", b"ab"]), max_size=6)


@given(LINES, LINES)
def test_common(one: list[bytes], other: list[bytes]) -> None:
    """
    What two heads have in common begins and ends both, and no line of it is at both
    ends.
    """
    front, back = common(one, one, other)
    assert other[: len(front)] == front == one[: len(front)]
    assert other[len(other) - len(back) :] == back == one[len(one) - len(back) :]
    assert len(front) + len(back) <= len(other)
    assert not set(front) & set(back)
