"""
Requests a second and processor time for each, beside other servers, in one run.

C{python -m benchmarks http [SCENARIO...] [--beside NAME] [--rounds N] [--seconds S]
[--install]}

Contestants take turns, so that what disturbs the machine disturbs all of them; every
one is started anew for each scenario, pinned to the first processor that this process
may use, with the client on the last. Their answers are compared before anything is
timed. Medians and ratios are printed; who is not installed is listed as missing.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable

from benchmarks import _client as client
from benchmarks import _peers as peers

Measure = Callable[[peers.Server], tuple[float, float]]
"""What a scenario does in one turn: seconds, and how many requests."""


def _load(
    browser: bool, seconds: float, processors: set[int], target: str = "/"
) -> Measure:
    return lambda server: client.load(server.port, seconds, processors, browser, target)


def _transfer(
    upload: int, download: int, seconds: float, processors: set[int]
) -> Measure:
    return lambda server: client.transfer(
        server.port, upload, download, seconds, processors
    )


def scenarios(
    seconds: float, processors: set[int]
) -> dict[str, tuple[list[peers.Contestant], Measure]]:
    """
    @return: by name, who takes part and what is measured.
    """
    one, four = peers.ONE_THREAD, peers.FOUR_THREADS
    return {
        "hello": (one, _load(False, seconds, processors)),
        "browser": (one, _load(True, seconds, processors)),
        "threads": (four, _load(False, seconds, processors)),
        "threads-browser": (four, _load(True, seconds, processors)),
        # On all processors, the client among them: with hello, twice the rate needs
        # three. What two allow shows where the application is the one that works.
        "prefork": (peers.PREFORK, _load(False, seconds, processors)),
        "prefork-busy": (peers.PREFORK, _load(False, seconds, processors, "/busy")),
        "post-1k": (one, _transfer(1 << 10, 0, seconds, processors)),
        "post-64k": (one, _transfer(1 << 16, 0, seconds, processors)),
        "post-5m": (one, _transfer(5 << 20, 0, seconds, processors)),
        "get-1m": (one, _transfer(0, 1 << 20, seconds, processors)),
        "get-100m": (one, _transfer(0, 100 << 20, seconds, processors)),
    }


def answers(server: peers.Server) -> list[tuple[bytes, bytes]]:
    return [
        client.answer(server.port, "/"),
        client.answer(server.port, "/page/1?n=1"),
        client.answer(server.port, "/bytes/100000"),
        client.answer(server.port, "/", b"x" * 1000),
    ]


def run(
    name: str,
    contestants: list[peers.Contestant],
    measure: Measure,
    rounds: int,
    processors: set[int],
) -> None:
    """
    Run one scenario and print its table.
    """
    servers: list[peers.Server] = []
    missing: list[str] = []
    results: dict[str, list[tuple[float, float]]] = {}
    try:
        for contestant in contestants:
            try:
                servers.append(peers.Server(contestant, processors))
            except (FileNotFoundError, RuntimeError) as error:
                missing.append(f"{contestant.name} ({error})")
        said = {server.name: answers(server) for server in servers}
        for server in servers[1:]:
            if said[server.name] != said[servers[0].name]:
                raise SystemExit(f"{server.name} answers differently")
        for _ in range(rounds):
            for server in servers:
                before = server.processorTime()
                seconds, count = measure(server)
                used = server.processorTime() - before
                results.setdefault(server.name, []).append(
                    (count / seconds, used / count * 1e6)
                )
    finally:
        for server in servers:
            server.stop()
    _print(name, results, missing)


def _print(
    name: str, results: dict[str, list[tuple[float, float]]], missing: list[str]
) -> None:
    print(f"\n{name:22}{'requests/s':>12}{'ratio':>8}{'µs/request':>12}{'ratio':>8}")
    mine: tuple[float, float] | None = None
    for contestant, rows in results.items():
        rate = statistics.median(row[0] for row in rows)
        cost = statistics.median(row[1] for row in rows)
        mine = mine or (rate, cost)
        print(
            f"{contestant:22}{rate:12,.0f}{mine[0] / rate:8.2f}"
            f"{cost:12.1f}{cost / mine[1] if mine[1] else 0:8.2f}"
        )
    for line in missing:
        print(f"missing: {line}")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks http", description=__doc__)
    parser.add_argument("scenario", nargs="*")
    parser.add_argument(
        "--beside", action="append", help="only who is called so; may be repeated"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--install", action="store_true", help="install the peers")
    options = parser.parse_args(arguments)
    if options.install:
        peers.install()
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) == 1:
        print("only one processor: client and servers share it")
    known = scenarios(options.seconds, {usable[-1]})
    for name in options.scenario or known:
        contestants, measure = known[name]
        if options.beside:
            contestants = [
                contestant
                for contestant in contestants
                if contestant.mine or contestant.name in options.beside
            ]
        where = set(usable) if contestants is peers.PREFORK else {usable[0]}
        run(name, contestants, measure, options.rounds, where)
    print("\nratio: svctree's rate to theirs; their processor time to svctree's")
    return 0
