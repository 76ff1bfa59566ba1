"""
L{svctree.wire.scgi}.
"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svctree.wire.contract import Limits, RequestError
from svctree.wire.onerequest import TRANSITIONS
from svctree.wire.scgi import SCGICodec, SCGIFactory, takeSize, takeVariables
from tests.wire.feeding import ANSWER, TEMPLATE, assertAnySplit, converse, kinds

GET = {"SCGI": "1", "REQUEST_METHOD": "GET", "REQUEST_URI": "/a?b"}


def head(variables: dict[str, str], length: str | None = "0") -> bytes:
    pairs = {} if length is None else {"CONTENT_LENGTH": length}
    text = "".join(f"{n}\0{v}\0" for n, v in {**pairs, **variables}.items())
    data = text.encode("latin-1")
    return b"%d:%b," % (len(data), data)


def make(limits: Limits | None = None) -> SCGICodec:
    codec = SCGIFactory(limits or Limits(), "", "")(TEMPLATE, None)
    assert isinstance(codec, SCGICodec)
    return codec


def test_get() -> None:
    """
    A request without a body is one event, and its answer begins with the status.
    """
    events = assertAnySplit(make, head(GET))
    assert kinds(events) == ["request", "answer"]
    environ = events[0][1]
    assert environ["PATH_INFO"] == "/a"
    assert environ["QUERY_STRING"] == "b"
    assert environ["REMOTE_ADDR"] == "192.0.2.99"
    assert events[1][1] == (
        b"Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
    )


def test_post() -> None:
    """
    A body follows its head and ends after CONTENT_LENGTH bytes.
    """
    events = assertAnySplit(
        make, head({**GET, "REQUEST_METHOD": "POST"}, "5") + b"abcde"
    )
    assert kinds(events) == ["request", "body", "end", "answer"]
    assert events[0][2:] == (5, False)
    assert events[1] == ("body", b"abcde")


def test_example() -> None:
    """
    The example of the specification is understood.
    """
    data = (
        b"70:CONTENT_LENGTH\x0027\x00SCGI\x001\x00REQUEST_METHOD\x00POST\x00"
        b"REQUEST_URI\x00/deepthought\x00,What is the answer to life?"
    )
    events = assertAnySplit(make, data)
    assert events[1] == ("body", b"What is the answer to life?")
    assert events[0][1]["PATH_INFO"] == "/deepthought"


def test_line() -> None:
    """
    The request line is put together for the log.
    """
    request = make().feed(head({**GET, "SERVER_PROTOCOL": "HTTP/1.1"}))
    assert request.line == b"GET /a?b HTTP/1.1"  # type: ignore[union-attr]


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_bodiless(status: str) -> None:
    """
    Answers whose status allows no body have none, and no length.
    """
    codec = make()
    codec.feed(head(GET))
    assert b"Length" not in codec.whole(status, ANSWER, b"x")
    assert codec.whole(status, ANSWER, b"x").endswith(b"\r\n\r\n")
    assert codec.head(status, ANSWER, 1).endswith(b"plain\r\n\r\n")
    assert codec.piece(b"x") == b""


def test_head() -> None:
    """
    HEAD gets the length of the body, and not the body.
    """
    codec = make()
    codec.feed(head({**GET, "REQUEST_METHOD": "HEAD"}))
    answer = codec.whole("200 OK", ANSWER, b"hello")
    assert answer.endswith(b"Content-Length: 5\r\n\r\n")
    assert b"Length" not in codec.whole("200 OK", ANSWER, b"")
    codec.head("200 OK", ANSWER, -1)
    assert codec.piece(b"hello") == codec.end() == b""


def test_stream() -> None:
    """
    An answer of unknown length ends with the connection.
    """
    codec = make()
    codec.feed(head(GET))
    codec.close()
    data = codec.head("200 OK", ANSWER, -1) + codec.piece(b"a") + codec.piece(b"b")
    assert data + codec.end() == b"Status: 200 OK\r\nContent-Type: text/plain\r\n\r\nab"
    assert not codec.keepAlive
    assert codec.interim(100) == b""


def test_serverKeysAreOurs() -> None:
    """
    No front end can set a key of the server's, and Forwarded fields are dropped
    unless it is a trusted proxy.
    """
    data = head(
        {
            **GET,
            "wsgi.url_scheme": "x",
            "HTTP_FORWARDED": "a",
            "HTTP_X_FORWARDED_FOR": "b",
        }
    )
    environ = converse(make(), [data])[0][1]
    assert environ["wsgi.url_scheme"] == "http"
    assert not [name for name in environ if "FORWARDED" in name]
    trusting = SCGIFactory(Limits(), "", "")(TEMPLATE, lambda address: True)
    assert converse(trusting, [data])[0][1]["HTTP_X_FORWARDED_FOR"] == "b"


def test_limits() -> None:
    """
    A head above the limit gets 431, a body above the limit 413, as an answer; then
    the connection closes.
    """
    events = assertAnySplit(lambda: make(Limits(head=20)), b"21:")
    assert events == [("error", "RequestError", make().error(431))]
    events = assertAnySplit(lambda: make(Limits(body=4)), head(GET, "5") + b"abcde")
    assert kinds(events) == ["error"]
    assert events[0][2].startswith(b"Status: 413 Content Too Large\r\n")


def test_idle() -> None:
    """
    A connection is idle until its first byte.
    """
    codec = make()
    assert codec.idle
    codec.feed(b"1")
    assert not codec.idle


def test_nothing() -> None:
    """
    A connection that ends before its first byte is no error.
    """
    codec = make()
    assert codec.feed(b"") is None
    assert codec.nextEvent() is None


def test_factory() -> None:
    """
    The factory hands limits and mount to its codecs.
    """
    factory = SCGIFactory(Limits(), "/a", "svctree")
    factory.tick(0.0)
    environ = converse(factory(TEMPLATE, None), [head(GET)])[0][1]
    assert environ["SCRIPT_NAME"] == "/a"
    assert environ["PATH_INFO"] == ""


def test_table() -> None:
    """
    Every state that the table leads to is in the table.
    """
    reached = {after for events in TRANSITIONS.values() for after in events.values()}
    assert reached <= set(TRANSITIONS)


@given(st.binary())
def test_garbage(data: bytes) -> None:
    """
    Whatever comes, the codec refuses it, waits, or has a request; nothing else.
    """
    converse(make(), [data])


@given(st.binary(max_size=30))
def test_garbageBehindALength(data: bytes) -> None:
    """
    The same inside a netstring.
    """
    converse(make(), [b"%d:%b," % (len(data), data)])


names = st.text(st.characters(max_codepoint=255, exclude_characters="\0"), min_size=1)
values = st.text(st.characters(max_codepoint=255, exclude_characters="\0"))


@given(st.dictionaries(names, values), st.binary(max_size=50))
def test_roundTrip(extra: dict[str, str], body: bytes) -> None:
    """
    Any variables and any body arrive as they were sent.
    """
    extra.pop("CONTENT_LENGTH", None)
    data = head({**extra, "SCGI": "1", "REQUEST_METHOD": "POST"}, str(len(body)))
    size = takeSize(data, 65536)
    assert size is not None
    text = data[size[1] + 1 : -1].decode("latin-1")
    found = takeVariables(b"", text)
    assert {n: found[n] for n in extra if n not in ("SCGI", "REQUEST_METHOD")} == {
        n: v for n, v in extra.items() if n not in ("SCGI", "REQUEST_METHOD")
    }
    events = converse(make(), [data + body])
    if events[0][0] == "request" and body:
        assert events[1] == ("body", body)


@given(st.binary(min_size=1, max_size=40), st.data())
def test_anySplit(body: bytes, data: st.DataObject) -> None:
    """
    Split in any number of pieces, a request gives the same events.
    """
    whole = head({**GET, "REQUEST_METHOD": "PUT"}, str(len(body))) + body
    cuts = sorted(data.draw(st.lists(st.integers(1, len(whole) - 1), max_size=6)))
    ends = [0, *cuts, len(whole)]
    pieces = [whole[a:b] for a, b in itertools.pairwise(ends) if b > a]
    assert converse(make(), pieces) == converse(make(), [whole])


def test_refusalsAreErrors() -> None:
    """
    What is refused is a L{RequestError}, as the contract says.
    """
    with pytest.raises(RequestError):
        make().feed(b"GET / HTTP/1.1\r\n")
