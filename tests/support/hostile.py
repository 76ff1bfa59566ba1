"""
Clients as slow as they can be, in a process of their own.

C{python -m tests.support.hostile PORT TARGET HEADS BODIES READERS}: so many connections
send a byte of a head, or of a body, in each second, or read a little of the answer for
C{TARGET} in each second. Who is told something, or cut off, begins anew. Prints
C{ready} when all have begun, and at the end of standard input what the slow heads were
told: one JSON object from status (C{"closed"} for a silent end) to number.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import TracebackType

__all__ = ["Hostile"]

_PARTS = 50
"""A second's bytes do not all come at the same moment."""


class _Slow:
    """
    A connection that sends.
    """

    def __init__(self, port: int, beginning: bytes) -> None:
        self._port = port
        self._beginning = beginning
        self.told: Counter[str] = Counter()
        self._begin()

    def _begin(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self._port), 20)
        self.socket.setblocking(False)
        self._more()

    def _more(self) -> None:
        self.socket.sendall(self._beginning)

    def act(self) -> None:
        """
        What there is to do in a second.
        """
        try:
            self.socket.send(b"x")
            answer = self.socket.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            answer = b""
        self.told[answer.partition(b" ")[2][:3].decode() or "closed"] += 1
        self.socket.close()
        self._begin()


class _Reader(_Slow):
    """
    A connection that reads.
    """

    def _begin(self) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", self._port))
        self.socket.setblocking(False)
        self._more()

    def act(self) -> None:
        try:
            if self.socket.recv(1000):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.socket.close()
        self._begin()


def main(arguments: list[str]) -> None:
    port, heads, bodies, readers = map(int, [arguments[0], *arguments[2:]])
    head = b"GET / HTTP/1.1\r\nHost: h\r\nX: "
    body = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n"
    big = b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % arguments[1].encode()
    trickling = [_Slow(port, head) for _ in range(heads)]
    everybody = [
        *trickling,
        *(_Slow(port, body) for _ in range(bodies)),
        *(_Reader(port, big) for _ in range(readers)),
    ]
    print("ready", flush=True)
    turn, due = 0, time.monotonic()
    while not select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
        for one in everybody[turn % _PARTS :: _PARTS]:
            one.act()
        turn += 1
        due += 1 / _PARTS
    told = sum((one.told for one in trickling), Counter())
    print(json.dumps(told), flush=True)


class Hostile:
    """
    Such clients, as long as a C{with} block.

    @ivar told: afterwards, what the slow heads were told.
    """

    def __init__(
        self, port: int, target: str, heads: int, bodies: int, readers: int
    ) -> None:
        self._arguments = [port, target, heads, bodies, readers]
        self.told: dict[str, int] = {}

    def __enter__(self) -> Hostile:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.hostile", *map(str, self._arguments)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError("the slow clients could not begin")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            told, _ = self._process.communicate("", 10)
            self.told = json.loads(told)
        finally:
            self._process.kill()
            self._process.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
