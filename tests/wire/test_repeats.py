"""
L{svctree.wire.repeats}.
"""

from __future__ import annotations

from typing import Any

import pytest

from svctree.wire import repeats
from svctree.wire.contract import Limits
from svctree.wire.fastcgi import FastCGIFactory
from svctree.wire.scgi import SCGIFactory
from svctree.wire.uwsgi import UWSGIFactory
from tests.wire import test_fastcgi as fast
from tests.wire import test_scgi as scgi
from tests.wire import test_uwsgi as uwsgi
from tests.wire.feeding import TEMPLATE, converse

GET = {"REQUEST_METHOD": "GET", "REQUEST_URI": "/"}
ENVIRON: dict[str, object] = {**GET, "wsgi.url_scheme": "http"}

FACTORIES: list[Any] = [
    (SCGIFactory, scgi.head(scgi.GET)),
    (SCGIFactory, scgi.head({**scgi.GET, "REQUEST_METHOD": "HEAD"})),
    (UWSGIFactory, uwsgi.packet(uwsgi.GET)),
    (FastCGIFactory, fast.get()),
    (FastCGIFactory, fast.get(REQUEST_METHOD="HEAD")),
    (FastCGIFactory, fast.get() + fast.post(b"abc") + fast.get()),
]


@pytest.mark.parametrize(("make", "data"), FACTORIES)
def test_sameAgain(make: Any, data: bytes) -> None:
    """
    A request that comes again is what it was the first time, in an environ of its
    own, and with the template of its own connection.
    """
    factory = make(Limits(), "/m", "")
    first = converse(factory(TEMPLATE, None), [data])
    first[0][1]["HTTP_EVIL"] = "left by the application"
    for number in range(4):
        template = {**TEMPLATE, "REMOTE_ADDR": f"192.0.2.{number}"}
        events = converse(factory(template, None), [data])
        assert events[0][1].pop("REMOTE_ADDR") == f"192.0.2.{number}"
        for event in events[1:]:
            if event[0] == "request":
                event[1].pop("REMOTE_ADDR")
        assert events[1:] == [
            (one[0], {k: v for k, v in one[1].items() if k != "REMOTE_ADDR"}, *one[2:])
            if one[0] == "request"
            else one
            for one in first[1:]
        ]
        assert "HTTP_EVIL" not in events[0][1]
        assert events[0][1]["SCRIPT_NAME"] == first[0][1]["SCRIPT_NAME"]
        events[0][1]["HTTP_EVIL"] = "left by the application"


def test_bounded() -> None:
    """
    However many requests there are, a bounded number is remembered, and none that is
    long.
    """
    seen = repeats.Repeats()
    for number in range(5000):
        for _ in range(2):
            seen.rest = 0
            seen.saw(b"%d" % number, ENVIRON, GET, b"", False)
    assert 0 < len(seen.known) <= 256
    before = dict(seen.known)
    for _ in range(3):
        seen.rest = 0
        seen.saw(bytes(3000), ENVIRON, GET, b"", False)
        seen.saw(b"without a URI", ENVIRON, {"REQUEST_METHOD": "GET"}, b"", False)
    assert seen.known == before


def test_rest() -> None:
    """
    While nothing comes again, there are long times without a look; what does come
    again is found then, too, and looked for as long as it comes.
    """
    seen = repeats.Repeats()

    def ask(data: bytes) -> bool:
        if seen.rest:
            seen.rest -= 1
        elif seen.find(data) is not None:
            return True
        if not seen.rest:
            seen.saw(data, ENVIRON, GET, b"", False)
        return False

    looks = 0
    for number in range(10_000):
        before = len(seen._marks)
        ask(b"%d" % number)
        looks += len(seen._marks) != before
    assert looks < 2000
    assert sum(ask(b"again") for _ in range(2000)) > 900
    assert all(ask(b"again") for _ in range(2000))


def test_trustedPeersAreReadAnew() -> None:
    """
    What an ordinary peer may not say is not remembered for a trusted one, nor the
    other way round.
    """
    data = scgi.head({**scgi.GET, "HTTP_X_FORWARDED_FOR": "1.2.3.4"})
    factory = SCGIFactory(Limits(), "", "")
    for _ in range(3):
        environ = converse(factory(TEMPLATE, None), [data])[0][1]
        assert "HTTP_X_FORWARDED_FOR" not in environ
    environ = converse(factory(TEMPLATE, lambda address: True), [data])[0][1]
    assert environ["HTTP_X_FORWARDED_FOR"] == "1.2.3.4"
