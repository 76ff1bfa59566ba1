"""
What becomes of errors from C{accept}.
"""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Callable
from typing import Any

import pytest

from svctree.worker.accept import Acceptor
from svctree.worker.config import WorkerConfig
from svctree.worker.origin import Origin
from svctree.worker.timers import Wheel
from tests.support.applications import hello
from tests.support.loops import RunningLoop, listening, readResponse
from tests.support.processes import waitUntil


class FakePoll:
    """
    Notes what is registered.
    """

    def __init__(self) -> None:
        self.masks: dict[int, int] = {}
        self.calls: list[str] = []

    def register(self, fd: int, mask: int) -> None:
        assert fd not in self.masks
        self.masks[fd] = mask
        self.calls.append("register")

    def unregister(self, fd: int) -> None:
        del self.masks[fd]
        self.calls.append("unregister")


class FakeSocket:
    """
    A listening socket whose C{accept} does what it is told.
    """

    def __init__(self, real: socket.socket, results: list[object]) -> None:
        self._real = real
        self.results = results

    def fileno(self) -> int:
        return self._real.fileno()

    def accept(self) -> Any:
        result = self.results.pop(0) if self.results else BlockingIOError()
        if isinstance(result, BaseException):
            raise result
        return result, ("192.0.2.1", 1)


class Guest:
    """
    A connection.
    """

    def __init__(self, house: House) -> None:
        self._house = house

    def readable(self) -> None:
        self._house.looked += 1


class House:
    """
    A loop, as far as an acceptor sees it.
    """

    def __init__(self, results: list[object], shared: bool = False) -> None:
        self.brief = None
        self.poller: Any = FakePoll()
        self.handlers: dict[int, Callable[[], None]] = {}
        self.wheel = Wheel()
        self.now = 100.0
        self.welcomed: list[object] = []
        self.looked = 0
        self.real = listening()
        origin = Origin(self.real, WorkerConfig(), None)
        self.fake: Any = FakeSocket(self.real, results)
        origin.socket = self.fake
        self.acceptor = Acceptor(self, [origin], shared)
        self.acceptor.start()

    def welcome(self, sock: socket.socket, address: Any, origin: Origin) -> Guest:
        self.welcomed.append(sock)
        return Guest(self)

    def readable(self) -> None:
        self.handlers[self.real.fileno()]()

    def close(self) -> None:
        self.real.close()


@pytest.mark.parametrize("code", ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"])
def test_exhausted(capfd: pytest.CaptureFixture[str], code: str) -> None:
    """
    What runs out takes the sockets out of the poll set until a connection ends or a
    moment has passed; one line says so.
    """
    error = OSError(getattr(errno, code), "exhausted")
    house = House(["a", error, "b"])
    house.readable()
    assert house.welcomed == ["a"]
    assert house.acceptor.paused
    assert house.poller.masks == {}
    assert "cannot accept connections: exhausted" in capfd.readouterr().err
    house.acceptor.resume()
    assert not house.acceptor.paused
    house.readable()
    assert house.welcomed == ["a", "b"]
    # By itself, too, and without another line.
    house.fake.results += [error]
    house.readable()
    assert house.acceptor.paused
    assert capfd.readouterr().err == ""
    house.now += 0.5
    house.wheel.sweep(house.now)
    assert not house.acceptor.paused
    # After a while it is worth another line.
    house.now += 60
    house.fake.results += [error]
    house.readable()
    assert "cannot accept" in capfd.readouterr().err
    house.close()


@pytest.mark.parametrize(
    "code", ["ECONNABORTED", "EPROTO", "ENETDOWN", "EHOSTUNREACH", "EPERM"]
)
def test_oneConnectionLost(code: str) -> None:
    """
    A connection that was lost in the queue is passed over.
    """
    house = House([OSError(getattr(errno, code), "lost"), "a"])
    house.readable()
    assert house.welcomed == ["a"]
    assert not house.acceptor.paused
    house.close()


def test_takesTurns() -> None:
    """
    A worker that shares the sockets takes one connection at a time, wakes alone, and
    then goes to the end of the line.
    """
    house = House(["a", "b"], shared=True)
    fd = house.real.fileno()
    assert house.poller.masks == {fd: select.EPOLLIN | select.EPOLLEXCLUSIVE}
    house.readable()
    assert house.welcomed == ["a"]
    assert house.poller.masks == {fd: select.EPOLLIN | select.EPOLLEXCLUSIVE}
    assert house.poller.calls == ["register", "unregister", "register"]
    # Its request is there already, or will be soon.
    assert house.looked == 1
    assert house.acceptor.pressed
    # Between two requests it takes the next.
    house.acceptor.offer()
    assert house.welcomed == ["a", "b"]
    house.poller.calls = house.poller.calls[:3]
    # Another was faster: the place in the line stays.
    house.fake.results = []
    house.readable()
    assert house.poller.calls == ["register", "unregister", "register"]
    assert not house.acceptor.pressed
    house.close()


def test_alone() -> None:
    """
    A worker alone empties the queue.
    """
    house = House(["a", "b", "c"])
    house.readable()
    assert house.welcomed == ["a", "b", "c"]
    assert house.poller.calls == ["register"]
    house.close()


def test_drain() -> None:
    """
    Who is the last takes everything that waits.
    """
    house = House(["a", "b", "c"], shared=True)
    house.acceptor.drain()
    assert house.welcomed == ["a", "b", "c"]
    house.acceptor.stop()
    assert house.poller.masks == {}
    house.close()


def test_lastOne() -> None:
    """
    A connection that arrives in the moment in which a worker retires is served: the
    kernel may have woken this worker for it and no other.
    """
    with RunningLoop(hello, workermodel="prefork") as running:
        clients: list[socket.socket] = []

        def retire() -> None:
            # The loop is in the middle of a turn.
            clients.append(running.connect())
            running.loop.retire(0.0, False)

        running.call(retire)
        waitUntil(lambda: clients, "the connection")
        clients[0].sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head, _body = readResponse(clients[0])
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"Connection: close" in head
        clients[0].close()
        running.thread.join(10)
