"""
Many clients in one thread: what is measured is the server, not the clients' fight for
their interpreter.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import select
import socket
import threading
from time import monotonic
from typing import NamedTuple

__all__ = ["Crowd", "Taken"]

_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
_LAST_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Taken(NamedTuple):
    """
    One answer.

    @ivar begun: when it was asked for (seconds of the monotonic clock); for a client
        without keep-alive, when it began to connect.
    @ivar seconds: until the answer was whole.
    """

    begun: float
    seconds: float
    body: bytes


class _Client:
    def __init__(self, keepsAlive: bool) -> None:
        self.keepsAlive = keepsAlive
        self.socket: socket.socket | None = None
        self.waits = False
        self.begun = 0.0
        self.data = b""


class Crowd:
    """
    Clients of 127.0.0.1 that ask on and on, each after a pause.

    A keep-alive client goes on with a new connection where the server said
    C{Connection: close}, or ended an idle one.

    @ivar lost: what broke: a connection that ended where an answer was due.
    @ivar answers: all answers, in the order of their ends.
    """

    def __init__(self, port: int, keepAlive: int, closing: int, pause: float) -> None:
        self.answers: list[Taken] = []
        self.lost: list[str] = []
        self._port = port
        self._pause = pause
        self._clients = [_Client(True) for _ in range(keepAlive)]
        self._clients += [_Client(False) for _ in range(closing)]
        self._stop = False
        self._poll = select.epoll()
        self._asked: dict[int, _Client] = {}
        self._due: list[tuple[float, int]] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Crowd:
        # A collection would be a latency of its own.
        gc.disable()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True
        self._thread.join(30.0)
        gc.enable()

    def _run(self) -> None:
        count = len(self._clients)
        now = monotonic()
        self._due = [(now + self._pause * n / count, n) for n in range(count)]
        while not self._stop or any(client.waits for client in self._clients):
            now = monotonic()
            while self._due and self._due[0][0] <= now:
                client = self._clients[heapq.heappop(self._due)[1]]
                if not self._stop:
                    self._ask(client)
            left = self._due[0][0] - monotonic() if self._due else self._pause
            for fd, _ in self._poll.poll(max(0.0, left)):
                self._readable(fd)
        for client in self._clients:
            self._drop(client)
        self._poll.close()

    def _ask(self, client: _Client) -> None:
        client.begun = monotonic()
        client.waits = True
        client.data = b""
        if client.socket is None:
            # The kernel of 127.0.0.1 connects without waiting for the server.
            client.socket = socket.create_connection(("127.0.0.1", self._port))
            self._asked[client.socket.fileno()] = client
            self._poll.register(client.socket, select.EPOLLIN)
        # What is wrong is seen where the answer is read.
        with contextlib.suppress(OSError):
            client.socket.sendall(_REQUEST if client.keepsAlive else _LAST_REQUEST)

    def _readable(self, fd: int) -> None:
        client = self._asked[fd]
        assert client.socket is not None
        try:
            data = client.socket.recv(65536)
        except OSError:
            data = b""
        if not data:
            if client.waits:
                self.lost.append(f"connection closed after {client.data!r}")
                self._later(client)
            self._drop(client)
            return
        client.data += data
        head, end, body = client.data.partition(b"\r\n\r\n")
        fields = head.lower()
        if not end or len(body) < _length(fields):
            return
        self.answers.append(Taken(client.begun, monotonic() - client.begun, body))
        if b"connection: close" in fields or not client.keepsAlive:
            self._drop(client)
        self._later(client)

    def _later(self, client: _Client) -> None:
        client.waits = False
        number = self._clients.index(client)
        heapq.heappush(self._due, (monotonic() + self._pause, number))

    def _drop(self, client: _Client) -> None:
        if client.socket is not None:
            self._poll.unregister(client.socket)
            del self._asked[client.socket.fileno()]
            client.socket.close()
            client.socket = None


def _length(fields: bytes) -> int:
    return int(fields.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
