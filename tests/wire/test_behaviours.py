"""
The 22 behaviours of FastCGI and SCGI gateways (docs/explanation/gateways.rst), as far
as a codec shows them. What takes a connection or a real front end is in
tests/frontends.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from svctree.wire.contract import ABORT, Limits
from svctree.wire.fastcgi import FastCGIFactory, Kind, renderPairs
from svctree.wire.fastcgi.records import Status, renderEnd, renderRecord
from svctree.wire.scgi import SCGIFactory
from tests.wire import test_fastcgi as fast
from tests.wire import test_scgi as scgi
from tests.wire.feeding import ANSWER, TEMPLATE, assertAnySplit, converse, kinds


def pieced(variables: dict[str, str], size: int) -> bytes:
    return fast.begin() + fast.params(variables, 1, size) + fast.stdin(b"")


def refused(data: bytes) -> bool:
    """
    Whether the connection closes with no answer and no request.
    """
    return [e[:1] + e[2:] for e in converse(fast.make(), [data])] == [("error", b"")]


def refusedSCGI(data: bytes) -> bool:
    return converse(scgi.make(), [data]) == [("error", "SCGIError", b"")]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64])
def test_01_paramsAreOneStream(size: int) -> None:
    """
    1. PARAMS may be cut into records anywhere, inside a four-byte length too; the
    first empty record ends them, and PARAMS after it close the connection.
    """
    variables = {**fast.GET, "HTTP_COOKIE": "c" * 300}
    events = converse(fast.make(), [pieced(variables, size)])
    assert kinds(events) == ["request", "answer"]
    assert events[0][1]["HTTP_COOKIE"] == "c" * 300
    again = fast.begin() + fast.params({**fast.GET, "CONTENT_LENGTH": "1"})
    events = converse(fast.make(), [again + renderRecord(Kind.PARAMS, 1, b"\0\0")])
    assert events[-1] == ("error", "UnexpectedRecord", b"")


@pytest.mark.parametrize("size", [0, 127, 128, 255, 256, 65535, 65536, 100_000])
def test_02_lengths(size: int) -> None:
    """
    2. Lengths of one byte and of four, of names and values, are read; a pair that
    runs past the stream closes the connection; the total is limited.
    """
    variables = {**fast.GET, "A": "a" * size, "N" * (size or 1): "b"}
    limits = Limits(head=1 << 20)
    environ = converse(fast.make(limits), [pieced(variables, 60_000)])[0][1]
    assert environ["A"] == "a" * size
    assert environ["N" * (size or 1)] == "b"


@pytest.mark.parametrize(
    "data",
    [b"\5\1ab", b"\1\5ab", b"\x80\0\0\1", b"\xff\xff\xff\xff\1aa", b"\1", b"\0\0"],
)
def test_02_lengthsPastTheEnd(data: bytes) -> None:
    """
    2. ... and never reaches the application.
    """
    start = fast.begin() + renderRecord(Kind.PARAMS, 1, data)
    assert refused(start + renderRecord(Kind.PARAMS, 1))


def test_02_total() -> None:
    """
    2. ... more than 64 KiB of parameters get 431.
    """
    data = pieced({**fast.GET, "A": "a" * 65536}, 60_000)
    events = converse(fast.make(), [data])
    assert kinds(events) == ["error"]
    assert b"Status: 431 " in events[0][2]
    assert fast.records(events[0][2])[-1][0] == Kind.END_REQUEST


@pytest.mark.parametrize("padding", [0, 1, 7, 8, 255])
def test_03_padding(padding: int) -> None:
    """
    3. Padding of any size is skipped, split or not; the reserved byte is ignored.
    """
    data = bytearray()
    for kind, requestID, content in fast.records(fast.post(b"abc")):
        record = bytearray(renderRecord(kind, requestID, content, padding))
        record[7] = 99
        data += record
    pieces = [bytes(data[at : at + 5]) for at in range(0, len(data), 5)]
    events = converse(fast.make(), pieces)
    assert events == converse(fast.make(), [bytes(data)])
    assert kinds(events) == ["request", "body", "end", "answer"]


@pytest.mark.parametrize("requestID", [1, 2, 255, 256, 65535])
def test_04_anyID(requestID: int) -> None:
    """
    4. Any id from 1 to 65,535 is taken and echoed.
    """
    events = converse(fast.make(), [fast.get(requestID)])
    assert fast.records(events[-1][1]) == fast.answered(requestID)


@pytest.mark.parametrize("version", [0, 2, 255])
def test_04_version(version: int) -> None:
    """
    4. Any version but 1 closes the connection, at the first byte.
    """
    assert refused(bytes((version,)))


def test_05_secondBegin() -> None:
    """
    5. A second request on a live connection is told CANT_MPX_CONN and the first goes
    on; the same id again closes the connection.
    """
    variables = {**fast.GET, "REQUEST_METHOD": "POST", "CONTENT_LENGTH": "2"}
    data = (
        fast.begin(1)
        + fast.begin(2)
        + fast.params(variables)
        + fast.params(variables, 2)
        + renderRecord(Kind.STDIN, 1, b"a")
        + fast.stdin(b"XX", 2)
        + renderRecord(Kind.STDIN, 1, b"b")
    )
    events = assertAnySplit(fast.make, data, eof=False)
    assert events[0] == ("reply", renderEnd(2, Status.CANT_MPX_CONN))
    assert kinds(events) == ["reply", "request", "body", "end", "answer"]
    assert events[2] == ("body", b"ab")
    assert refused(fast.begin(3) + fast.begin(3))


def test_06_roles() -> None:
    """
    6. Unknown roles are told so. Responder, Authorizer and Filter are served (see
    test_fastcgi.py); records for unknown ids are skipped, and DATA that no role asks
    for is ignored.
    """
    stray = fast.stdin(b"x", 9) + fast.params(fast.GET, 9)
    data = fast.begin(1, role=4) + stray + fast.get(2)
    events = assertAnySplit(fast.make, data)
    assert events[0] == ("reply", renderEnd(1, Status.UNKNOWN_ROLE))
    assert kinds(events) == ["reply", "request", "answer"]
    variables = {**fast.GET, "CONTENT_LENGTH": "1"}
    data = (
        fast.begin()
        + fast.params(variables)
        + renderRecord(Kind.DATA, 1, b"no")
        + fast.stdin(b"x")
    )
    assert kinds(assertAnySplit(fast.make, data))[1:] == ["body", "end", "answer"]


def test_06_unknownRoleOnce() -> None:
    """
    6. ... after which a connection that is not to be kept closes.
    """
    events = converse(fast.make(), [fast.begin(1, 9, False)], eof=False)
    assert kinds(events) == ["reply", "error"]


def test_07_management() -> None:
    """
    7. GET_VALUES is answered truthfully (no multiplexing), without the names that
    nobody knows; other management records are UNKNOWN_TYPE; nothing is unsolicited.
    """
    asked = ["FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS", "FCGI_COLOUR"]
    query = renderRecord(Kind.GET_VALUES, 0, renderPairs(dict.fromkeys(asked, "")))
    factory = FastCGIFactory(Limits(), "", "", {})
    events = assertAnySplit(lambda: factory(TEMPLATE, None), query)
    [(kind, requestID, content)] = fast.records(events[0][1])
    assert (kind, requestID) == (Kind.GET_VALUES_RESULT, 0)
    found = fast.takePairs(content)
    assert list(found) == asked[:3]
    assert found["FCGI_MPXS_CONNS"] == "0"
    assert int(found["FCGI_MAX_CONNS"]) > 0
    for unknown in (0, Kind.BEGIN_REQUEST, 12, 255):
        [event] = assertAnySplit(fast.make, renderRecord(unknown, 0, b"x"))
        body = bytes((unknown,)) + bytes(7)
        assert fast.records(event[1]) == [(Kind.UNKNOWN_TYPE, 0, body)]


def test_08_abort() -> None:
    """
    8. ABORT_REQUEST ends the request with END_REQUEST, and the next one is served.
    """
    for data in (fast.begin(), fast.begin() + fast.params({**fast.GET, "A": "b"})[:20]):
        whole = data + renderRecord(Kind.ABORT_REQUEST, 1) + fast.get(2)
        if len(data) > 16:
            cut = fast.renderRecord(Kind.PARAMS, 1, b"\1\1ab")
            whole = fast.begin() + cut + whole[len(data) :]
        events = assertAnySplit(fast.make, whole)
        assert kinds(events) == ["abort", "reply", "request", "answer"]
        assert events[1][1] == renderEnd(1, Status.REQUEST_COMPLETE)
    variables = {**fast.GET, "REQUEST_METHOD": "POST", "CONTENT_LENGTH": "5"}
    data = fast.begin() + fast.params(variables) + renderRecord(Kind.STDIN, 1, b"abc")
    abort = renderRecord(Kind.ABORT_REQUEST, 1)
    events = assertAnySplit(fast.make, data + abort + fast.get())
    assert kinds(events) == ["request", "body", "abort", "reply", "request", "answer"]


def test_08_abortWhileAnswering() -> None:
    """
    8. An abort that comes while the application runs is told to the connection; one
    that comes after the answer means nothing any more.
    """
    codec = fast.make()
    codec.feed(fast.get())
    assert codec.feed(renderRecord(Kind.ABORT_REQUEST, 1)) is ABORT
    codec = fast.make()
    codec.feed(fast.get())
    codec.whole("200 OK", ANSWER, b"")
    assert codec.feed(renderRecord(Kind.ABORT_REQUEST, 1)) is None
    assert codec.idle


def test_08_abortWithoutKeeping() -> None:
    """
    8. A connection for one request closes after its abort was confirmed.
    """
    data = fast.begin(keep=False) + renderRecord(Kind.ABORT_REQUEST, 1)
    assert kinds(converse(fast.make(), [data], eof=False)) == [
        "abort",
        "reply",
        "error",
    ]


def test_09_inputEndsAtContentLength() -> None:
    """
    9. The request is there after the end of PARAMS; its input ends at CONTENT_LENGTH
    or with STDIN, whichever comes first; a STDIN that is too short is an error, and
    what is too much is drained.
    """
    codec = fast.make()
    variables = {**fast.GET, "REQUEST_METHOD": "POST", "CONTENT_LENGTH": "3"}
    start = fast.begin() + fast.params(variables)
    assert codec.feed(start) is not None
    events = converse(fast.make(), [start, renderRecord(Kind.STDIN, 1, b"abc")], False)
    assert kinds(events) == ["request", "body", "end", "answer"]
    events = assertAnySplit(fast.make, fast.post(b"ab", 3))
    assert events[-1][:2] == ("error", "Truncated")
    events = assertAnySplit(fast.make, fast.post(b"abcdef", 3) + fast.get())
    assert events[1] == ("body", b"abc")
    assert kinds(events)[2:] == ["end", "answer", "request", "answer"]


def test_10_unreadInput() -> None:
    """
    10. An answer that comes before the end of the input leaves a connection that is
    kept usable: the rest of STDIN is drained. One that is not kept closes.
    """
    codec = fast.make()
    variables = {**fast.GET, "REQUEST_METHOD": "POST", "CONTENT_LENGTH": "6"}
    codec.feed(fast.begin() + fast.params(variables))
    codec.whole("413 Content Too Large", ANSWER, b"")
    assert codec.feed(renderRecord(Kind.STDIN, 1, b"abc")) is None
    assert codec.feed(fast.stdin(b"def")) is None
    assert kinds(converse(codec, [fast.get()])) == ["request", "answer"]
    assert kinds(converse(fast.make(), [fast.get(keep=False) + fast.get()])) == [
        "request",
        "answer",
    ]


def test_11_orderOfTheAnswer() -> None:
    """
    11. STDOUT, the end of STDOUT, END_REQUEST, nothing after it; Content-Length is
    that of the body; no record above 65,535 bytes.
    """
    codec = fast.make()
    codec.feed(fast.get())
    found = fast.records(codec.whole("200 OK", ANSWER, b"x" * 70_000))
    assert [kind for kind, _, _ in found] == [6, 6, 6, 3]
    assert b"Content-Length: 70000\r\n" in found[0][2]
    assert found[2][2] == b""
    assert max(len(content) for _, _, content in found) <= 65535
    assert codec.nextEvent() is None


def test_12_stderr() -> None:
    """
    12. STDERR is sent when the application asks for it only, before the end of the
    request, and does not disturb STDOUT.
    """
    codec = fast.make()
    request: Any = codec.feed(fast.get())
    request.environ["fcgi.errors"]().write("a warning\n")
    found = fast.records(codec.whole("200 OK", ANSWER, b"hi"))
    assert found[0] == (Kind.STDERR, 1, b"a warning\n")
    assert found[1:] == fast.answered()
    assert kinds(converse(codec, [fast.get()])) == ["request", "answer"]


def test_13_form() -> None:
    """
    13. The status comes first, lines end with CRLF, and HEAD, 204 and 304 have no
    body.
    """
    for status, method in (("200 OK", "HEAD"), ("204 No", "GET"), ("304 No", "GET")):
        events = converse(fast.make(), [fast.get(REQUEST_METHOD=method)], status=status)
        text = fast.records(events[-1][1])[0][2]
        assert text.startswith(b"Status: " + status.encode() + b"\r\n")
        assert text.endswith(b"\r\n\r\n")
        assert text.count(b"\n") == text.count(b"\r\n")


def test_14_overload() -> None:
    """
    14. A request that nobody can take ends with OVERLOADED.
    """
    codec = fast.make()
    codec.feed(fast.get())
    found = fast.records(codec.error(503))
    assert b"Status: 503 " in found[0][2]
    assert found[-1][2][4] == Status.OVERLOADED


def test_14_webServerAddresses() -> None:
    """
    14. FCGI_WEB_SERVER_ADDRS is an allow list of peers.
    """
    factory = FastCGIFactory(
        Limits(), "", "", {"FCGI_WEB_SERVER_ADDRS": "192.0.2.1,192.0.2.2"}
    )
    allowed = factory({**TEMPLATE, "REMOTE_ADDR": "192.0.2.2"}, None)
    assert kinds(converse(allowed, [fast.get()])) == ["request", "answer"]
    local = factory({**TEMPLATE, "REMOTE_ADDR": ""}, None)
    assert kinds(converse(local, [fast.get()])) == ["request", "answer"]
    refused = factory({**TEMPLATE, "REMOTE_ADDR": "192.0.2.3"}, None)
    assert converse(refused, [fast.get()]) == [("error", "FastCGIError", b"")]


@pytest.mark.parametrize(
    "length", ["+5", " 5", "05", "-5", "5 ", "", "0x5", "x", "5_0"]
)
def test_15_netstringLength(length: str) -> None:
    """
    15. The length of the netstring has digits only.
    """
    assert refusedSCGI(length.encode() + b":abcde,")


@pytest.mark.parametrize(
    "text",
    [
        "CONTENT_LENGTH\0000\0SCGI\0001\0A",
        "CONTENT_LENGTH\0000\0SCGI\0001\0A\0",
        "CONTENT_LENGTH\0000\0SCGI\0001\0A\0b",
        "CONTENT_LENGTH\0000\0SCGI\0001\0\0b\0",
        "CONTENT_LENGTH\0000\0SCGI\0001\0A\0b\0A\0b\0",
        "CONTENT_LENGTH\0000\0SCGI\0001\0CONTENT_LENGTH\0001\0",
        "CONTENT_LENGTH\0000\0SCGI\0001\0HTTP_HOST\0a\0HTTP_HOST\0a\0",
        "",
    ],
)
def test_15_pairs(text: str) -> None:
    """
    15. ... an odd number of NULs, an empty name, a repeated name close the
    connection, whatever the split.
    """
    data = b"%d:%b," % (len(text), text.encode())
    assert refusedSCGI(data)
    assertAnySplit(scgi.make, data)


def test_15_comma() -> None:
    """
    15. ... so do a missing comma and too long a head (which gets 431).
    """
    good = scgi.head(scgi.GET)
    assert refusedSCGI(good[:-1] + b";")
    assertAnySplit(scgi.make, good[:-1] + b";")
    assert converse(scgi.make(), [b"65537:"])[0][:2] == ("error", "RequestError")


def test_15_repeatedFieldsOfTheClient() -> None:
    """
    15. ... but for fields that the client may repeat: nginx before 1.23 hands each of
    them on, and they mean what their joint value means.
    """
    fields = "HTTP_A\0x\0HTTP_A\0y\0HTTP_COOKIE\0a=1\0HTTP_COOKIE\0b=2\0"
    text = f"CONTENT_LENGTH\0000\0SCGI\0001\0REQUEST_METHOD\0GET\0{fields}"
    environ = converse(scgi.make(), [b"%d:%b," % (len(text), text.encode())])[0][1]
    assert environ["HTTP_A"] == "x, y"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"


def test_16_contentLengthFirst() -> None:
    """
    16. CONTENT_LENGTH is the first variable, present, and digits; an empty one is
    taken for 0; C{SCGI=1} may be anywhere but must be there.
    """
    assert refusedSCGI(scgi.head(scgi.GET, None))
    assert refusedSCGI(scgi.head({**scgi.GET, "CONTENT_LENGTH": "0"}, None))
    assert refusedSCGI(scgi.head({"REQUEST_METHOD": "GET"}))
    assert refusedSCGI(scgi.head({**scgi.GET, "SCGI": "2"}))
    assert kinds(converse(scgi.make(), [scgi.head(scgi.GET, "+1")])) == ["error"]
    last = {"REQUEST_METHOD": "GET", "SCGI": "1"}
    assert kinds(assertAnySplit(scgi.make, scgi.head(last))) == ["request", "answer"]
    empty = converse(scgi.make(), [scgi.head(scgi.GET, "")])
    assert empty[0][2:] == (0, True)


def test_17_emptyLastValue() -> None:
    """
    17. An empty last value is legal, and so is any segmentation, the comma alone
    included.
    """
    data = scgi.head({**scgi.GET, "HTTP_X": ""})
    assert assertAnySplit(scgi.make, data)[0][1]["HTTP_X"] == ""
    pieces = [data[:-1], b","]
    assert converse(scgi.make(), pieces) == converse(scgi.make(), [data])


def test_18_shortAndLongBodies() -> None:
    """
    18. The end of the stream before CONTENT_LENGTH bytes is an error; bytes after
    them are ignored, never parsed; the end of the stream after them is normal.
    """
    start = scgi.head({**scgi.GET, "REQUEST_METHOD": "POST"}, "3")
    events = assertAnySplit(scgi.make, start + b"ab")
    assert events[-1][:2] == ("error", "Truncated")
    events = assertAnySplit(scgi.make, start + b"abc" + scgi.head(scgi.GET))
    assert kinds(events) == ["request", "body", "end", "answer"]
    codec = scgi.make()
    codec.feed(scgi.head(scgi.GET))
    assert codec.feed(b"") is None


def test_18_lengthOfTheClient() -> None:
    """
    18. What nginx announces without buffering is less than what it sends; the
    client's own Content-Length tells the truth, but for a subrequest, which has the
    field and not the body.
    """
    variables = {"SCGI": "1", "REQUEST_METHOD": "POST", "HTTP_CONTENT_LENGTH": "5"}
    events = assertAnySplit(scgi.make, scgi.head(variables, "2") + b"abcde")
    assert events[1] == ("body", b"abcde")
    variables["REQUEST_METHOD"] = "GET"
    assert converse(scgi.make(), [scgi.head(variables, "0")])[0][2:] == (0, True)
    for odd in ("+5", "1", "x" * 30):
        variables = {**variables, "REQUEST_METHOD": "PUT", "HTTP_CONTENT_LENGTH": odd}
        events = converse(scgi.make(), [scgi.head(variables, "2") + b"abcde"])
        assert events[1] == ("body", b"ab")


def test_19_oneRequest() -> None:
    """
    19. A connection serves one request.
    """
    codec = scgi.make()
    codec.feed(scgi.head(scgi.GET))
    codec.whole("200 OK", ANSWER, b"")
    assert not codec.keepAlive
    assert codec.feed(scgi.head(scgi.GET)) is None


def test_20_droppedAndDerived() -> None:
    """
    20. Framing fields and Proxy are dropped; SCRIPT_NAME and PATH_INFO come from
    REQUEST_URI and the mount point, decoded once.
    """
    dropped = dict.fromkeys(
        ["HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE", "HTTP_PROXY"], "5"
    )
    data = scgi.head({**scgi.GET, **dropped, "REQUEST_URI": "/m/a%2Fb%20c%2525?d"})
    codec = SCGIFactory(Limits(), "/m", "")(TEMPLATE, None)
    environ = converse(codec, [data])[0][1]
    assert not set(dropped) & set(environ)
    assert environ["SCRIPT_NAME"] == "/m"
    assert environ["PATH_INFO"] == "/a/b c%25"
    assert environ["REQUEST_URI"] == "/m/a%2Fb%20c%2525?d"


def test_21_scheme() -> None:
    """
    21. The scheme is that of HTTPS or REQUEST_SCHEME; an empty SERVER_PORT is filled.
    """
    data = scgi.head({**scgi.GET, "HTTPS": "on", "SERVER_PORT": ""})
    environ = converse(scgi.make(), [data])[0][1]
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["SERVER_PORT"] == "443"


def test_22_everySplit() -> None:
    """
    22. Three requests in a row, split in three pieces at every pair of places, give
    the same events.
    """
    data = fast.get(B="c") + fast.post(b"abc") + fast.get(2)
    expected = converse(fast.make(), [data])
    for first, second in itertools.combinations(range(1, len(data), 3), 2):
        pieces = [data[:first], data[first:second], data[second:]]
        assert converse(fast.make(), pieces) == expected
