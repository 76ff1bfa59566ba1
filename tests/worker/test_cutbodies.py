"""
Bodies that do not come whole: what the client sees, and what the application does not.

Every worker collects a body before it calls the application. So there is no way in
which an application could take a part of a body for the whole: it is not called at all.
(That is more than the error that a server owes which hands bodies on as they come.)
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from svctree.wire.fastcgi import Kind
from svctree.wire.fastcgi.records import renderRecord, renderStream
from tests.support.applications import hello
from tests.support.loops import RunningLoop, readAll
from tests.wire import test_fastcgi as fastcgi
from tests.wire import test_uwsgi as uwsgi

HEAD = b"POST / HTTP/1.1\r\nHost: h\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def sized(size: int) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % size


HTTP = {
    "nothing": sized(5),
    "small": sized(5) + b"hell",
    "in memory": sized(60_000) + b"x" * 59_999,
    "a large one": sized(3_000_000) + b"x" * 2_999_999,
    "in a file": sized(9_000_000) + b"x" * 300_000,
    "after 100 Continue": HEAD + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    "chunks, nothing": CHUNKED,
    "chunks, in a size": CHUNKED + b"5",
    "chunks, in data": CHUNKED + b"5\r\nhell",
    "chunks, after data": CHUNKED + b"5\r\nhello",
    "chunks, no last one": CHUNKED + b"5\r\nhello\r\n",
    "chunks, half a last one": CHUNKED + b"5\r\nhello\r\n0\r\n",
    "chunks, in trailers": CHUNKED + b"5\r\nhello\r\n0\r\nX: y\r\n",
    "chunks, in a file": CHUNKED + b"30d40\r\n" + b"x" * 199_999,
}

_VARIABLES = {
    "REQUEST_METHOD": "POST",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "CONTENT_LENGTH": "5",
}
_SCGI = (
    b"CONTENT_LENGTH\x005\x00SCGI\x001\x00REQUEST_METHOD\x00POST\x00PATH_INFO\x00/\x00"
)
OTHERS = {
    "scgi": b"%d:%b," % (len(_SCGI), _SCGI) + b"hell",
    "uwsgi": uwsgi.packet(_VARIABLES) + b"hell",
    "fastcgi": fastcgi.begin()
    + fastcgi.params(_VARIABLES)
    + renderStream(Kind.STDIN, 1, b"hell"),
    "fastcgi, stdin ends": fastcgi.post(b"hell", 5),
}


class Application:
    """
    Notes what it gets.
    """

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def __call__(self, environ: dict[str, Any], start: Any) -> list[bytes]:
        body = environ["wsgi.input"].read(1 << 30)
        assert len(body) == int(environ.get("CONTENT_LENGTH") or 0)
        self.bodies.append(body)
        return hello(environ, start)


Make = Callable[..., RunningLoop]


@pytest.fixture(params=["single", "threaded"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """
    Makes a loop of either model.
    """

    def made(application: Callable[..., Any], **settings: Any) -> RunningLoop:
        return RunningLoop(application, workermodel=request.param, **settings)

    yield made


def test_clientEnds(make: Make) -> None:
    """
    When a client ends its side in the middle of a body, it gets no answer but perhaps
    100 Continue, and the application is not called. The worker serves on.
    """
    application = Application()
    with make(application) as running:
        for name, message in HTTP.items():
            answer = running.exchange(message)
            assert answer in (b"", b"HTTP/1.1 100 Continue\r\n\r\n"), name
            assert not application.bodies, name
            assert running.exchange(sized(5) + b"hello").endswith(b"Hello, world!")
            assert application.bodies.pop() == b"hello"


def test_clientResets(make: Make) -> None:
    """
    When a client resets the connection in the middle of a body, the application is
    not called.
    """
    application = Application()
    with make(application) as running:
        for message in HTTP.values():
            with running.connect() as sock:
                sock.sendall(message)
                onClose = struct.pack("ii", 1, 0)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, onClose)
        running.exchange(sized(5) + b"hello")
    assert application.bodies == [b"hello"]


def test_bodyTimeout(make: Make) -> None:
    """
    When the rest of a body does not come in time the client is told so, and the
    application is not called.
    """
    application = Application()
    with make(application, body_timeout=0.2) as running:
        socks = [running.connect() for _ in HTTP]
        for sock, message in zip(socks, HTTP.values(), strict=True):
            sock.sendall(message)
        for sock, name in zip(socks, HTTP, strict=True):
            answer = readAll(sock).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 408 "), name
            sock.close()
    assert not application.bodies


@pytest.mark.parametrize("name", OTHERS)
def test_frontEnds(make: Make, name: str) -> None:
    """
    The same with the protocols of front ends. A FastCGI peer that gives a request up
    and keeps the connection can go on with the next.
    """
    application = Application()
    protocol = name.partition(",")[0]
    with make(application, protocol=protocol) as running:
        assert b"200 OK" not in running.exchange(OTHERS[name])
        assert not application.bodies
        if protocol != "fastcgi":
            assert b"200 OK" in running.exchange(OTHERS[name] + b"o")
        elif name == "fastcgi":
            abort = renderRecord(Kind.ABORT_REQUEST, 1)
            answer = running.exchange(OTHERS[name] + abort + fastcgi.post(b"hello", 5))
            assert answer.count(b"200 OK") == 1
            assert application.bodies == [b"hello"]
