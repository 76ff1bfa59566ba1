"""
L{svctree.wire.fastcgi}.
"""

from __future__ import annotations

import itertools
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svctree.wire.contract import ABORT, Limits
from svctree.wire.fastcgi import (
    TRANSITIONS,
    Event,
    FastCGICodec,
    FastCGIError,
    FastCGIFactory,
    Kind,
    State,
    UnexpectedRecord,
    allowedPeers,
    renderPairs,
    takePairs,
    takeRecord,
)
from svctree.wire.fastcgi.records import renderRecord, renderStream
from svctree.wire.fastcgi.states import advance
from tests.wire.feeding import ANSWER, TEMPLATE, assertAnySplit, converse, kinds

GET = {"REQUEST_METHOD": "GET", "REQUEST_URI": "/a?b", "CONTENT_LENGTH": ""}


def begin(requestID: int = 1, role: int = 1, keep: bool = True) -> bytes:
    body = struct.pack(">HB5x", role, keep)
    return renderRecord(Kind.BEGIN_REQUEST, requestID, body)


def params(variables: dict[str, str], requestID: int = 1, size: int = 65535) -> bytes:
    data = renderPairs(variables)
    return b"".join(
        renderRecord(Kind.PARAMS, requestID, data[at : at + size], -len(data) % 8)
        for at in range(0, len(data), size)
    ) + renderRecord(Kind.PARAMS, requestID)


def stdin(data: bytes, requestID: int = 1) -> bytes:
    return renderStream(Kind.STDIN, requestID, data) + renderRecord(
        Kind.STDIN, requestID
    )


def get(requestID: int = 1, keep: bool = True, role: int = 1, **more: str) -> bytes:
    return (
        begin(requestID, role, keep)
        + params({**GET, **more}, requestID)
        + stdin(b"", requestID)
    )


