"""
Clients that take their time, with real sockets.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.applications import big, echo, hello, sleepy
from tests.support.loops import RunningLoop, readAll, readResponse

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.fixture(params=["single", "threaded"])
def make(request: pytest.FixtureRequest) -> Callable[..., RunningLoop]:
    """
    Makes a loop of either model.
    """

    def made(application: Callable[..., Any], **settings: Any) -> RunningLoop:
        return RunningLoop(application, workermodel=request.param, **settings)

    return made


def trickle(sock: socket.socket, data: bytes, seconds: float) -> float:
    """
    Send C{data} in pieces until somebody answers.

    @return: how long that took.
    """
    start = time.monotonic()
    sock.settimeout(seconds)
    for at in range(len(data)):
        sock.sendall(data[at : at + 1])
        try:
            sock.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            continue
        break
    sock.settimeout(10)
    return time.monotonic() - start


def test_header(make: Callable[..., RunningLoop]) -> None:
    """
    A head that trickles in is ended by C{header-timeout}, with 408; sending on does
    not help. So it is on a connection's first request and on a later one.
    """
    slow = b"GET / HTTP/1.1\r\nX: " + b"x" * 1000
    with make(hello, header_timeout=0.6) as running:
        for used in (False, True):
            with running.connect() as sock:
                if used:
                    sock.sendall(GET)
                    readResponse(sock)
                took = trickle(sock, slow, 0.05)
                answer = readAll(sock)
            assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
            assert b"Connection: close" in answer
            assert 0.4 < took < 3


def test_body(make: Callable[..., RunningLoop]) -> None:
    """
    C{body-timeout} counts between two pieces of a body.
    """
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n"
    with make(echo, body_timeout=0.5) as running, running.connect() as sock:
        sock.sendall(head)
        for _ in range(10):
            time.sleep(0.1)  # slow, but within the limit: this is what is tested
            sock.sendall(b"x")
        start = time.monotonic()
        answer = readAll(sock)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert 0.3 < time.monotonic() - start < 3


def test_keepalive(make: Callable[..., RunningLoop]) -> None:
    """
    An idle connection is closed without a word after C{keepalive-timeout}; a request
    begins the time anew.
    """
    with make(hello, keepalive_timeout=0.5) as running, running.connect() as sock:
        for _ in range(3):
            sock.sendall(GET)
            readResponse(sock)
            time.sleep(0.3)  # idle, but within the limit: this is what is tested
        start = time.monotonic()
        assert readAll(sock) == b""
    assert time.monotonic() - start < 2


def test_neverAsks(make: Callable[..., RunningLoop]) -> None:
    """
    Who connects and says nothing is closed without a word after C{header-timeout}.
    """
    with make(hello, header_timeout=0.4) as running, running.connect() as sock:
        assert readAll(sock) == b""


def test_write(make: Callable[..., RunningLoop]) -> None:
    """
    A client that takes nothing of its answer for C{write-timeout} is cut off.
    """
    with make(big, write_timeout=0.5) as running, running.connect() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(10):
            sock.sendall(b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n")
        deadline = time.monotonic() + 10
        while running.slot.report().connections and time.monotonic() < deadline:
            time.sleep(0.05)  # a bounded wait for the account
        assert running.slot.report().connections == 0
        with pytest.raises(OSError):
            if len(readAll(sock)) < 20 << 20:
                raise OSError


def test_applicationIsNoExcuse() -> None:
    """
    A connection is not closed as idle because the application kept the loop: the
    request that waits meanwhile is served.
    """
    with (
        RunningLoop(sleepy, keepalive_timeout=0.3, header_timeout=0.3) as running,
        running.connect() as idle,
        running.connect() as fresh,
        running.connect() as busy,
    ):
        idle.sendall(GET)
        readResponse(idle)
        busy.sendall(b"GET /?1 HTTP/1.1\r\nHost: h\r\n\r\n")
        time.sleep(0.1)  # let the application begin
        idle.sendall(GET)
        fresh.sendall(GET)
        for sock in (busy, idle, fresh):
            assert readResponse(sock)[1] == b"Hello, world!"
