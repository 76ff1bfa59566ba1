"""
Connections that go from one worker to another, as the workers see it.

The workers are loops that do not turn: each is told what to do.
"""

from __future__ import annotations

import json
import resource
import select
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from svctree.pool.scoreboard import STATE, Scoreboard, State
from svctree.worker.config import WorkerConfig
from svctree.worker.loops import makeLoop
from svctree.worker.relay import Relay
from svctree.worker.single import SingleLoop
from tests.support.loops import listening, readResponse
from tests.worker.test_proxied import NAMES, REQUEST, TRUSTED, V1, tell


class Workers:
    """
    Two workers that share a listening socket and a relay.

    @ivar given, taken: the ends of the relay.
    """

    def __init__(self, address: Any = ("127.0.0.1", 0), **settings: Any) -> None:
        self._stack = ExitStack()
        self.socket = self._stack.enter_context(listening(address))
        self.taken, self.given = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET
        )
        self._stack.enter_context(self.taken)
        self._stack.enter_context(self.given)
        board = Scoreboard.create(2, 1)
        self._stack.callback(board.close)
        self.slots = board.slots
        self.loops: list[SingleLoop] = []
        for slot in self.slots:
            slot.words[STATE] = State.IDLE
            loop = makeLoop(
                tell,
                WorkerConfig.fromSettings({"workermodel": "prefork", **settings}),
                [self.socket],
                slot,
            )
            assert isinstance(loop, SingleLoop)
            loop.joinRelay((self.taken, self.given), self.slots)
            self._stack.callback(loop._end)
            loop._begin()
            self.loops.append(loop)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def connect(self) -> socket.socket:
        client = socket.socket(self.socket.family)
        client.settimeout(10)
        client.connect(self.socket.getsockname())
        return self._stack.enter_context(client)

    def relay(self, number: int) -> Relay:
        relay = self.loops[number].relay
        assert relay is not None
        return relay

    def meet(self) -> tuple[socket.socket, socket.socket, list[tuple[int, int]]]:
        """
        Have a request and a new connection come to the first worker in the same
        instant, and let it know that requests take long.

        @return: both clients, and what the worker is about to handle.
        """
        self.relay(0).average = 1.0
        client = self.connect()
        assert self.loops[0].acceptor.take(self.socket.fileno())
        client.sendall(REQUEST)
        return client, self.connect(), self.events(0, 2)

    def turn(self, number: int, timeout: float = 5.0) -> int:
        """
        Let a worker handle what is ready.

        @return: how many events there were.
        """
        loop = self.loops[number]
        events = loop.poller.poll(timeout)
        for fd, _ in events:
            loop.handlers[fd]()
        return len(events)

    def events(self, number: int, count: int) -> list[tuple[int, int]]:
        """
        @return: what a worker is about to handle, when there is so much of it.
        """
        poller = self.loops[number].poller
        found: list[tuple[int, int]] = []
        while len(found) < count:
            found = poller.poll(5)
        return found


def test_passedOn() -> None:
    """
    A connection between two requests goes on with another worker, with the request
    that was sent to the first, and knows as much of its client.
    """
    with Workers() as workers:
        one, other = workers.loops
        client = workers.connect()
        client.sendall(REQUEST)
        workers.turn(0)
        first = readResponse(client)
        (connection,) = one.connections
        client.sendall(REQUEST)
        workers.events(0, 1)
        assert workers.relay(0).give(connection)
        assert not one.connections
        assert not one.connections
        workers.turn(1)
        assert len(other.connections) == 1
        second = readResponse(client)
        assert second[1] == first[1]


@pytest.mark.parametrize("before", [b"", V1, V1 + REQUEST])
def test_proxied(before: bytes) -> None:
    """
    What a PROXY header said travels along, and so does that one is expected.
    """
    with Workers(**TRUSTED) as workers:
        client = workers.connect()
        client.sendall(before)
        fresh = workers.loops[0].acceptor.take(workers.socket.fileno())
        assert fresh is not None
        if before:
            fresh.readable()
        if REQUEST in before:
            readResponse(client)
        assert workers.relay(0).give(fresh)
        client.sendall(REQUEST if before else V1 + REQUEST)
        workers.relay(1).take()
        (_connection,) = workers.loops[1].connections
        _head, body = readResponse(client)
        assert dict(zip(NAMES, json.loads(body), strict=True)) == {
            "REMOTE_ADDR": "192.0.2.7",
            "REMOTE_PORT": "1234",
            "SERVER_NAME": "198.51.100.2",
            "wsgi.url_scheme": "http",
        }


def test_unix(tmp_path: Path) -> None:
    """
    Connections through unix sockets can be passed on as well.
    """
    with Workers(str(tmp_path / "socket")) as workers:
        client = workers.connect()
        fresh = workers.loops[0].acceptor.take(workers.socket.fileno())
        assert fresh is not None and workers.relay(0).give(fresh)
        client.sendall(REQUEST)
        workers.relay(1).take()
        assert readResponse(client)[0].startswith(b"HTTP/1.1 200")


def test_share() -> None:
    """
    Of several requests one stays; those that have begun stay, too, and a connection
    that waits in the kernel is fetched from there.
    """
    with Workers() as workers:
        one = workers.loops[0]
        clients = [workers.connect() for _ in range(5)]
        for _ in clients:
            one.acceptor.take(workers.socket.fileno())
        for client in clients[1:]:
            client.sendall(REQUEST)
        clients[0].sendall(REQUEST[:10])
        workers.events(0, 5)
        workers.turn(0)
        for client in clients[1:]:
            readResponse(client)
            client.sendall(REQUEST)
        clients[0].sendall(REQUEST[10:])
        late = workers.connect()
        late.sendall(REQUEST)
        events = workers.events(0, 6)
        left = workers.relay(0).share(events)
        # The one whose request has begun, and at most one other.
        assert 1 <= len(left) <= 2
        for fd, _ in left:
            one.handlers[fd]()
        while workers.turn(1, 0):
            pass
        for client in (*clients, late):
            readResponse(client)
        assert len(workers.loops[1].connections) == 6 - len(left)


