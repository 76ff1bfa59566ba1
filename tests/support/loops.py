"""
A worker's loop for tests: in a thread of the test, or in a process of its own.

As a program (C{python -m tests.support.loops APPLICATION SETTINGS}) it serves on a
port of its own choice, prints it, and retires on SIGTERM.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any
from wsgiref.validate import validator

from svctree.pool.scoreboard import Scoreboard, Slot
from svctree.worker.config import WorkerConfig
from svctree.worker.loops import ILoop, makeLoop


def listening(address: Any = ("127.0.0.1", 0)) -> socket.socket:
    """
    @return: a non-blocking listening socket; C{address} may be a path.
    """
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    if not isinstance(address, str) and ":" in address[0]:
        family = socket.AF_INET6
    sock = socket.socket(family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(address)
    sock.listen(1024)
    sock.setblocking(False)
    return sock


def newSlot(cells: int = 64) -> Slot:
    return Scoreboard.create(1, cells).slots[0]


class RunningLoop:
    """
    A loop that runs in a thread while its C{with} block does.

    @ivar address: where it listens.
    @ivar retirements: what it gave to C{onRetireWanted}.
    """

    def __init__(
        self,
        application: Callable[..., Any],
        validate: bool = True,
        address: Any = ("127.0.0.1", 0),
        **settings: Any,
    ) -> None:
        """
        @param validate: wrap the application in C{wsgiref.validate}.
        """
        settings.setdefault("workermodel", "single")
        self.socket = listening(address)
        self.address = self.socket.getsockname()
        self.slot = newSlot()
        self.retirements: list[str] = []
        self.loop: ILoop = makeLoop(
            validator(application) if validate else application,
            WorkerConfig.fromSettings(settings),
            [self.socket],
            self.slot,
        )
        self.loop.onRetireWanted = self.retirements.append
        self._calls: list[Callable[[], None]] = []
        self._read, self._write = os.pipe()
        self.thread = threading.Thread(target=self.loop.run, daemon=True)

    def call(self, function: Callable[[], None]) -> None:
        """
        Call C{function} in the loop.
        """
        self._calls.append(function)
        os.write(self._write, b"x")

    def _called(self) -> None:
        os.read(self._read, 1)
        self._calls.pop(0)()

    def __enter__(self) -> RunningLoop:
        self.loop.watch(self._read, self._called)
        self.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.thread.is_alive():
            self.call(self.loop.abandon)
        self.thread.join(10)
        assert not self.thread.is_alive()
        self.socket.close()
        os.close(self._read)
        os.close(self._write)

    def connect(self, timeout: float = 10.0) -> socket.socket:
        sock = socket.socket(self.socket.family)
        sock.settimeout(timeout)
        sock.connect(self.address)
        return sock

    def exchange(self, data: bytes, timeout: float = 10.0) -> bytes:
        """
        Send C{data}, end the sending side, and read all of the answer.
        """
        with self.connect(timeout) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            return readAll(sock)


def readAll(sock: socket.socket) -> bytes:
    parts = []
    while data := sock.recv(65536):
        parts.append(data)
    return b"".join(parts)


def readResponse(sock: socket.socket, exactly: bool = True) -> tuple[bytes, bytes]:
    """
    Read one response framed by Content-Length.

    @param exactly: nothing may follow; else what follows is part of the body.
    @return: its head and its body.
    """
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            raise AssertionError(f"the connection ended after {data!r}")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    parts = [body]
    missing = length - len(body)
    while missing > 0:
        more = sock.recv(1 << 20)
        if not more:
            raise AssertionError(f"the body lacks {missing} of {length} bytes")
        parts.append(more)
        missing -= len(more)
    assert not missing or not exactly, "bytes after the response"
    return head, b"".join(parts)


def main(argv: list[str]) -> None:
    place, settings = argv[0], json.loads(argv[1] if len(argv) > 1 else "{}")
    module, _, name = place.partition(":")
    application = getattr(importlib.import_module(module), name)
    sock = listening(tuple(settings.pop("address", ("127.0.0.1", 0))))
    settings.setdefault("workermodel", "single")
    config = WorkerConfig.fromSettings(settings)
    loop = makeLoop(application, config, [sock], newSlot())
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.set_wakeup_fd(write)

    def onSignal() -> None:
        os.read(read, 100)
        loop.retire(0.0, True)

    loop.watch(read, onSignal)
    print(f"ready {sock.getsockname()[1]} {os.getpid()} {time.time()}", flush=True)
    loop.run()


if __name__ == "__main__":
    main(sys.argv[1:])
