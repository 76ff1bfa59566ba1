"""
L{svctree.wire.cgi}.
"""

from __future__ import annotations

from svctree.wire.cgi import CGICodec, variablesFrom
from svctree.wire.contract import Limits, Request
from tests.wire.feeding import TEMPLATE, converse, kinds, splits

POST = {"REQUEST_METHOD": "POST", "SCRIPT_NAME": "/s.cgi", "REQUEST_URI": "/s.cgi?x"}


def make(variables: dict[str, str], limits: Limits | None = None) -> CGICodec:
    return CGICodec(variables, TEMPLATE, limits or Limits())


def test_withoutBody() -> None:
    """
    The request is there before a byte of input, and the server's SCRIPT_NAME counts.
    """
    codec = make({**POST, "REQUEST_METHOD": "GET"})
    request = codec.nextEvent()
    assert isinstance(request, Request)
    assert request.done
    assert request.environ["SCRIPT_NAME"] == "/s.cgi"
    assert request.environ["PATH_INFO"] == ""
    assert request.environ["QUERY_STRING"] == "x"


def test_body() -> None:
    """
    CONTENT_LENGTH bytes of input are the body, and no script waits for more.
    """
    expected = converse(make({**POST, "CONTENT_LENGTH": "4"}), [b"abcd"], eof=False)
    assert kinds(expected) == ["request", "body", "end", "answer"]
    for pieces in splits(b"abcd"):
        assert converse(make({**POST, "CONTENT_LENGTH": "4"}), pieces) == expected


def test_noLength() -> None:
    """
    Without a length there is no body, as RFC 3875 says, whatever the input has.
    """
    assert kinds(converse(make(POST), [b"abc"])) == ["request", "answer"]


def test_chunked() -> None:
    """
    A body that came in chunks ends with the input.
    """
    variables = {**POST, "HTTP_TRANSFER_ENCODING": "chunked"}
    events = converse(make(variables), [b"ab", b"c"])
    assert kinds(events) == ["request", "body", "end", "answer"]
    assert events[1][1] == b"abc"
    assert "HTTP_TRANSFER_ENCODING" not in events[0][1]
    assert kinds(converse(make(variables), [])) == ["request", "end", "answer"]


def test_chunkedLimit() -> None:
    """
    The limit holds for it, too.
    """
    variables = {**POST, "HTTP_TRANSFER_ENCODING": "chunked"}
    events = converse(make(variables, Limits(body=2)), [b"abc"])
    assert kinds(events) == ["request", "error"]
    assert events[1][2].startswith(b"Status: 413 ")


def test_cutShort() -> None:
    """
    An input that ends before CONTENT_LENGTH is an error.
    """
    events = converse(make({**POST, "CONTENT_LENGTH": "4"}), [b"abc"])
    assert events[-1][1] == "Truncated"


def test_variables() -> None:
    """
    The environment's bytes are handed on as PEP 3333 wants them, without names that
    look like the server's own.
    """
    found = variablesFrom({b"PATH_INFO": b"/\xc3\xbc", b"wsgi.version": b"1"})
    assert found == {"PATH_INFO": "/\xc3\xbc"}
