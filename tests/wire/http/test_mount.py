"""
Paths below a mount.
"""

from __future__ import annotations

import pytest

from svctree.wire.contract import Limits, Request, RequestError
from svctree.wire.http import HTTPFactory
from tests.wire.feeding import TEMPLATE


def ask(target: str) -> dict[str, object]:
    template = {**TEMPLATE, "SCRIPT_NAME": "/app"}
    codec = HTTPFactory(Limits(), "/app", "")(template)
    event = codec.feed(f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    assert isinstance(event, Request)
    return event.environ


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/app", ""),
        ("/app/", "/"),
        ("/app/x%20y?q", "/x y"),
        ("/%61pp/x", "/x"),
        ("http://h/app/x", "/x"),
        ("/app//x", "//x"),
    ],
)
def test_below(target: str, path: str) -> None:
    """
    The mount is SCRIPT_NAME, the rest PATH_INFO, and the raw target stays whole.
    """
    environ = ask(target)
    assert environ["SCRIPT_NAME"] == "/app"
    assert environ["PATH_INFO"] == path
    assert environ["REQUEST_URI"] == target


@pytest.mark.parametrize("target", ["/", "/apple", "/ap", "/x/app"])
def test_outside(target: str) -> None:
    """
    What lies outside of the mount is not found.
    """
    with pytest.raises(RequestError) as caught:
        ask(target)
    assert caught.value.status == 404