def test_freshBesideSlow() -> None:
    """
    Where a request and a new connection come in the same instant, the connection is
    passed on before the application is called: nobody else was woken for it.
    """
    with Workers() as workers:
        one = workers.loops[0]
        client, late, events = workers.meet()
        one._several(events, one.now)
        assert len(one.connections) == 1
        late.sendall(REQUEST)
        workers.relay(1).take()
        readResponse(client)
        readResponse(late)


def test_retiredInTheTurn() -> None:
    """
    Who was told to retire in the same turn in which a request and a new connection
    came serves the request, and leaves what comes after to others.
    """
    with Workers() as workers:
        one = workers.loops[0]
        client, late, events = workers.meet()
        one.retire(1.0, False)
        later = workers.connect()
        one._several(events, one.now)
        readResponse(client)
        for other in late, later:
            other.sendall(REQUEST)
        while workers.turn(0, 0.1) or workers.turn(1, 0.1):
            pass
        for other in late, later:
            readResponse(other)
        assert len(workers.loops[1].connections) == 1


@pytest.mark.parametrize(
    ("average", "state", "worth"),
    [
        (0.0005, State.IDLE, False),
        (0.002, State.IDLE, True),
        (0.002, State.BUSY, False),
        (0.02, State.BUSY, True),
        (0.02, State.RETIRING, False),
    ],
)
def test_isWorthIt(average: float, state: int, worth: bool) -> None:
    """
    Connections are passed on where requests take longer than that, and somebody is
    there to take them.
    """
    with Workers() as workers:
        workers.slots[1].words[STATE] = state
        relay = workers.relay(0)
        for _ in range(100):
            relay.observe(average)
        assert relay.isWorthIt() == worth


def test_full() -> None:
    """
    Where the relay has no more room, the connection stays where it is.
    """
    with Workers() as workers:
        workers.given.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        one = workers.loops[0]
        given = 0
        while True:
            client = workers.connect()
            client.sendall(REQUEST)
            fresh = one.acceptor.take(workers.socket.fileno())
            assert fresh is not None
            if not workers.relay(0).give(fresh):
                break
            given += 1
        assert 0 < given < 100
        assert one.connections == {fresh}
        fresh.readable()
        readResponse(client)


@pytest.fixture
def poverty() -> Iterator[Callable[[bool], None]]:
    """
    Lets this process have no further descriptor, or as many as before.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda poor: resource.setrlimit(
        resource.RLIMIT_NOFILE, (3 if poor else soft, hard)
    )
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_exhaustion(poverty: Callable[[bool], None]) -> None:
    """
    Who has no descriptor left leaves the connection in the relay and wakes another; it
    tries again after a moment.
    """
    with Workers() as workers:
        one = workers.loops[1]
        client = workers.connect()
        client.sendall(REQUEST)
        fresh = workers.loops[0].acceptor.take(workers.socket.fileno())
        assert fresh is not None
        workers.relay(0).give(fresh)
        poverty(True)
        workers.turn(1)
        assert workers.relay(1).paused
        assert workers.turn(1, 0) == 0
        poverty(False)
        assert one.wheel.due <= one.now + 0.5
        one.wheel.sweep(one.now + 1)
        assert not workers.relay(1).paused
        workers.turn(1)
        readResponse(client)
        # What wakes others is no connection.
        workers.turn(1)
        assert len(one.connections) == 1


def test_reset() -> None:
    """
    A connection that its client has reset on the way is dropped.
    """
    with Workers() as workers:
        client = workers.connect()
        fresh = workers.loops[0].acceptor.take(workers.socket.fileno())
        assert fresh is not None and workers.relay(0).give(fresh)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        workers.relay(1).take()
        assert not workers.loops[1].connections


def test_retired() -> None:
    """
    Who retires and may have been woken for a connection in the relay wakes another.
    The last one takes what is there.
    """
    with Workers() as workers:
        clients = [workers.connect() for _ in range(2)]
        for client in clients:
            client.sendall(REQUEST)
            fresh = workers.loops[0].acceptor.take(workers.socket.fileno())
            assert fresh is not None and workers.relay(0).give(fresh)
        one, other = workers.loops
        one.retire(1.0, False)
        workers.slots[0].words[STATE] = State.RETIRING
        assert not one._inherits()
        other.retire(1.0, False)
        workers.slots[1].words[STATE] = State.RETIRING
        for client in clients:
            assert other._inherits()
            assert b"Connection: close" in readResponse(client)[0]
        while other._inherits():  # what was said to wake others
            pass
        assert other._over()
        assert not select.select([workers.taken], [], [], 0)[0]


def test_shareAll() -> None:
    """
    Who can begin with nothing gives everything away, and is not told any more of what
    it could take; but where it is alone, it keeps what it has.
    """
    with Workers() as workers:
        one = workers.loops[0]
        client = workers.connect()
        assert one.acceptor.take(workers.socket.fileno())
        client.sendall(REQUEST)
        events = workers.events(0, 1)
        workers.slots[1].words[STATE] = State.RETIRING
        assert workers.relay(0).shareAll(events) == events
        workers.slots[1].words[STATE] = State.BUSY
        assert list(workers.relay(0).shareAll(events)) == []
        assert workers.turn(0, 0) == 0
        workers.relay(0).start()
        assert workers.turn(0, 0) == 1
        readResponse(client)
