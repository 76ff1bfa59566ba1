"""
L{svctree.wire.uwsgi}.
"""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svctree.wire.contract import Limits, RequestError
from svctree.wire.uwsgi import UWSGICodec, UWSGIFactory, takeVariables
from tests.wire.feeding import TEMPLATE, assertAnySplit, converse, kinds

GET = {"REQUEST_METHOD": "GET", "REQUEST_URI": "/a%20b?c", "PATH_INFO": "/a b"}


def packet(
    variables: dict[str, str] | list[tuple[str, str]],
    modifiers: tuple[int, int] = (0, 0),
) -> bytes:
    pairs = variables.items() if isinstance(variables, dict) else variables
    data = b"".join(
        struct.pack("<H", len(part)) + part.encode("latin-1")
        for pair in pairs
        for part in pair
    )
    return struct.pack("<BHB", modifiers[0], len(data), modifiers[1]) + data


def make(limits: Limits | None = None) -> UWSGICodec:
    codec = UWSGIFactory(limits or Limits(), "", "")(TEMPLATE, None)
    assert isinstance(codec, UWSGICodec)
    return codec


def test_get() -> None:
    """
    A request without a body is one event; its answer has HTTP's status line, which
    mod_proxy_uwsgi insists on.
    """
    events = assertAnySplit(make, packet({**GET, "CONTENT_LENGTH": ""}))
    assert kinds(events) == ["request", "answer"]
    assert events[0][1]["PATH_INFO"] == "/a b"
    assert events[0][1]["QUERY_STRING"] == "c"
    assert events[1][1].startswith(b"HTTP/1.1 200 OK\r\n")


def test_post() -> None:
    """
    The body ends after CONTENT_LENGTH bytes; what follows is ignored.
    """
    data = packet({**GET, "REQUEST_METHOD": "POST", "CONTENT_LENGTH": "3"}) + b"abcx"
    events = assertAnySplit(make, data)
    assert kinds(events) == ["request", "body", "end", "answer"]
    assert events[1][1] == b"abc"


def test_postWithoutLength() -> None:
    """
    No length is no body, but for one that came in chunks: there it is an error,
    since the protocol has no end of a body.
    """
    data = packet({**GET, "REQUEST_METHOD": "POST", "CONTENT_LENGTH": ""})
    assert kinds(assertAnySplit(make, data)) == ["request", "answer"]
    chunked = {"REQUEST_METHOD": "POST", "HTTP_TRANSFER_ENCODING": "chunked"}
    events = assertAnySplit(make, packet({**GET, **chunked}) + b"abc")
    assert kinds(events) == ["error"]
    assert events[0][2].startswith(b"HTTP/1.1 411 ")


@pytest.mark.parametrize(
    "data",
    [
        packet(GET, (5, 0)),
        packet(GET, (0, 1)),
        packet({"": "x"}),
        b"\0\3\0\0\xff\0a",
        b"\0\5\0\0\1\0a\xff\xff" + b"x" * 300,
        b"\0\1\0\0\1",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_refused(data: bytes) -> None:
    """
    What is not the protocol closes the connection without an answer.
    """
    assert converse(make(), [data]) == [("error", "UWSGIError", b"")]


def test_refusedAnywhere() -> None:
    """
    The same verdict for any split.
    """
    assertAnySplit(make, packet(GET, (0, 1)))
    assertAnySplit(make, b"\0\5\0\0\1\0a\xff\xff" + b"x" * 30)


def test_cutShort() -> None:
    """
    A stream that ends inside a request is an error; one that never began is not.
    """
    data = packet({**GET, "CONTENT_LENGTH": "3"}) + b"ab"
    for at in range(1, len(data)):
        assert converse(make(), [data[:at]])[-1][1] == "Truncated"
    assert converse(make(), []) == []


def test_repeated() -> None:
    """
    Fields that the client repeated are joined; of other variables the last counts.
    """
    pairs = [*GET.items(), ("HTTP_A", "1"), ("HTTP_A", "2"), ("PATH_INFO", "/z")]
    environ = converse(make(), [packet(pairs)])[0][1]
    assert environ["HTTP_A"] == "1, 2"
    assert environ["PATH_INFO"] == "/z"


def test_limit() -> None:
    """
    Too many bytes of variables get 431.
    """
    events = converse(make(Limits(head=10)), [packet(GET)])
    assert events[0][2].startswith(b"HTTP/1.1 431 ")


def test_serverKeys() -> None:
    """
    The server's keys are not the peer's to set.
    """
    environ = converse(make(), [packet({**GET, "wsgi.version": "9"})])[0][1]
    assert environ["wsgi.version"] == (1, 0)


def test_factory() -> None:
    """
    The factory makes codecs with the mount.
    """
    codec = UWSGIFactory(Limits(), "/a b", "")(TEMPLATE, None)
    environ = converse(codec, [packet(GET)])[0][1]
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/a b", "")


@given(
    st.dictionaries(
        st.text(st.characters(max_codepoint=255), min_size=1, max_size=300),
        st.text(st.characters(max_codepoint=255), max_size=300),
    )
)
def test_roundTrip(variables: dict[str, str]) -> None:
    """
    Any variables arrive as they were sent.
    """
    data = packet(variables)[4:]
    assert takeVariables(data, data.decode("latin-1")) == variables


@given(st.binary())
def test_garbage(data: bytes) -> None:
    """
    Whatever comes, the codec refuses it, waits, or has a request; nothing else.
    """
    converse(make(), [data])
    size = struct.pack("<BHB", 0, len(data), 0)
    converse(make(), [size + data])


def test_refusalsAreErrors() -> None:
    """
    What is refused is a L{RequestError}, as the contract says.
    """
    with pytest.raises(RequestError):
        make().feed(b"\x16\x03\x01")
