"""
How workers share what arrives at the sockets, with real processes.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.http import Broken, Client, Load
from tests.support.master import Driven, startMaster
from tests.support.processes import Processes, alive, processorTime, waitUntil

# Counts how often a worker was woken to accept, and what came of it.
COUNTING = """
import json, os, time
from svctree.worker.accept import Acceptor

wakeups = 0
woken = Acceptor._woken

def counted(self, origin):
    global wakeups
    wakeups += 1
    woken(self, origin)

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/work":
        time.sleep(0.02)
    body = json.dumps([os.getpid(), wakeups]).encode()
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(body)))])
    return [body]

Acceptor._woken = counted
"""

# A worker that has few descriptors.
POOR = """
import os, resource

def application(environ, start_response):
    if environ["PATH_INFO"] == "/limit":
        inUse = len(os.listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (inUse + 10, 4096))
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(body)))])
    return [body]
"""


def serve(
    processes: Processes, folder: Path, text: str, **keywords: Any
) -> tuple[Driven, int]:
    (folder / "accepting.py").write_text(text)
    return startMaster(processes, "accepting:application", folder, **keywords)


def workersOf(master: Driven) -> dict[int, dict[str, Any]]:
    """
    @return: what the pool says of each worker, by pid.
    """
    return {worker["pid"]: worker for worker in master.describe()["workers"]}


@contextlib.contextmanager
def opened(address: int | str) -> Iterator[Client]:
    client = Client(address)
    try:
        yield client
    finally:
        client.close()


def load(port: int, connections: int, requests: int, keepAlive: bool) -> list[float]:
    """
    Ask for C{/work} C{requests} times over C{connections} at a time.

    @return: how long each took.
    """
    left = iter(range(requests))
    lock = threading.Lock()
    taken: list[float] = []
    broken: list[BaseException] = []

    def ask() -> None:
        client = None
        while True:
            with lock:
                if next(left, None) is None:
                    break
            begun = time.monotonic()
            try:
                client = client or Client(port, timeout=60)
                client.get("/work", **({} if keepAlive else {"Connection": "close"}))
            except (Broken, OSError) as error:
                broken.append(error)
            taken.append(time.monotonic() - begun)
            if not keepAlive and client is not None:
                client.close()
                client = None
        if client is not None:
            client.close()

    threads = [threading.Thread(target=ask) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []
    return taken


def test_idleConnections(processes: Processes, tmp_path: Path) -> None:
    """
    Clients that connect and do not ask yet are spread over the workers, which will
    all have something to do when they ask: nobody idles then.
    """
    master, port = serve(processes, tmp_path, COUNTING, workers=4)
    with contextlib.ExitStack() as stack:
        clients = []
        for number in range(1, 33):
            clients.append(stack.enter_context(opened(port)))
            waitUntil(
                lambda: sum(connectionsOf(master)) == number,  # noqa: B023
                "the connection to be accepted",
            )
        assert max(connectionsOf(master)) <= 1.5 * min(connectionsOf(master))


def connectionsOf(master: Driven) -> list[int]:
    return [worker["connections"] for worker in workersOf(master).values()]


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.parametrize("keepAlive", [True, False])
def test_balance(processes: Processes, tmp_path: Path, keepAlive: bool) -> None:
    """
    Of 4 workers under 2,000 requests of 20 ms over 64 connections the busiest serves
    at most 1.5 times as many as the idlest, and nobody waits much longer than all
    the workers together need, whether it came early or late.
    """
    master, port = serve(processes, tmp_path, COUNTING, workers=4)
    taken = load(port, 64, 2000, keepAlive)
    waitUntil(lambda: master.describe()["requests"] == 2000, "the last to be counted")
    served = [worker["requests"] for worker in workersOf(master).values()]
    assert sum(served) == 2000
    assert len(served) == 4
    assert max(served) <= 1.5 * min(served), served
    taken.sort()
    # 64 at a time by 4 workers: 16 requests of 20 ms each, if nobody idles.
    assert taken[1000] < 2 * 16 * 0.02
    assert taken[1980] < 3.5 * taken[1000]


@pytest.mark.alone
def test_wakeups(processes: Processes, tmp_path: Path) -> None:
    """
    A connection that arrives wakes one worker: at most 1.1 are woken for each
    accepted.
    """
    master, port = serve(processes, tmp_path, COUNTING, workers=4)
    for _ in range(300):
        client = Client(port)
        client.get("/", Connection="close")
        client.close()
    # Many at once reach every worker; then each tells what it has counted.
    counts: dict[int, int] = {}
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(opened(port)) for _ in range(32)]
        for client in clients:
            client.send("/work")
        for client in clients:
            client.answer()
        for client in clients:
            pid, wakeups = json.loads(client.get("/").body)
            counts[pid] = wakeups
    assert counts.keys() == workersOf(master).keys()
    accepted = 300 + len(clients)
    # Fewer are woken where a connection is found between two requests.
    assert 300 <= sum(counts.values()) <= 1.1 * accepted, counts


def test_exhaustion(processes: Processes, tmp_path: Path) -> None:
    """
    When a worker's descriptors run out, what it has goes on, the rest waits in the
    kernel at no cost, and is served when descriptors come free. The worker stays.
    """
    master, port = serve(processes, tmp_path, POOR, workers=1)
    (pid,) = workersOf(master)
    first = Client(port)
    assert int(first.get("/limit").body) == pid
    holders = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
    waiting = Client(port)
    waiting.send("/")
    master.running.waitFor("cannot accept connections: Too many open files")
    before, begun = processorTime(pid), time.monotonic()
    # Those that it has are served meanwhile.
    while time.monotonic() - begun < 1.0:
        assert int(first.get("/").body) == pid
        time.sleep(0.1)
    assert processorTime(pid) - before < 0.2
    waiting.socket.settimeout(0.01)
    with pytest.raises(Broken, match="timed out"):
        waiting.answer()
    for holder in holders:
        holder.close()
    waiting.socket.settimeout(20)
    assert int(waiting.answer().body) == pid
    again = Client(port)
    assert int(again.get("/").body) == pid
    assert alive(pid)
    assert master.running.output.count("cannot accept") == 1
    for client in (first, waiting, again):
        client.close()


def test_recoveryWithoutOwnConnections(processes: Processes, tmp_path: Path) -> None:
    """
    A worker recovers also when it was not one of its own connections whose end made
    room.
    """
    text = POOR.replace("inUse + 10", "inUse - 1")
    text += """