def post(body: bytes, length: int | None = None, **more: str) -> bytes:
    length = len(body) if length is None else length
    variables = {**GET, "REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(length), **more}
    return begin() + params(variables) + stdin(body)


def make(limits: Limits | None = None) -> FastCGICodec:
    return FastCGIFactory(limits or Limits(), "", "", {})(TEMPLATE, None)


def records(data: bytes) -> list[tuple[int, int, bytes]]:
    found: list[tuple[int, int, bytes]] = []
    at = 0
    while at < len(data):
        taken = takeRecord(data, at)
        assert not isinstance(taken, int)
        record, at = taken
        found.append(tuple(record))  # type: ignore[arg-type]
    return found


def answered(requestID: int = 1) -> list[tuple[int, int, bytes]]:
    text = b"Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
    return [
        (Kind.STDOUT, requestID, text),
        (Kind.STDOUT, requestID, b""),
        (Kind.END_REQUEST, requestID, bytes(8)),
    ]


def test_get() -> None:
    """
    A request without a body is one event, and its answer is STDOUT, the end of
    STDOUT, END_REQUEST.
    """
    events = assertAnySplit(make, get())
    assert kinds(events) == ["request", "answer"]
    environ = events[0][1]
    assert environ["PATH_INFO"] == "/a"
    assert environ["FCGI_ROLE"] == "RESPONDER"
    assert records(events[1][1]) == answered()


def test_shortFormIsTheLongForm() -> None:
    """
    The path for requests in their usual form gives what the records one by one give.
    """
    usual = get() + post(b"abc") + get(keep=False)
    padded = b"".join(
        renderRecord(kind, requestID, content, 1)
        for kind, requestID, content in records(usual)
    )
    assert converse(make(), [padded]) == converse(make(), [usual])


def test_keptConnection() -> None:
    """
    A kept connection serves one request after the other, until one is not to be
    kept.
    """
    events = assertAnySplit(make, get() + post(b"abc") + get(keep=False) + get())
    assert kinds(events) == [
        *("request", "answer"),
        *("request", "body", "end", "answer"),
        *("request", "answer"),
    ]


def test_notKept() -> None:
    """
    Without FCGI_KEEP_CONN the answer is the connection's last, as it is after
    C{close}.
    """
    codec = make()
    codec.feed(get(keep=False))
    assert not codec.keepAlive
    codec = make()
    codec.feed(get())
    assert codec.keepAlive
    codec.close()
    assert not codec.keepAlive


def test_streamWithoutLength() -> None:
    """
    Without CONTENT_LENGTH a body ends with its stream.
    """
    variables = {**GET, "REQUEST_METHOD": "POST"}
    data = begin() + params(variables) + stdin(b"abc")
    events = assertAnySplit(make, data)
    assert kinds(events) == ["request", "body", "end", "answer"]
    assert events[0][2:] == (-1, False)


def test_streamOverTheLimit() -> None:
    """
    A body without a length is refused at the first byte above the limit.
    """
    data = begin() + params({**GET, "REQUEST_METHOD": "POST"}) + stdin(b"abc")
    events = converse(make(Limits(body=2)), [data])
    assert kinds(events) == ["request", "error"]
    assert b"Status: 413 " in events[1][2]


def test_longAnswer() -> None:
    """
    An answer of any size is cut into records of at most 65,535 bytes.
    """
    for size in (65400, 65535, 65536, 200_000):
        codec = make()
        codec.feed(get())
        found = records(codec.whole("200 OK", ANSWER, b"x" * size))
        assert all(len(content) <= 65535 for _, _, content in found)
        text = b"".join(content for kind, _, content in found if kind == Kind.STDOUT)
        assert text.endswith(b"\r\n\r\n" + b"x" * size)
        assert [kind for kind, _, _ in found][-2:] == [Kind.STDOUT, Kind.END_REQUEST]
        assert found[-2][2] == b""


def test_piecewise() -> None:
    """
    An answer in pieces gives the same stream; HEAD, 204 and 304 give none.
    """
    codec = make()
    codec.feed(get())
    data = codec.head("200 OK", ANSWER, 3) + codec.piece(b"ab") + codec.piece(b"c")
    found = records(data + codec.end())
    assert b"".join(content for kind, _, content in found if kind == 6) == (
        b"Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nabc"
    )
    assert codec.idle
    for method, status in (("HEAD", "200 OK"), ("GET", "304 Not Modified")):
        codec.feed(get(REQUEST_METHOD=method))
        codec.head(status, ANSWER, -1)
        assert codec.piece(b"x") == b""
        codec.end()


def test_errorPage() -> None:
    """
    A request that failed gets a complete answer; HEAD without its body.
    """
    codec = make()
    codec.feed(get())
    found = records(codec.error(500))
    assert found[0][2].startswith(b"Status: 500 Internal Server Error\r\n")
    assert [kind for kind, _, _ in found] == [
        Kind.STDOUT,
        Kind.STDOUT,
        Kind.END_REQUEST,
    ]
    assert not codec.keepAlive
    codec = make()
    codec.feed(get(REQUEST_METHOD="HEAD"))
    assert records(codec.error(500))[0][2].endswith(b"\r\n\r\n")
    assert make().error(408) == b""


def test_truncated() -> None:
    """
    A stream that ends inside a request is an error, between two it is not.
    """
    data = post(b"abc")
    body = data.index(b"abc") + 3
    for at in range(1, body):
        assert converse(make(), [data[:at]])[-1][1] == "Truncated"
    # The end of STDIN itself is not needed: CONTENT_LENGTH was reached.
    for at in range(body, len(data)):
        assert kinds(converse(make(), [data[:at]], eof=False))[-1] == "answer"
    assert converse(make(), [], eof=True) == []


def test_idle() -> None:
    """
    A connection is idle before its first byte and after an answer that used up what
    had come; the end of a stream that comes late does not change it.
    """
    codec = make()
    assert codec.idle
    codec.feed(get()[:3])
    assert not codec.idle
    codec.feed(get()[3:])
    assert not codec.idle
    codec.whole("200 OK", ANSWER, b"")
    assert codec.nextEvent() is None
    assert codec.idle
    assert codec.feed(renderRecord(Kind.STDIN, 1)) is None
    assert codec.idle


def test_authorizer() -> None:
    """
    An Authorizer gets its variables and no body, whatever length they tell.
    """
    data = begin(role=2) + params({**GET, "CONTENT_LENGTH": "10"}) + stdin(b"")
    events = assertAnySplit(make, data)
    assert kinds(events) == ["request", "answer"]
    assert events[0][1]["FCGI_ROLE"] == "AUTHORIZER"
    assert events[0][2:] == (0, True)


def filtered(body: bytes, data: bytes) -> bytes:
    variables = {**GET, "CONTENT_LENGTH": str(len(body)), "FCGI_DATA_LENGTH": "9"}
    return (
        begin(role=3)
        + params(variables)
        + stdin(body)
        + renderStream(Kind.DATA, 1, data)
        + renderRecord(Kind.DATA, 1)
    )


def test_filter() -> None:
    """
    A Filter reads STDIN, then DATA, and is told where the one ends and the other
    begins.
    """
    events = assertAnySplit(make, filtered(b"abc", b"the file\n"))
    assert kinds(events) == ["request", "body", "end", "answer"]
    assert events[1][1] == b"abcthe file\n"
    codec = make()
    request: Any = codec.feed(filtered(b"abc", b"the file\n"))
    while codec.nextEvent() is not None:
        pass
    assert request.environ["fcgi.data_offset"] == 3
    assert request.environ["FCGI_ROLE"] == "FILTER"


def test_filterCutShort() -> None:
    """
    A Filter's STDIN that ends before CONTENT_LENGTH is an error, too.
    """
    data = filtered(b"abc", b"x").replace(b"\1\5\0\1\0\3\0\0abc", b"\1\5\0\1\0\2\0\0ab")
    assert converse(make(), [data])[-1][1] == "Truncated"


def test_filterDataTooEarly() -> None:
    """
    DATA before the end of STDIN has no place.
    """
    data = begin(role=3) + params(GET) + renderRecord(Kind.DATA, 1, b"x")
    assert converse(make(), [data])[-1] == ("error", "UnexpectedRecord", b"")


def test_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Messages for the front end's log are records of STDERR ahead of what is sent next.
    What comes too late, or is too much, goes to standard error.
    """
    codec = make()
    request: Any = codec.feed(get(7, REQUEST_METHOD="HEAD"))
    log = request.environ["fcgi.errors"]()
    log.write("before\n")
    found = records(codec.head("200 OK", ANSWER, -1))
    assert found[0] == (Kind.STDERR, 7, b"before\n")
    log.writelines(["one\n", "tw\u00f6\n"])
    log.flush()
    assert codec.piece(b"x") == b""
    found = records(codec.end())
    assert found[:2] == [(7, 7, b"one\n"), (7, 7, "tw\u00f6\n".encode())]
    assert [kind for kind, _, _ in found[2:]] == [Kind.STDOUT, Kind.END_REQUEST]
    log.write("late")
    assert capsys.readouterr().err == "late"
    assert codec.interim(103) == b""
    request = codec.feed(get(8))
    log = request.environ["fcgi.errors"]()
    for _ in range(3):
        log.write("x" * 60_000)
    assert len(capsys.readouterr().err) == 60_000
    sent = records(codec.error(500))
    assert sum(kind == Kind.STDERR for kind, _, _ in sent) == 2


def test_stderrAborted() -> None:
    """
    Messages of a request that was aborted are not those of the next.
    """
    codec = make()
    request: Any = codec.feed(get())
    request.environ["fcgi.errors"]().write("of the first")
    assert codec.feed(renderRecord(Kind.ABORT_REQUEST, 1)) is ABORT
    while codec.nextEvent() is not None:
        pass
    assert converse(codec, [get()])[-1][1] == converse(make(), [get()])[-1][1]


@pytest.mark.parametrize(
    "data",
    [
        renderRecord(Kind.BEGIN_REQUEST, 1, bytes(7)),
        renderRecord(Kind.STDOUT, 1, b"x"),
        renderRecord(Kind.END_REQUEST, 1, bytes(8)),
        renderRecord(Kind.GET_VALUES, 1),
        renderRecord(12, 1),
        begin() + begin(),
        begin() + renderRecord(Kind.STDIN, 1, b"x"),
        begin() + renderRecord(Kind.PARAMS, 1, b"\1"),
        begin() + params({"": "x"}),
        begin() + params({**GET, "CONTENT_LENGTH": "9"}) + params(GET),
        b"\2\1\0\1\0\x08\0\0",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_refused(data: bytes) -> None:
    """
    What is not the protocol, or has no place where it comes, closes the connection
    without an answer.
    """
    events = [
        event for event in converse(make(), [data + bytes(8)]) if event[0] == "error"
    ]
    assert events[0][2] == b""
    assert events[0][1] in ("FastCGIError", "UnexpectedRecord")


def test_unexpected() -> None:
    """
    The message says what came, where, and what was expected.
    """
    with pytest.raises(UnexpectedRecord) as caught:
        advance(State.PARAMS, Event.STDIN)
    assert str(caught.value) == (
        "400: got STDIN in state PARAMS, "
        "expected PARAMS, PARAMS_END, PARAMS_ALONE, ABORT"
    )
    assert (caught.value.event, caught.value.state) == ("STDIN", "PARAMS")


def test_table() -> None:
    """
    Every state that the table leads to is in the table.
    """
    reached = {after for events in TRANSITIONS.values() for after in events.values()}
    assert reached == set(TRANSITIONS)


def test_undecided() -> None:
    """
    The pairs of state and event that have no place are these, by choice.
    """
    events = [name for name in vars(Event) if name.isupper()]
    missing = {
        state: [event for event in events if event not in TRANSITIONS[state]]
        for state in TRANSITIONS
    }
    assert {state: len(names) for state, names in missing.items()} == {
        State.IDLE: 10,
        State.PARAMS: 7,
        State.STDIN: 6,
        State.DATA: 7,
        State.ANSWER: 5,
    }


@pytest.mark.parametrize(
    ("text", "peers"),
    [("", None), (" , ", None), ("10.0.0.1, ::1", {"10.0.0.1", "::1"})],
)
def test_allowedPeers(text: str, peers: set[str] | None) -> None:
    """
    FCGI_WEB_SERVER_ADDRS is a list of addresses; none means no restriction.
    """
    assert allowedPeers({"FCGI_WEB_SERVER_ADDRS": text}) == peers


def test_factory() -> None:
    """
    The factory answers management records and hands on mount and limits.
    """
    factory = FastCGIFactory(Limits(), "/a", "", {})
    factory.tick(0.0)
    events = converse(factory(TEMPLATE, None), [get()])
    assert events[0][1]["SCRIPT_NAME"] == "/a"


names = st.text(st.characters(max_codepoint=255), min_size=1, max_size=200)
values = st.text(st.characters(max_codepoint=255), max_size=300)


@given(st.dictionaries(names, values))
def test_pairsRoundTrip(pairs: dict[str, str]) -> None:
    """
    Any name-value pairs arrive as they were sent.
    """
    assert takePairs(renderPairs(pairs)) == pairs


@given(st.binary())
def test_pairsGarbage(data: bytes) -> None:
    """
    Bytes are pairs, or they are refused.
    """
    try:
        takePairs(data)
    except FastCGIError:
        pass


@given(st.integers(0, 255), st.integers(0, 65535), st.binary(), st.integers(0, 255))
def test_recordsRoundTrip(
    kind: int, requestID: int, content: bytes, padding: int
) -> None:
    """
    Any record is read as it was rendered, with any padding; short of its last byte
    it is not there.
    """
    data = renderRecord(kind, requestID, content, padding)
    assert takeRecord(data) == ((kind, requestID, content), len(data))
    assert takeRecord(data[:-1]) == (len(data) if len(data) > 8 else 8)


@given(st.binary())
def test_garbage(data: bytes) -> None:
    """
    Whatever comes, the codec refuses it, waits, or has a request; nothing else.
    """
    converse(make(), [data])


record = st.builds(
    renderRecord,
    st.integers(0, 12),
    st.integers(0, 2),
    st.one_of(st.binary(max_size=9), st.just(renderPairs(GET))),
    st.integers(0, 9),
)
piece = st.one_of(
    record, st.builds(begin, st.integers(1, 2), st.integers(1, 4), st.booleans())
)
conversation = st.lists(
    st.one_of(
        piece,
        st.builds(get, st.integers(1, 3), st.booleans()),
        st.builds(post, st.binary(max_size=20)),
        st.builds(filtered, st.binary(max_size=5), st.binary(max_size=5)),
    ),
    max_size=6,
).map(b"".join)


@given(conversation, st.data())
def test_anySplit(whole: bytes, data: st.DataObject) -> None:
    """
    Lawful and unlawful records in any order: however they are split, the codec says
    the same.
    """
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    ends = [0, *cuts, len(whole)]
    pieces = [whole[a:b] for a, b in itertools.pairwise(ends) if b > a]
    assert converse(make(), pieces) == converse(make(), [whole] if whole else [])


@given(conversation)
def test_oneEndForEachBegin(whole: bytes) -> None:
    """
    Each request that was begun ends once, unless the connection closes first.
    """
    events = converse(make(), [whole], eof=False)
    if any(event[0] == "error" for event in events):
        return
    sent = b"".join(event[1] for event in events if event[0] in ("answer", "reply"))
    ends = sum(1 for kind, _, _ in records(sent) if kind == Kind.END_REQUEST)
    begins = 0
    at = 0
    while at < len(whole):
        taken = takeRecord(whole, at)
        assert not isinstance(taken, int)
        begins += taken[0].kind == Kind.BEGIN_REQUEST and taken[0].requestID > 0
        at = taken[1]
    assert ends <= begins
