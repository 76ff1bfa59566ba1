"""
Connections that begin with a PROXY header.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from svctree.worker.once import Once
from tests.support.loops import RunningLoop, readAll, readResponse

REQUEST = b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.2 1234 443\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V6 = (
    SIGNATURE
    + struct.pack(">BBH", 0x21, 0x21, 36)
    + socket.inet_pton(socket.AF_INET6, "2001:db8::7")
    + socket.inet_pton(socket.AF_INET6, "2001:db8::2")
    + struct.pack(">HH", 1234, 443)
)
TLS = b"\x20\0\x05\x01\0\0\0\0"
LOCAL = SIGNATURE + struct.pack(">BBH", 0x20, 0, 0)
TRUSTED = {"proxyProtocol": True, "forwardedAllow": ["127.0.0.0/8"]}
NAMES = ("REMOTE_ADDR", "REMOTE_PORT", "SERVER_NAME", "wsgi.url_scheme")


def tell(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    body = json.dumps([environ.get(name) for name in NAMES]).encode()
    start(
        "200 OK",
        [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))],
    )
    return [body]


def ask(sock: socket.socket, data: bytes) -> list[str]:
    sock.sendall(data)
    _head, body = readResponse(sock)
    told: list[str] = json.loads(body)
    return told


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (V1, ["192.0.2.7", "1234", "198.51.100.2", "http"]),
        (V6, ["2001:db8::7", "1234", "[2001:db8::2]", "http"]),
        (
            V6[:14] + struct.pack(">H", 44) + V6[16:] + TLS,
            ["2001:db8::7", "1234", "[2001:db8::2]", "https"],
        ),
    ],
)
def test_client(header: bytes, expected: list[str]) -> None:
    """
    A trusted peer's header tells the application who the client is, for every
    request of the connection, whether the header comes with the request or before.
    """
    with RunningLoop(tell, **TRUSTED) as running:
        with running.connect() as sock:
            assert ask(sock, header + REQUEST) == expected
            assert ask(sock, REQUEST) == expected
        with running.connect() as sock:
            sock.sendall(header)
            assert ask(sock, REQUEST) == expected


@pytest.mark.parametrize("header", [V1, V6])
def test_byteByByte(header: bytes) -> None:
    """
    The header may come in any pieces.
    """
    with RunningLoop(tell, **TRUSTED) as running, running.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in header + REQUEST[:-1]:
            sock.sendall(bytes([byte]))
        assert ask(sock, REQUEST[-1:])[1] == "1234"


@pytest.mark.parametrize("header", [LOCAL, b"PROXY UNKNOWN\r\n"])
def test_theProxyItself(header: bytes) -> None:
    """
    A proxy that speaks for itself, as for a health check, is the client.
    """
    with RunningLoop(tell, **TRUSTED) as running, running.connect() as sock:
        host, port = sock.getsockname()
        assert ask(sock, header + REQUEST)[:2] == [host, str(port)]


@pytest.mark.parametrize(
    "data", [REQUEST, b"\r\n" + REQUEST, V1[:-2] + b" \r\n", b"P0"]
)
def test_garbage(data: bytes) -> None:
    """
    Anything else from a trusted peer closes the connection, without an answer and
    without a request.
    """
    with RunningLoop(tell, **TRUSTED) as running:
        with running.connect() as sock:
            sock.sendall(data)
            try:
                assert readAll(sock) == b""
            except ConnectionResetError:
                pass
        with running.connect() as sock:
            assert ask(sock, V1 + REQUEST)[0] == "192.0.2.7"


def test_truncated() -> None:
    """
    A connection that ends inside the header ends.
    """
    with RunningLoop(tell, **TRUSTED) as running:
        assert running.exchange(V1[:20]) == b""


def test_slowHeader() -> None:
    """
    A peer that never completes the header is not waited for beyond header-timeout.
    """
    settings = {**TRUSTED, "headerTimeout": 0.2}
    with RunningLoop(tell, **settings) as running, running.connect() as sock:
        sock.sendall(V1[:20])
        assert readAll(sock) == b""


def test_untrustedPeer() -> None:
    """
    Who is not trusted is served directly, and cannot pretend to be somebody else.
    """
    settings = {**TRUSTED, "forwardedAllow": ["192.0.2.1"]}
    with RunningLoop(tell, **settings) as running:
        with running.connect() as sock:
            assert ask(sock, REQUEST)[0] == "127.0.0.1"
        assert running.exchange(V1 + REQUEST).startswith(b"HTTP/1.1 400 ")


def test_otherSocket() -> None:
    """
    Where a listener does not expect the header, a trusted peer sends none.
    """
    settings = {**TRUSTED, "proxied": [False]}
    with RunningLoop(tell, **settings) as running, running.connect() as sock:
        assert ask(sock, REQUEST)[0] == "127.0.0.1"


def test_clientIsNoProxy() -> None:
    """
    What the client says about other clients is believed only if the client itself
    is trusted: the header puts it in the place of the proxy.
    """
    request = REQUEST[:-2] + b"X-Forwarded-For: 203.0.113.9\r\n\r\n"
    with RunningLoop(tell, **TRUSTED) as running, running.connect() as sock:
        assert ask(sock, V1 + request)[0] == "192.0.2.7"


@pytest.mark.parametrize(("data", "done"), [(V1 + REQUEST, True), (REQUEST, False)])
def test_once(data: bytes, done: bool) -> None:
    """
    The one connection of the model C{once} may begin with a header, too.
    """
    ours, theirs = socket.socketpair()
    settings = {"proxyProtocol": True, "forwardedAllow": ["unix"]}
    with ours, theirs:
        ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)
        assert Once(tell, settings).fromConnected(theirs.fileno()) is done
        theirs.close()
        answer = readAll(ours)
    assert (b'"192.0.2.7"' in answer) is done
    assert bool(answer) is done


def test_unixPeer(tmp_path: Path) -> None:
    """
    A proxy at a unix socket is trusted as C{unix}.
    """
    settings = {"proxyProtocol": True, "forwardedAllow": ["unix"]}
    address = str(tmp_path / "sock")
    with RunningLoop(tell, address=address, **settings) as running:
        with running.connect() as sock:
            assert ask(sock, V1 + REQUEST)[0] == "192.0.2.7"
        paths = b"/run/client".ljust(108, b"\0") * 2
        header = SIGNATURE + struct.pack(">BBH", 0x21, 0x31, 216) + paths
        with running.connect() as sock:
            assert ask(sock, header + REQUEST)[:2] == ["", None]
