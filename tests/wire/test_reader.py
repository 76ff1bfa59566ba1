"""
L{svctree.wire.reader} and L{svctree.wire.shapes}.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svctree.wire import scgi, uwsgi
from svctree.wire.contract import Limits, RequestError
from svctree.wire.fastcgi import pairs
from svctree.wire.reader import Reader
from svctree.wire.shapes import Notation
from tests.wire.feeding import TEMPLATE

NOTATIONS = {
    "scgi": scgi.NOTATION,
    "uwsgi": uwsgi.NOTATION,
    "fastcgi": pairs.NOTATION,
}

BROWSER = {
    "CONTENT_LENGTH": "0",
    "REQUEST_METHOD": "GET",
    "REQUEST_URI": "/",
    "QUERY_STRING": "",
    "CONTENT_TYPE": "",
    "SCGI": "1",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REQUEST_SCHEME": "http",
    "REMOTE_ADDR": "192.0.2.1",
    "REMOTE_PORT": "1000",
    "SERVER_PORT": "80",
    "SERVER_NAME": "",
    "HTTP_HOST": "localhost",
    "HTTP_USER_AGENT": "x" * 200,
    "HTTP_COOKIE": "a=b",
}


def rendered(notation: Notation, variables: dict[str, str]) -> bytes:
    text = "".join(notation.pair(name, value) for name, value in variables.items())
    return text.encode("latin-1")


def reader(protocol: str, mount: str = "", trusted: bool = False) -> Reader:
    limits = Limits(body=1000)
    return Reader(NOTATIONS[protocol], limits, mount, trusted, {"FCGI_ROLE": "R"})


def verdict(reader: Reader, block: bytes) -> Any:
    """
    What a reader makes of a block; with names in place of the mapping that has them.
    """
    try:
        environ, length, line, isHead, own = reader.read(block, TEMPLATE)
    except RequestError as error:
        return type(error), error.status, error.reason
    return environ, length, line, isHead, set(own)


class Parsed(Exception):
    """
    The parser was asked.
    """


def unparsing(reader: Reader) -> Reader:
    def takeVariables(block: bytes, text: str) -> dict[str, str]:
        raise Parsed

    reader._notation = reader._notation._replace(takeVariables=takeVariables)
    return reader


@pytest.mark.parametrize("protocol", NOTATIONS)
def test_learns(protocol: str) -> None:
    """
    After a few requests that differ in some values, further ones are read without
    the parser, whatever these values are.
    """
    mine = reader(protocol)

    def request(number: int) -> bytes:
        changing = {
            "REQUEST_URI": f"/page/{number}?n={number}",
            "QUERY_STRING": f"n={number}",
            "REMOTE_PORT": str(number),
            "HTTP_COOKIE": "c" * number,
        }
        return rendered(NOTATIONS[protocol], {**BROWSER, **changing})

    for number in range(4):
        mine.read(request(number), TEMPLATE)
    unparsing(mine)
    for number in (1, 127, 128, 255, 256, 3000):
        found = verdict(mine, request(number))
        assert found == verdict(reader(protocol), request(number))
        assert found[0]["PATH_INFO"] == f"/page/{number}"
        assert found[2] == b"GET /page/%d?n=%d HTTP/1.1" % (number, number)
    with pytest.raises(Parsed):
        mine.read(request(1)[:-1], TEMPLATE)


@pytest.mark.parametrize("protocol", NOTATIONS)
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("CONTENT_LENGTH", ["0", "1", "17", "", "1001", "x", "999"]),
        ("CONTENT_TYPE", ["", "text/plain", "a; boundary=1", ""]),
        ("HTTP_HOST", ["a", "b:81", "[::1]:82", ""]),
        ("SERVER_NAME", ["a", "", "b"]),
        ("SERVER_PORT", ["1", "", "2"]),
        ("REQUEST_METHOD", ["GET", "HEAD", "POST", "", "GET"]),
        ("REQUEST_SCHEME", ["http", "https", ""]),
        ("REQUEST_URI", ["/a", "", "*", "http://h/%61", "/%2F", "/m/x?y", "/m"]),
        ("HTTPS", ["on", "off", ""]),
        ("PATH_INFO", ["/a", "", "/m/b", "/m"]),
        ("SCRIPT_NAME", ["", "/m", "/m/", "/"]),
        ("RAW_URI", ["x", "y"]),
        ("SERVER_PROTOCOL", ["HTTP/1.0", "HTTP/1.1", ""]),
        ("HTTP_CONTENT_LENGTH", ["1", "2", ""]),
        ("HTTP_TRANSFER_ENCODING", ["chunked", ""]),
        ("HTTP_PROXY", ["evil", "worse"]),
        ("HTTP_X_FORWARDED_FOR", ["1.2.3.4", "5.6.7.8"]),
        ("FCGI_ROLE", ["evil", "worse"]),
        ("wsgi.url_scheme", ["ftp", "gopher"]),
        ("SCGI", ["1", "2", "1", ""]),
    ],
)
@pytest.mark.parametrize("mount", ["", "/m"])
def test_anyVariableMayChange(
    protocol: str, name: str, values: list[str], mount: str
) -> None:
    """
    Whichever variable changes from one request to the next, each is understood as if
    it were the first.
    """
    for trusted in (False, True):
        mine = reader(protocol, mount, trusted)
        for value in [values[0]] * 3 + values * 3:
            block = rendered(NOTATIONS[protocol], {**BROWSER, name: value})
            expected = verdict(reader(protocol, mount, trusted), block)
            assert verdict(mine, block) == expected


names = st.sampled_from(
    [*BROWSER, "PATH_INFO", "SCRIPT_NAME", "HTTP_X_FORWARDED_FOR", "HTTP_PROXY", "A"]
)
values = st.one_of(
    st.sampled_from(["", "0", "1", "5", "/m/a%20b?c", "on", "HEAD", "a=b; c"]),
    st.text(st.characters(max_codepoint=255, exclude_characters="\0"), max_size=300),
)
changes = st.dictionaries(names, values, max_size=3)
mutation = st.tuples(
    st.integers(0, 3000), st.integers(0, 2), st.binary(min_size=0, max_size=2)
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(NOTATIONS)),
    st.lists(changes, min_size=4, max_size=10),
    st.lists(mutation, max_size=8),
)
def test_sameVerdict(
    protocol: str,
    requests: list[dict[str, str]],
    mutations: list[tuple[int, int, bytes]],
) -> None:
    """
    What a reader has learned never changes a verdict: neither that of a good request,
    nor that of one in which bytes were changed, taken out or put in.
    """
    mine = reader(protocol, "/m")
    blocks = [
        rendered(NOTATIONS[protocol], {**BROWSER, **changed}) for changed in requests
    ]
    for block in blocks * 2:
        assert verdict(mine, block) == verdict(reader(protocol, "/m"), block)
    for number, (at, out, more) in enumerate(mutations):
        block = blocks[number % len(blocks)]
        at %= len(block) + 1
        block = block[:at] + more + block[at + out :]
        assert verdict(mine, block) == verdict(reader(protocol, "/m"), block)


@pytest.mark.parametrize("protocol", ["uwsgi", "fastcgi"])
def test_repeatedNames(protocol: str) -> None:
    """
    Requests in which a field comes twice are always parsed, and joined.
    """
    notation = NOTATIONS[protocol]
    mine = reader(protocol)
    for number in range(6):
        block = rendered(notation, BROWSER) + notation.pair(
            "HTTP_COOKIE", f"n={number}"
        ).encode("latin-1")
        environ = mine.read(block, TEMPLATE)[0]
        assert environ["HTTP_COOKIE"] == f"a=b; n={number}"


def test_bounded() -> None:
    """
    A peer that thinks of new names for each request is not remembered, and one that
    never has the same values twice costs a bounded number of lessons in a second.
    """
    mine = reader("uwsgi")
    for number in range(3000):
        for _ in range(3):
            block = rendered(uwsgi.NOTATION, {**BROWSER, f"HTTP_A{number}": "x"})
            mine.read(block, TEMPLATE)
    assert mine._left == 0
    assert 0 < len(mine._lessons) <= 8
    assert len(mine._marks) <= 1024
    lessons = list(mine._lessons)
    mine.read(rendered(uwsgi.NOTATION, BROWSER), TEMPLATE)
    assert mine._lessons == lessons
    mine.tick()
    for number in range(3):
        changed = {**BROWSER, "HTTP_COOKIE": str(number)}
        mine.read(rendered(uwsgi.NOTATION, changed), TEMPLATE)
    assert mine._lessons[0].shape.holes == {"HTTP_COOKIE"}
    for _ in range(3):
        long = {**BROWSER, "HTTP_LONG": "x" * 9000}
        mine.read(rendered(uwsgi.NOTATION, long), TEMPLATE)
    assert "HTTP_LONG" not in mine._lessons[0].shape.sent


def test_environsAreSeparate() -> None:
    """
    What an application leaves in its environ is not in the next one; and each
    connection's template counts.
    """
    mine = reader("uwsgi")
    for number in range(6):
        block = rendered(uwsgi.NOTATION, {**BROWSER, "HTTP_COOKIE": str(number)})
        template = {**TEMPLATE, "own": number}
        environ = mine.read(block, template)[0]
        assert environ["own"] == number
        assert "HTTP_EVIL" not in environ
        assert environ["HTTP_USER_AGENT"] == "x" * 200
        environ["HTTP_EVIL"] = environ["HTTP_USER_AGENT"] = "left"
        environ = mine.read(block, template)[0]
        assert environ["own"] == number
        assert "HTTP_EVIL" not in environ