import threading, time

def relieve():
    time.sleep(1.0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 4096))

plain = application
def application(environ, start_response):
    threading.Thread(target=relieve).start()
    return plain(environ, start_response)
"""
    _master, port = serve(processes, tmp_path, text, workers=1)
    first = Client(port)
    first.get("/limit")
    second = Client(port)
    second.get("/")
    first.close()
    second.close()


def test_drainWithoutDescriptors(processes: Processes, tmp_path: Path) -> None:
    """
    A worker that ends, and runs out of descriptors while it takes what waits for it
    in the kernel, takes the rest as its connections end.
    """
    master, port = serve(processes, tmp_path, POOR, workers=1)
    with opened(port) as first:
        first.get("/limit")
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(opened(port)) for _ in range(40)]
            for client in clients:
                client.send("/")
            master.send("stop")
            assert [client.answer().status for client in clients] == [200] * 40
    assert master.running.wait() == 0


def test_rebindUnderLoad(processes: Processes, tmp_path: Path) -> None:
    """
    A change of the addresses: what stays loses nothing; what goes is served until
    the change is complete, including what waits in its queue; what comes is served
    before that.
    """
    master, port = serve(
        processes,
        tmp_path,
        COUNTING,
        workers=2,
        listen=["tcp:127.0.0.1:0", f"unix:{tmp_path}/old(600)"],
    )
    with Load(port, keepAlive=8, closing=8, path="/work") as stays:
        for name in ("b", "c"):
            (old,) = tmp_path.glob("old*")
            clients = [Client(str(old)) for _ in range(20)]
            for client in clients:
                client.send("/work", Connection="close")  # nobody idles
            new = tmp_path / f"old{name}"
            answer = master.call(f"rebind tcp:127.0.0.1:0 unix:{new}(600)")
            assert answer["ok"] == [f"tcp:127.0.0.1:{port}", f"unix:{new}"], answer
            for client in clients:
                assert client.answer().status == 200
                client.close()
            assert not old.exists()
            with opened(str(new)) as client:
                assert client.get("/").status == 200
    assert stays.lost == []
    assert len(stays.answers) > 100


def test_rebindThatFails(processes: Processes, tmp_path: Path) -> None:
    """
    An address that cannot be bound, and workers that do not boot with it, leave
    everything as it was.
    """
    master, port = serve(processes, tmp_path, COUNTING, workers=1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        other = taken.getsockname()[1]
        answer = master.call(f"rebind tcp:127.0.0.1:{other}")
    assert f"cannot listen on tcp:127.0.0.1:{other}: process" in answer["error"]
    (tmp_path / "accepting.py").write_text("raise RuntimeError('broken')")
    answer = master.call(f"rebind unix:{tmp_path}/new")
    assert "broken" in answer["error"]
    assert not (tmp_path / "new").exists()
    with opened(port) as client:
        assert client.get("/").status == 200
