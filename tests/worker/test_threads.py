"""
The threaded loop: who leads, who takes over, how many there are.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from svctree.worker import crew
from svctree.worker.runner import Runner
from tests.support.applications import hello, sleepy
from tests.support.loops import RunningLoop, readResponse
from tests.support.processes import waitUntil

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
SLOW = b"GET /?0.3 HTTP/1.1\r\nHost: h\r\n\r\n"


class Gate:
    """
    An application whose requests wait until they are let go.
    """

    def __init__(self) -> None:
        self.go = threading.Event()
        self.inside = 0
        self.most = 0
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/quick":
            return hello(environ, start)
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        assert self.go.wait(20)
        with self._lock:
            self.inside -= 1
        return hello(environ, start)


def served(function: Callable[[], Any]) -> float:
    start = time.monotonic()
    function()
    return time.monotonic() - start


def test_others() -> None:
    """
    A request that takes long keeps nobody waiting, and idle connections take no
    thread.
    """
    gate = Gate()
    with RunningLoop(gate, workermodel="threaded", maxthreads=4) as running:
        idle = [running.connect() for _ in range(50)]
        slow = [running.connect() for _ in range(3)]
        for sock in slow:
            sock.sendall(GET)
        waitUntil(lambda: gate.inside == 3, "three requests")
        for sock in idle:
            sock.sendall(GET.replace(b" / ", b" /quick "))
            assert readResponse(sock)[1] == b"Hello, world!"
        gate.go.set()
        for sock in slow:
            readResponse(sock)
        for sock in idle + slow:
            sock.close()


def test_secondLook(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A request that took long when it was looked at loses the lead only if it is still
    the one in hand a moment later: it may be the machine that was slow.
    """
    monkeypatch.setattr(crew, "_MOMENT", -1)
    monkeypatch.setattr(crew, "_GLIMPSE", 1_000_000_000)
    threads = set()

    def application(environ: dict[str, Any], start: Any) -> list[bytes]:
        threads.add(threading.get_ident())
        sum(range(20_000))
        return hello(environ, start)

    with (
        RunningLoop(application, workermodel="threaded", maxthreads=4) as running,
        running.connect() as sock,
    ):
        for _ in range(100):
            sock.sendall(GET)
            readResponse(sock)
    assert len(threads) == 1


def test_risesAndFalls() -> None:
    """
    The number of threads follows the load, up to C{maxthreads}, and back to
    C{maxspare}.
    """
    gate = Gate()
    settings = {"workermodel": "threaded", "maxthreads": 8, "maxspare": 2}
    with RunningLoop(gate, **settings) as running:
        threads = lambda: running.slot.report().threads  # noqa: E731
        waitUntil(lambda: 1 <= threads() <= 2, "the first threads")
        clients = [running.connect() for _ in range(12)]
        for count, sock in enumerate(clients[:8], 1):
            sock.sendall(GET)
            waitUntil(lambda count=count: gate.inside == count, "one more request")
        assert threads() == 8
        for sock in clients[8:]:
            sock.sendall(GET)
        time.sleep(0.1)  # what must not happen has time to happen
        assert gate.most == 8 and threads() == 8
        gate.go.set()
        for sock in clients:
            readResponse(sock)
            sock.close()

        def few() -> bool:
            with running.connect() as sock:
                # The account is written at the end of a turn.
                sock.sendall(GET)
                readResponse(sock)
            return threads() <= 4

        waitUntil(few, "spare threads to end")


def test_fixedNumber() -> None:
    """
    C{prefork} with C{threads} runs that many requests at once.
    """
    gate = Gate()
    with RunningLoop(gate, workermodel="prefork", threads=3) as running:
        clients = [running.connect() for _ in range(5)]
        for sock in clients:
            sock.sendall(GET)
        waitUntil(lambda: gate.inside == 3, "three requests")
        time.sleep(0.1)  # what must not happen has time to happen
        assert gate.most == 3
        gate.go.set()
        for sock in clients:
            readResponse(sock)
            sock.close()


