"""
The verdict on every request of the corpus, however it is delivered.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from svctree.wire.contract import Limits
from svctree.wire.http import HTTPCodec, HTTPFactory
from tests.wire.feeding import TEMPLATE, converse
from tests.wire.http.corpus import ACCEPTED, REFUSED, TRUNCATED, Accepted, Refused

NEXT = b"GET /next HTTP/1.1\r\nHost: next\r\n\r\n"


def newCodec(**limits: int) -> HTTPCodec:
    limits.setdefault("body", 1_000_000)
    limits.setdefault("along", 1000)
    limits.setdefault("head", 16384)
    return HTTPFactory(Limits(**limits), "", "")(TEMPLATE)


def bytewise(raw: bytes) -> list[bytes]:
    return [raw[i : i + 1] for i in range(len(raw))]


def splits(raw: bytes) -> Iterable[list[bytes]]:
    """
    @return: all deliveries in two parts; of long input those around its beginning,
        its end, and some between.
    """
    offsets: Iterable[int] = range(1, len(raw))
    if len(raw) > 600:
        step = len(raw) // 50
        offsets = {*range(1, 100), *range(100, len(raw), step)}
        offsets |= set(range(max(1, len(raw) - 60), len(raw)))
    for offset in offsets:
        yield [raw[:offset], raw[offset:]]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_refused(case: Refused) -> None:
    """
    What must be refused is, with the right status, and nothing behind it is read.
    """
    events = converse(newCodec(), [case.raw + NEXT], eof=False)
    assert events[-1][0] == "error", events
    assert events[-1][2].split()[1] == str(case.status).encode(), events
    assert not any(event[0] == "answer" for event in events)


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_accepted(case: Accepted) -> None:
    """
    What may be accepted is, and means what it says; the next request is served.
    """
    codec = newCodec()
    events = converse(codec, [case.raw + NEXT], eof=False)
    request = events[0]
    assert request[0] == "request", events
    environ = request[1]
    found = {key: environ.get(key) for key in case.environ}
    assert found == case.environ
    body = b"".join(event[1] for event in events[:3] if event[0] == "body")
    assert body == case.body
    paths = [event[1]["PATH_INFO"] for event in events if event[0] == "request"]
    assert paths[1:] == (["/next"] if case.keepAlive else [])


@pytest.mark.parametrize("case", [*REFUSED, *ACCEPTED], ids=lambda case: case.name)
def test_anySplit(case: Refused | Accepted) -> None:
    """
    The verdict does not depend on how the bytes are delivered: whole, one by one, or
    split at any offset.
    """
    raw = case.raw + NEXT
    whole = converse(newCodec(), [raw], eof=False)
    assert converse(newCodec(), bytewise(raw), eof=False) == whole
    for pieces in splits(raw):
        assert converse(newCodec(), pieces, eof=False) == whole, pieces


def test_headLimit() -> None:
    """
    All fields together may have 64 KiB, unless told otherwise.
    """
    fields = (b"X: " + b"a" * 8000 + b"\r\n") * 9
    message = b"GET / HTTP/1.1\r\nHost: h\r\n" + fields + b"\r\n"
    for limit, expected in ((65536, "error"), (80000, "request")):
        events = converse(newCodec(head=limit), [message], eof=False)
        assert events[0][0] == expected
    assert Limits().head == 65536


@pytest.mark.parametrize(("name", "raw"), TRUNCATED)
def test_truncated(name: str, raw: bytes) -> None:
    """
    An end in the middle of a request is an error, never a request that looks whole.
    """
    for pieces in ([raw], bytewise(raw)):
        events = converse(newCodec(), pieces)
        assert events[-1][:2] == ("error", "Truncated"), events
        assert not any(event[0] in ("end", "answer") for event in events)


def test_endBetweenRequests() -> None:
    """
    An end between two requests is no error.
    """
    assert [event[0] for event in converse(newCodec(), [NEXT])] == ["request", "answer"]


def test_pipelined() -> None:
    """
    Requests that come together are answered one after another.
    """
    events = converse(newCodec(), [NEXT * 50])
    assert [event[0] for event in events] == ["request", "answer"] * 50


def test_valuesThatLookAlike() -> None:
    """
    Lines that are remembered never stand for others.
    """
    codec = newCodec()
    for value in (b"a", b"b", b"a ", b"\ta", b"A"):
        raw = b"GET / HTTP/1.1\r\nHost: h\r\nX: " + value + b"\r\n\r\n"
        events = converse(codec, [raw], eof=False)
        assert events[0][1]["HTTP_X"] == value.strip().decode()


def test_cacheIsBounded() -> None:
    """
    A client that never repeats a line cannot make the worker grow.
    """
    factory = HTTPFactory(Limits(), "", "")
    codec = factory(TEMPLATE)
    for number in range(10_000):
        codec.feed(b"GET /%d HTTP/1.1\r\nHost: h\r\nX-%d: y\r\n\r\n" % (number, number))
    assert len(factory.fields) <= 2048
    assert len(factory.fields._names) <= 512
    assert len(factory.lines) <= 1024


def test_secretsAreNotKept() -> None:
    """
    Cookies and credentials do not stay in memory after their request.
    """
    factory = HTTPFactory(Limits(), "", "")
    codec = factory(TEMPLATE)
    for _ in range(3):
        codec.feed(
            b"GET / HTTP/1.1\r\nHost: h\r\nCookie: secret\r\n"
            b"Authorization: secret\r\n\r\n"
        )
    assert not any(b"secret" in line for line in factory.fields)
