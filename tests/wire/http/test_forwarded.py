"""
What trusted proxies say about their clients.
"""

from __future__ import annotations

import pytest

from svctree.wire.contract import Limits, Request, RequestError
from svctree.wire.http import HTTPFactory
from svctree.worker.trust import Trust
from tests.wire.feeding import TEMPLATE

TRUST = Trust(["192.0.2.0/24", "10.0.0.1", "2001:db8::/32", "unix"])


def ask(*fields: str, trusted: bool = True) -> dict[str, object]:
    codec = HTTPFactory(Limits(), "", "")(TEMPLATE, TRUST if trusted else None)
    head = "\r\n".join(["GET / HTTP/1.1", "Host: inner", *fields, "", ""])
    event = codec.feed(head.encode())
    assert isinstance(event, Request)
    return event.environ


def test_untrusted() -> None:
    """
    From others the fields are dropped and nothing changes.
    """
    environ = ask(
        "X-Forwarded-For: 1.1.1.1", "Forwarded: for=1.1.1.1;proto=https", trusted=False
    )
    assert environ["REMOTE_ADDR"] == "192.0.2.99"
    assert environ["wsgi.url_scheme"] == "http"
    assert not any("FORWARDED" in key for key in environ)


@pytest.mark.parametrize(
    ("fields", "client"),
    [
        (["X-Forwarded-For: 1.1.1.1"], "1.1.1.1"),
        (["X-Forwarded-For: 6.6.6.6, 1.1.1.1"], "1.1.1.1"),
        (["X-Forwarded-For: 6.6.6.6, 1.1.1.1, 10.0.0.1, 192.0.2.7"], "1.1.1.1"),
        (["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 1.1.1.1"], "1.1.1.1"),
        (["X-Forwarded-For: 192.0.2.5"], "192.0.2.5"),
        (["X-Forwarded-For: 1.1.1.1:4711"], "1.1.1.1"),
        (["X-Forwarded-For: 2001:db9::1"], "2001:db9::1"),
        (["Forwarded: for=1.1.1.1"], "1.1.1.1"),
        (['Forwarded: For="[2001:db9::1]:4711"'], "2001:db9::1"),
        (["Forwarded: for=6.6.6.6, for=1.1.1.1;by=10.0.0.1"], "1.1.1.1"),
        (["Forwarded: for=6.6.6.6", "Forwarded: for=1.1.1.1"], "1.1.1.1"),
        (["Forwarded: for=1.1.1.1", "X-Forwarded-For: 1.1.1.1"], "1.1.1.1"),
        (["Forwarded: for=unknown"], "unknown"),
    ],
)
def test_client(fields: list[str], client: str) -> None:
    """
    The client is the first address from the right that is no trusted proxy's.
    """
    assert ask(*fields)["REMOTE_ADDR"] == client


def test_schemeHostAndPort() -> None:
    """
    Scheme, host and port replace what the socket says.
    """
    environ = ask(
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: public.example",
        "X-Forwarded-Port: 8443",
    )
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["HTTP_HOST"] == "public.example"
    assert environ["SERVER_PORT"] == "8443"
    environ = ask("Forwarded: for=1.1.1.1;proto=https;host=public.example")
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["HTTP_HOST"] == "public.example"


@pytest.mark.parametrize(
    "fields",
    [
        ["X-Forwarded-Proto: https", "X-Forwarded-Proto: http"],
        ["X-Forwarded-Proto: https", "X-Forwarded-Ssl: off"],
        ["X-Forwarded-Proto: https", "Forwarded: proto=http"],
        ["X-Forwarded-Proto: gopher"],
        ["X-Forwarded-For: 1.1.1.1", "Forwarded: for=2.2.2.2"],
        ["X-Forwarded-Host: a", "Forwarded: host=b"],
        ["X-Forwarded-Host: a/b"],
        ["X-Forwarded-Port: x"],
        ["Forwarded: for"],
        ["Forwarded: for=1.1.1.1;for=2.2.2.2"],
        ['Forwarded: for="1.1.1.1'],
    ],
)
def test_contradictions(fields: list[str]) -> None:
    """
    Fields that contradict each other, or make no sense, are refused.
    """
    with pytest.raises(RequestError) as caught:
        ask(*fields)
    assert caught.value.status == 400


def test_trust() -> None:
    """
    Networks of both families, single addresses, everybody; never what is no address.
    """
    assert TRUST("192.0.2.255") and TRUST("10.0.0.1") and TRUST("2001:db8::5")
    assert not TRUST("10.0.0.2") and not TRUST("::1") and not TRUST("unknown")
    assert TRUST.unix and not Trust(["::1"]).unix
    assert Trust(["*"])("9.9.9.9") and Trust(["*"]).unix
