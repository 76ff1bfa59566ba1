"""
How a loop ends: nothing that was accepted is lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.applications import hello, sleepy
from tests.support.loops import RunningLoop, readAll, readResponse
from tests.support.processes import waitUntil

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.fixture(params=["single", "threaded"])
def make(request: pytest.FixtureRequest) -> Callable[..., RunningLoop]:
    """
    Makes a loop of either model.
    """

    def made(application: Callable[..., Any], **settings: Any) -> RunningLoop:
        return RunningLoop(application, workermodel=request.param, **settings)

    return made


def retire(running: RunningLoop, grace: float, drain: bool) -> None:
    done = threading.Event()

    def call() -> None:
        running.loop.retire(grace, drain)
        done.set()

    running.call(call)
    assert done.wait(10)


def test_idleConnections(make: Callable[..., RunningLoop]) -> None:
    """
    An idle connection has the grace to send one more request, whose answer says that
    it is the last; the others are closed when the grace is over.
    """
    with make(hello) as running, running.connect() as one, running.connect() as other:
        for sock in (one, other):
            sock.sendall(GET)
            readResponse(sock)
        start = time.monotonic()
        retire(running, 1.0, False)
        one.sendall(GET)
        answer = readAll(one)
        assert b"Connection: close" in answer and answer.endswith(b"Hello, world!")
        assert readAll(other) == b""
        assert 0.8 < time.monotonic() - start < 5
        running.thread.join(5)
        assert not running.thread.is_alive()


def test_requestInHand(make: Callable[..., RunningLoop]) -> None:
    """
    Requests in hand are answered before the loop ends.
    """
    with make(sleepy) as running, running.connect() as sock:
        sock.sendall(b"GET /?0.5 HTTP/1.1\r\nHost: h\r\n\r\n")
        waitUntil(lambda: running.slot.report().current, "the request")
        running.call(lambda: running.loop.retire(0.2, False))
        assert readResponse(sock)[1] == b"Hello, world!"
        running.thread.join(5)
        assert not running.thread.is_alive()


def test_drain(make: Callable[..., RunningLoop]) -> None:
    """
    With C{drain} connections that wait in the kernel are served, also those that
    send their request a moment later.
    """
    with make(sleepy) as running:
        with running.connect() as busy:
            busy.sendall(b"GET /?0.5 HTTP/1.1\r\nHost: h\r\n\r\n")
            waitUntil(lambda: running.slot.report().current, "the request")
            waiting = [running.connect() for _ in range(12)]
            for sock in waiting[:6]:
                sock.sendall(GET)
            retire(running, 2.0, True)
            for sock in waiting[6:]:
                sock.sendall(GET)
            for sock in waiting:
                assert readAll(sock).endswith(b"Hello, world!")
                sock.close()
            readResponse(busy)
        running.thread.join(5)
        assert not running.thread.is_alive()


def test_abandon(make: Callable[..., RunningLoop]) -> None:
    """
    An abandoned loop ends at once, whoever is connected.
    """
    with make(hello) as running, running.connect() as sock:
        sock.sendall(GET)
        readResponse(sock)
        running.call(running.loop.abandon)
        running.thread.join(5)
        assert not running.thread.is_alive()
        assert readAll(sock) == b""


def test_asksToBeRetired(make: Callable[..., RunningLoop]) -> None:
    """
    After C{max-requests} the loop asks to be retired, once, and serves on until it is.
    """
    settings = {"max_requests": 5, "max_requests_jitter": 0.0}
    with make(hello, **settings) as running, running.connect() as sock:
        for number in range(1, 9):
            sock.sendall(GET)
            readResponse(sock)
            if number < 5:
                assert running.retirements == []
        waitUntil(lambda: running.retirements, "the wish")
        assert running.retirements == ["max-requests"]


def test_asksWhenOldOrLarge() -> None:
    """
    C{max-age} needs no request to be noticed, C{max-memory} one.
    """
    with RunningLoop(hello, max_age=0.3) as running:
        waitUntil(lambda: running.retirements == ["max-age"], "the wish")
    with RunningLoop(hello, max_memory=1) as running:
        waitUntil(lambda: running.retirements == ["max-memory"], "the wish")