def test_houseIsKept() -> None:
    """
    With all threads busy the loop still hears what it is told, and slow readers
    still get their answers.
    """
    gate = Gate()
    body = b"x" * (8 << 20)

    def application(environ: dict[str, Any], start: Any) -> Any:
        if environ["PATH_INFO"] == "/large":
            start("200 OK", [("Content-Length", str(len(body)))])
            return [body]
        return gate(environ, start)

    settings = {"workermodel": "threaded", "maxthreads": 2, "validate": False}
    with RunningLoop(application, **settings) as running:
        reader = running.connect()
        reader.sendall(GET.replace(b" / ", b" /large "))
        waitUntil(lambda: running.slot.report().requests == 1, "the answer begun")
        busy = [running.connect() for _ in range(2)]
        for sock in busy:
            sock.sendall(GET)
        waitUntil(lambda: gate.inside == 2, "all threads busy")
        called = threading.Event()
        running.call(called.set)
        assert called.wait(5)
        assert readResponse(reader)[1] == body
        gate.go.set()
        for sock in busy:
            readResponse(sock)
        for sock in [reader, *busy]:
            sock.close()


def test_manyAtOnce() -> None:
    """
    Mixed slow and quick requests on many connections, pipelined too: every answer
    arrives, in order, and the account is exact.
    """
    with RunningLoop(sleepy, workermodel="threaded", validate=False) as running:
        clients = [running.connect() for _ in range(20)]

        def ask(sock: Any, number: int) -> None:
            for turn in range(20):
                slow = (turn + number) % 7 == 0
                request = GET.replace(b"/ ", b"/?0.02 " if slow else b"/ ", 1)
                if turn % 5 == 0:
                    sock.sendall(request + GET)
                    data = b""
                    while data.count(b"Hello, world!") < 2:
                        data += sock.recv(65536)
                else:
                    sock.sendall(request)
                    assert readResponse(sock)[1] == b"Hello, world!"

        threads = [
            threading.Thread(target=ask, args=[sock, number])
            for number, sock in enumerate(clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
        for sock in clients:
            sock.close()
        expected = 20 * 24
        waitUntil(lambda: running.slot.report().requests == expected, "the account")
        report = waitUntil(
            lambda: (r := running.slot.report()).connections == 0 and r, "the ends"
        )
        assert report.current == []
        assert report.bytesOut % expected == 0


def test_countsAtTheEnd(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What a thread has counted is in the account, also when the last connection of a
    loop that retires has ended before the thread says what it was.
    """
    takeCounts = Runner.takeCounts
    closed = threading.Event()
    ended = threading.Event()

    def slowly(runner: Runner) -> tuple[int, int, int, int]:
        closed.set()
        assert ended.wait(20)
        return takeCounts(runner)

    monkeypatch.setattr(Runner, "takeCounts", slowly)
    with RunningLoop(sleepy, workermodel="threaded", maxthreads=2) as running:
        allOver = running.loop._allOver  # type: ignore[attr-defined]

        def over() -> None:
            ended.set()
            allOver()

        running.loop._allOver = over  # type: ignore[attr-defined]
        with running.connect() as sock:
            sock.sendall(SLOW.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert readResponse(sock)[1]
        assert closed.wait(20)
        running.call(lambda: running.loop.retire(5.0, False))
        running.thread.join(20)
        assert running.slot.report().requests == 1
        assert running.slot.report().bytesOut > 100


@pytest.mark.parametrize("queue", [0, 3])
def test_queue(queue: int) -> None:
    """
    With all threads busy C{maxqueue} requests are taken and wait for a thread; the
    others, and all of them without a queue, wait in the kernel.
    """
    gate = Gate()
    body = b"x" * 12_000_000  # more than the kernel holds
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body)
    settings = {"workermodel": "threaded", "maxthreads": 2, "maxqueue": queue}
    with RunningLoop(gate, **settings) as running:
        busy = [running.connect() for _ in range(2)]
        for sock in busy:
            sock.sendall(GET)
        waitUntil(lambda: gate.inside == 2, "all threads busy")
        taken: list[int] = []

        def post(number: int) -> None:
            with running.connect(30) as sock:
                sock.sendall(head + body)
                taken.append(number)
                readResponse(sock)

        clients = [threading.Thread(target=post, args=[n]) for n in range(5)]
        for client in clients[:queue]:
            client.start()
        waiting = running.loop._later  # type: ignore[attr-defined]
        waitUntil(lambda: len(taken) == len(waiting) == queue, "the queue")
        for client in clients[queue:]:
            client.start()
        time.sleep(0.3)  # what must not happen has time to happen
        assert len(taken) == queue and gate.most == 2
        gate.go.set()
        for sock in busy:
            readResponse(sock)
            sock.close()
        for client in clients:
            client.join(20)
            assert not client.is_alive()
        waitUntil(lambda: running.slot.report().requests == 7, "the account")
