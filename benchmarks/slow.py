"""
Ordinary requests beside clients as slow as they can be.

500 connections send a byte of a head in each second, 100 a byte of a body, and 50 read
answers of 2 MB little by little; one client asks for a small answer again and again.
How long that takes is compared with how long it takes without the others, in turns.
The worker is pinned to the first processor that this process may use, all clients to
the last.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import time

from benchmarks import _client as client
from benchmarks import _peers as peers
from tests.support.hostile import Hostile
from tests.support.loops import readResponse

_GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
_CROWD = 500, 100, 50
_MODELS = {
    "single": ["--workermodel", "single"],
    "threaded": ["--workermodel", "threaded", "--maxthreads", "4"],
}


def latencies(port: int, seconds: float) -> list[float]:
    """
    @return: seconds of ordinary requests, one after another, sorted.
    """
    times = []
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        now = time.perf_counter()
        until = now + seconds
        while now < until:
            begun = now
            sock.sendall(_GET)
            readResponse(sock)
            now = time.perf_counter()
            times.append(now - begun)
    return sorted(times)


def part(times: list[float], share: float) -> float:
    """
    @return: below which so many of sorted numbers are.
    """
    return times[int(len(times) * share)]


def main(arguments: list[str]) -> int:
    """
    @return: 0 when no model's p99 was more than three times that without slow clients.
    """
    parser = argparse.ArgumentParser("python -m benchmarks slow", description=__doc__)
    parser.add_argument("model", nargs="*", help=f"of {', '.join(_MODELS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args(arguments)
    usable = sorted(os.sched_getaffinity(0))
    worst = 0.0
    for model in options.model or _MODELS:
        server = peers.Server(peers.svctree(model, *_MODELS[model]), {usable[0]})
        try:
            with client.pinned({usable[-1]}):
                ratio = _compare(model, server.port, options.rounds, options.seconds)
        finally:
            server.stop()
        worst = max(worst, ratio)
    return 0 if worst <= 3 else 1


def _compare(model: str, port: int, rounds: int, seconds: float) -> float:
    """
    @return: the ratio of the p99.
    """
    latencies(port, 0.2)
    unloaded: list[list[float]] = []
    loaded: list[list[float]] = []
    told: dict[str, int] = {}
    for _ in range(rounds):
        unloaded.append(latencies(port, seconds))
        with Hostile(port, "/bytes/2000000", *_CROWD) as crowd:
            loaded.append(latencies(port, seconds))
        for status, count in crowd.told.items():
            told[status] = told.get(status, 0) + count
    ratio = 0.0
    for name, share in (("median", 0.5), ("p99", 0.99)):
        # Of each turn, and then the usual one: a neighbour may disturb any.
        before, beside = (
            statistics.median(part(times, share) for times in turns)
            for turns in (unloaded, loaded)
        )
        ratio = beside / before
        print(
            f"{model:10}{name:8}{1e6 * before:8.0f} us alone"
            f"{1e6 * beside:8.0f} us beside slow clients, ratio {ratio:.2f}"
        )
    print(f"{model:10}slow heads were told: {told or 'nothing yet'}")
    return ratio
