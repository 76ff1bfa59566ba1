"""
Requests go to the workers that are free, wherever their connections are.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.http import Client, Load
from tests.support.master import Driven, startMaster
from tests.support.processes import Processes, freeze, waitUntil

APPLICATION = """
import os, time

def application(environ, start_response):
    if environ["QUERY_STRING"]:
        time.sleep(float(environ["QUERY_STRING"]))
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(body)))])
    return [body]
"""


def serve(
    processes: Processes, folder: Path, **keywords: Any
) -> tuple[Driven, int, list[int]]:
    """
    @return: the master, its port, and the pids of the workers.
    """
    (folder / "passing.py").write_text(APPLICATION)
    master, port = startMaster(processes, "passing:application", folder, **keywords)
    return master, port, pidsOf(master)


def pidsOf(master: Driven) -> list[int]:
    return [worker["pid"] for worker in master.describe()["workers"]]


@contextlib.contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """
    Meanwhile some workers see nothing of what happens, and afterwards all at once.
    """
    for pid in pids:
        freeze(pid)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def connected(port: int, count: int, others: list[int]) -> Iterator[list[Client]]:
    """
    Keep-alive connections that are not those of some workers.

    @param others: the pids of these workers.
    """
    with stopped(others):
        clients = [Client(port) for _ in range(count)]
        for client in clients:
            assert int(client.get().body) not in others
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


@pytest.mark.alone
@pytest.mark.parametrize(
    "keywords",
    [{"workers": 4}, {"workers": 2, "threads": 2, "maxqueue": 2}],
    ids=str,
)
def test_spread(processes: Processes, tmp_path: Path, keywords: dict[str, int]) -> None:
    """
    Slow requests on connections that are all with one worker are served by all of
    them, in little more than the time that they need together.
    """
    _master, port, pids = serve(processes, tmp_path, **keywords)
    with connected(port, 32, pids[1:]) as clients:
        for _ in range(2):
            begun = time.monotonic()
            # Else it begins with the first before the others have been sent.
            with stopped(pids[:1]):
                for client in clients:
                    client.send("/?0.05")
            served = Counter(int(client.answer().body) for client in clients)
            taken = time.monotonic() - begun
            assert served.keys() == set(pids)
            assert max(served.values()) <= 1.5 * min(served.values())
            # Four at a time; one worker alone would take 1.6 s.
            assert taken < 2 * 32 * 0.05 / 4


@pytest.mark.alone
def test_quick(processes: Processes, tmp_path: Path) -> None:
    """
    Quick requests stay with the worker that has their connections.
    """
    _master, port, pids = serve(processes, tmp_path, workers=2)
    served: Counter[int] = Counter()
    with connected(port, 8, pids[1:]) as clients:
        for _ in range(100):
            for client in clients:
                client.send()
            served.update(int(client.answer().body) for client in clients)
    # On a crowded machine quick requests may look slow for a while. All that wait
    # passed on, as slow ones are, would leave the worker half of them.
    assert served[pids[0]] >= 0.7 * served.total()


def test_killed(processes: Processes, tmp_path: Path) -> None:
    """
    What a worker has passed on is not lost when it is killed, whoever is there to
    take it.
    """
    master, port, pids = serve(processes, tmp_path, workers=2)
    with connected(port, 6, pids[1:]) as clients:
        for client in clients:
            client.get("/?0.01")
        busy = Client(port)
        with stopped(pids[:1]):
            for client in clients:
                client.send("/?0.3")
        # Two are served; the others are on their way.
        waitUntil(
            lambda: all(
                "0.3" in str(worker["current"])
                for worker in master.describe()["workers"]
            ),
            "both workers to have a request",
        )
        os.kill(pids[0], signal.SIGKILL)
        lost = 0
        for client in clients:
            try:
                client.answer()
            except Exception as error:
                assert "closed" in str(error) or "reset" in str(error)
                lost += 1
        assert lost == 1
        busy.close()


def test_ends(processes: Processes, tmp_path: Path) -> None:
    """
    What is in the relay is served when workers end: by their successors, by those
    that stay, or by the last.
    """
    master, port, pids = serve(processes, tmp_path, workers=2)
    for end in ("reload", "scale 1", "drain", "stop"):
        with connected(port, 6, pids[1:]) as clients:
            for client in clients:
                client.get("/?0.01")
            with stopped(pids[:1]):
                for client in clients:
                    client.send("/?0.1")
            answer = master.send(end)
            for client in clients:
                assert client.answer().status == 200
        if end == "stop":
            assert master.running.wait() == 0
            break
        assert "ok" in master.result(answer)
        if end != "reload":
            assert "ok" in master.call("scale 2" if end == "scale 1" else "reload")
        pids = [
            worker["pid"]
            for worker in master.describe()["workers"]
            if worker["state"] in ("idle", "busy")
        ]
        assert len(pids) == 2


def test_reloads(processes: Processes, tmp_path: Path) -> None:
    """
    Slow requests and reloads: nothing is lost, though connections travel between
    workers and generations all the time.
    """
    master, port, _pids = serve(processes, tmp_path, workers=2)
    with Load(port, keepAlive=12, closing=2, path="/?0.01") as load:
        for _ in range(5):
            assert "ok" in master.call("reload")
    assert load.lost == []
    assert len(load.answers) > 100
