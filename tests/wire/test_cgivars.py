"""
L{svctree.wire.cgivars}.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svctree.wire.cgivars import (
    DROPPED,
    declaredLength,
    environOf,
    joinRepeated,
    percentDecoded,
    schemeOf,
)
from svctree.wire.contract import Limits, RequestError
from tests.wire.feeding import TEMPLATE


def environ(mount: str = "", **variables: str) -> dict[str, object]:
    return environOf({"REQUEST_METHOD": "GET", **variables}, TEMPLATE, mount)


@pytest.mark.parametrize(
    ("uri", "mount", "script", "path", "query"),
    [
        ("/", "", "", "/", ""),
        ("/a/b?x=1&y", "", "", "/a/b", "x=1&y"),
        ("/app", "/app", "/app", "", ""),
        ("/app/", "/app", "/app", "/", ""),
        ("/app/x%20y", "/app", "/app", "/x y", ""),
        ("/application", "/app", "", "/application", ""),
        ("/a%2Fb", "", "", "/a/b", ""),
        ("/a%252Fb", "", "", "/a%2Fb", ""),
        ("/%c3%bc", "", "", "/\xc3\xbc", ""),
        ("/100%", "", "", "/100%", ""),
        ("/%zz%4", "", "", "/%zz%4", ""),
        ("//host/x", "", "", "//host/x", ""),
        ("http://host/x?y", "", "", "/x", "y"),
        ("http://host", "", "", "/", ""),
        ("http://host?y=/", "", "", "/", "y=/"),
        ("*", "", "", "", ""),
    ],
)
def test_pathFromRequestURI(
    uri: str, mount: str, script: str, path: str, query: str
) -> None:
    """
    Without PATH_INFO the URI says what is asked for, decoded once, C{%2F} included,
    and the mount point says where the application begins.
    """
    found = environ(mount, REQUEST_URI=uri, SCRIPT_NAME="/whatever")
    assert (found["SCRIPT_NAME"], found["PATH_INFO"]) == (script, path)
    assert found["QUERY_STRING"] == query
    assert found["REQUEST_URI"] == found["RAW_URI"] == uri


def test_frontEndsPathCounts() -> None:
    """
    A PATH_INFO from the front end is taken as it is, never decoded again.
    """
    found = environ(PATH_INFO="/a%20b", SCRIPT_NAME="/s", REQUEST_URI="/s/a%2520b")
    assert (found["SCRIPT_NAME"], found["PATH_INFO"]) == ("/s", "/a%20b")


def test_mountUnderFrontEndsPath() -> None:
    """
    A mount point is split off a PATH_INFO that still has it (nginx's uwsgi_params),
    and not twice when the front end did it.
    """
    found = environ("/app", PATH_INFO="/app/x")
    assert (found["SCRIPT_NAME"], found["PATH_INFO"]) == ("/app", "/x")
    found = environ("/app", PATH_INFO="/app/x", SCRIPT_NAME="/app")
    assert (found["SCRIPT_NAME"], found["PATH_INFO"]) == ("/app", "/app/x")


def test_scriptThatIsARoot() -> None:
    """
    A SCRIPT_NAME of C{/} names the root, whose PEP 3333 spelling is empty; no other
    ends with a slash either.
    """
    found = environ("/app", SCRIPT_NAME="/app/", PATH_INFO="/x")
    assert (found["SCRIPT_NAME"], found["PATH_INFO"]) == ("/app", "/x")
    found = environ(SCRIPT_NAME="/", PATH_INFO="x/y")
    assert (found["SCRIPT_NAME"], found["PATH_INFO"]) == ("", "/x/y")


def test_noURIAtAll() -> None:
    """
    With neither PATH_INFO nor a URI the script itself was asked for, and no URI is
    made up.
    """
    found = environ(SCRIPT_NAME="/s")
    assert (found["SCRIPT_NAME"], found["PATH_INFO"]) == ("/s", "")
    assert "REQUEST_URI" not in found
    assert "RAW_URI" not in found


@pytest.mark.parametrize("name", DROPPED)
def test_dropped(name: str) -> None:
    """
    Framing fields of the client and C{Proxy} never reach the application.
    """
    assert name not in environ(**{name: "x"})


def test_emptyMeansNone() -> None:
    """
    nginx's empty CONTENT_TYPE and CONTENT_LENGTH mean that there is none.
    """
    variables = {"REQUEST_METHOD": "GET", "CONTENT_TYPE": "", "CONTENT_LENGTH": ""}
    assert declaredLength(variables, Limits()) == 0
    found = environOf(variables, TEMPLATE, "")
    assert "CONTENT_TYPE" not in found
    assert "CONTENT_LENGTH" not in found


@pytest.mark.parametrize(
    ("variables", "length"),
    [
        ({"CONTENT_LENGTH": "0"}, 0),
        ({"CONTENT_LENGTH": "17"}, 17),
        ({"CONTENT_LENGTH": "", "REQUEST_METHOD": "GET"}, 0),
        ({"REQUEST_METHOD": "HEAD"}, 0),
        ({"REQUEST_METHOD": "POST"}, -1),
        ({"REQUEST_METHOD": "GET", "HTTP_TRANSFER_ENCODING": "chunked"}, -1),
    ],
)
def test_declaredLength(variables: dict[str, str], length: int) -> None:
    """
    The length is what CONTENT_LENGTH says; without it only GET and HEAD are known to
    have no body.
    """
    assert declaredLength(dict(variables), Limits()) == length


@pytest.mark.parametrize("text", ["+5", "-1", " 5", "5 ", "0x5", "1_0", "\xb2", "5,5"])
def test_lengthIsDigits(text: str) -> None:
    """
    Anything but digits is refused.
    """
    with pytest.raises(RequestError) as caught:
        declaredLength({"CONTENT_LENGTH": text}, Limits())
    assert caught.value.status == 400


@pytest.mark.parametrize("text", ["11", "9" * 18, "9" * 5000])
def test_lengthIsLimited(text: str) -> None:
    """
    An announced length above the limit is refused before a byte of the body is read.
    """
    with pytest.raises(RequestError) as caught:
        declaredLength({"CONTENT_LENGTH": text}, Limits(body=10))
    assert caught.value.status == 413


@pytest.mark.parametrize(
    ("variables", "scheme"),
    [
        ({}, "http"),
        ({"HTTPS": "on"}, "https"),
        ({"HTTPS": "ON"}, "https"),
        ({"HTTPS": "1"}, "https"),
        ({"HTTPS": ""}, "http"),
        ({"HTTPS": "off", "REQUEST_SCHEME": "https"}, "http"),
        ({"HTTPS": "", "REQUEST_SCHEME": "https"}, "https"),
        ({"REQUEST_SCHEME": "http"}, "http"),
    ],
)
def test_scheme(variables: dict[str, str], scheme: str) -> None:
    """
    HTTPS decides, else REQUEST_SCHEME.
    """
    assert schemeOf(variables) == scheme
    assert environ(**variables)["wsgi.url_scheme"] == scheme


@pytest.mark.parametrize(
    ("variables", "name", "port"),
    [
        ({"SERVER_NAME": "n", "SERVER_PORT": "8"}, "n", "8"),
        ({"SERVER_NAME": "n", "SERVER_PORT": ""}, "n", "80"),
        ({"SERVER_PORT": "", "HTTPS": "on"}, "localhost", "443"),
        ({"HTTP_HOST": "h:81"}, "h", "81"),
        ({"HTTP_HOST": "[::1]:81"}, "[::1]", "81"),
        ({"HTTP_HOST": "[::1]"}, "[::1]", "80"),
        ({"HTTP_HOST": "h:x"}, "h", "80"),
    ],
)
def test_serverIsNamed(variables: dict[str, str], name: str, port: str) -> None:
    """
    SERVER_NAME and SERVER_PORT are never empty: the Host field stands in.
    """
    found = environ(**variables)
    assert (found["SERVER_NAME"], found["SERVER_PORT"]) == (name, port)


def test_methodIsRequired() -> None:
    """
    A request without a method is none.
    """
    with pytest.raises(RequestError):
        environOf({}, TEMPLATE, "")


def test_repeated() -> None:
    """
    Repeated fields are joined, of repeated variables the last one counts.
    """
    pairs = [("HTTP_A", "1"), ("HTTP_COOKIE", "a"), ("X", "1"), ("X", "2")]
    pairs += [("HTTP_A", "2"), ("HTTP_COOKIE", "b")]
    assert joinRepeated(pairs) == {"HTTP_A": "1, 2", "HTTP_COOKIE": "a; b", "X": "2"}


@given(st.binary())
def test_percentRoundTrip(data: bytes) -> None:
    """
    What is encoded byte by byte is decoded to the same bytes, once.
    """
    text = "".join(f"%{byte:02x}" for byte in data)
    assert percentDecoded(text) == data.decode("latin-1")
    assert percentDecoded(text.replace("%", "%25")) == text
