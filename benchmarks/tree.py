"""
The containers: Twisted's C{MultiService} and ours, with many children.

Run it with C{python -m benchmarks tree}; C{--check} makes the bars count: start,
stop, add and lookup no slower than Twisted's, removal that does not grow with the
number of children, at most 450 bytes a child, a chain of 995 containers.

C{--log} begins logging first: at C{warn}, as the C{svctree} command does for the tree,
nobody takes what goes well; at C{info} each transition of each child has its line,
which is written to /dev/null.

Each figure is the best of several rounds, in which the two take turns, so that a
busy machine slows both.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # Run as a file: Python puts the file's directory in front, where the neighbours
    # have the names of standard modules (http).
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from twisted.application import service as twisteds
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)

from svctree import service as ours

REMOVALS = 200
"""Removed one by one in each way; Twisted's takes milliseconds for each."""

LOOKUPS = 10_000

DEPTHS = (100, 200, 300, 400, 500, 700, 995, 2000)

BYTES = 450
"""The most that a child may cost its container."""

CHAIN = 995

TOLERANCE = 1.1
"""How much slower than Twisted's still counts as equal: two runs of the same code
differ by as much on a shared machine."""

GROWTH = 4.0
"""How much the removal of one child may grow while the children grow tenfold."""


@dataclass(frozen=True)
class Side:
    """
    One of the two that are compared.
    """

    name: str
    module: Any

    def children(self, count: int) -> list[Any]:
        """
        @return: plain named children without a parent.
        """
        made = []
        for number in range(count):
            child = self.module.Service()
            child.setName(f"child {number}")
            made.append(child)
        return made

    def container(self, count: int) -> tuple[Any, list[Any]]:
        """
        @return: a container and its children.
        """
        container = self.module.MultiService()
        children = self.children(count)
        for child in children:
            child.setServiceParent(container)
        return container, children


SIDES = (Side("Twisted", twisteds), Side("svctree", ours))


@dataclass
class Table:
    """
    The best figure of each side for each thing measured.
    """

    count: int
    figures: dict[str, dict[str, float]] = field(default_factory=dict)

    def note(self, what: str, side: Side, figure: float) -> None:
        row = self.figures.setdefault(what, {})
        row[side.name] = min(figure, row.get(side.name, figure))

    def ratio(self, what: str) -> float:
        """
        @return: ours as a multiple of Twisted's.
        """
        row = self.figures[what]
        return row["svctree"] / row["Twisted"] if row["Twisted"] else float("inf")


def seconds(call: Callable[[], object]) -> float:
    """
    @return: how long C{call} takes of the processor's time (others may want the
        machine as well), without the garbage collector's pauses, which come as they
        like.
    """
    gc.collect()
    gc.disable()
    try:
        begin = time.process_time()
        call()
        return time.process_time() - begin
    finally:
        gc.enable()


def measure(side: Side, table: Table, rng: random.Random) -> None:
    """
    One round for one side.
    """
    count = table.count
    container = side.module.MultiService()
    children = side.children(count)

    def add() -> None:
        for child in children:
            child.setServiceParent(container)

    def lookup(names: Iterable[str]) -> None:
        for name in names:
            container.getServiceNamed(name)

    each = 1e9 / count
    table.note("add", side, seconds(add) * each)
    table.note("start", side, seconds(container.startService) * each)
    names = [f"child {rng.randrange(count)}" for _ in range(LOOKUPS)]
    table.note("lookup", side, seconds(lambda: lookup(names)) * 1e9 / LOOKUPS)
    table.note("stop", side, seconds(container.stopService) * each)
    table.note("start again", side, seconds(container.startService) * each)
    table.note("stop again", side, seconds(container.stopService) * each)
    _addToRunning(side, table)
    for what, order in (
        ("remove oldest", lambda left: left),
        ("remove newest", lambda left: left[::-1]),
        ("remove random", lambda left: rng.sample(left, len(left))),
    ):
        victims = order(list(container))[: min(REMOVALS, count // 4)]
        spent = seconds(lambda victims=victims: _remove(victims))  # type: ignore[misc]
        table.note(what, side, spent * 1e9 / len(victims))


def _addToRunning(side: Side, table: Table) -> None:
    container = side.module.MultiService()
    container.startService()
    children = side.children(table.count)

    def add() -> None:
        for child in children:
            child.setServiceParent(container)

    table.note("add to running", side, seconds(add) * 1e9 / table.count)
    container.stopService()


def _remove(victims: list[Any]) -> None:
    for victim in victims:
        victim.disownServiceParent()


def bytesPerChild(side: Side, count: int) -> float:
    """
    @return: what a started container of C{count} children takes beyond the children
        as they are alone, for each of them.
    """
    children = side.children(count)
    gc.collect()
    tracemalloc.start()
    try:
        container = side.module.MultiService()
        for child in children:
            child.setServiceParent(container)
        container.startService()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / count
    finally:
        tracemalloc.stop()


def depth(side: Side, depths: Iterable[int]) -> int:
    """
    @return: the longest chain of containers tried that starts and stops.
    """
    deepest = 0
    for tried in depths:
        top = innermost = side.module.MultiService()
        for _ in range(tried - 1):
            inner = side.module.MultiService()
            inner.setServiceParent(innermost)
            innermost = inner
        try:
            top.startService()
            stopped: list[object] = []
            top.stopService().addBoth(stopped.append)
        except RecursionError:
            break
        if not stopped or innermost.running:
            break
        deepest = tried
    return deepest


def depthElsewhere(side: Side, depths: Iterable[int]) -> int:
    """
    @return: what L{depth} finds, in a process of its own: whoever runs out of stack
        leaves errors that nobody handles, and writes about them.
    """
    done = subprocess.run(
        [sys.executable, __file__, "--depth", side.name, "--depths"]
        + [str(tried) for tried in depths],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return int(done.stdout)


def compare(count: int, rounds: int) -> Table:
    """
    @return: everything measured with C{count} children.
    """
    table = Table(count)
    rng = random.Random(1)
    for number in range(rounds):
        for side in SIDES if number % 2 else SIDES[::-1]:
            measure(side, table, rng)
    for side in SIDES:
        table.note("bytes per child", side, bytesPerChild(side, count))
    return table


def beginLogging(level: str) -> None:
    """
    Log what is at least of C{level}, to nowhere.
    """
    predicate = LogLevelFilterPredicate(LogLevel.levelWithName(level))
    # Open as long as the process: whoever logs at its end still may.
    nowhere = textFileLogObserver(Path(os.devnull).open("w"))  # noqa: SIM115
    observer = FilteringLogObserver(nowhere, [predicate])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)


def show(table: Table) -> None:
    """
    Print one table.
    """
    print(f"{table.count:,} children      Twisted    svctree    ratio")
    for what, row in table.figures.items():
        unit = "B " if what.startswith("bytes") else "ns"
        print(
            f"  {what:16} {row['Twisted']:10,.0f} {row['svctree']:10,.0f} {unit}"
            f" {table.ratio(what):6.2f}"
        )


def judge(tables: list[Table], deepest: int) -> list[str]:
    """
    @return: the bars that are missed, one line each.
    """
    missed = []
    for table in tables:
        for what in ("add", "start", "stop", "start again", "stop again", "lookup"):
            if table.ratio(what) > TOLERANCE:
                times = f"{table.ratio(what):.2f} times Twisted's"
                missed.append(f"{what} at {table.count:,}: {times}")
        spent = table.figures["bytes per child"]["svctree"]
        if spent > BYTES:
            missed.append(f"{spent:.0f} bytes a child, more than {BYTES}")
    small, large = tables[0], tables[-1]
    for what in ("remove oldest", "remove newest", "remove random"):
        growth = large.figures[what]["svctree"] / small.figures[what]["svctree"]
        if growth > GROWTH:
            missed.append(
                f"{what}: {growth:.1f} times slower with {large.count:,} children "
                f"than with {small.count:,}"
            )
    if deepest < CHAIN:
        missed.append(f"a chain of {deepest} containers, fewer than {CHAIN}")
    return missed


def main(arguments: list[str] | None = None) -> int:
    """
    @return: 1 if a bar is missed and C{--check} is given.
    """
    parser = argparse.ArgumentParser(prog="benchmarks tree", description=__doc__)
    parser.add_argument("--children", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--log", choices=["warn", "info"])
    parser.add_argument("--depths", type=int, nargs="+", default=DEPTHS)
    parser.add_argument("--depth", choices=[side.name for side in SIDES])
    options = parser.parse_args(arguments)
    if options.depth:
        (side,) = (side for side in SIDES if side.name == options.depth)
        print(depth(side, options.depths))
        return 0
    if options.log:
        beginLogging(options.log)
    tables = []
    for count in options.children:
        tables.append(compare(count, options.rounds))
        show(tables[-1])
    deepest = {side.name: depthElsewhere(side, options.depths) for side in SIDES}
    print(
        f"  deepest chain    {deepest['Twisted']:10,} {deepest['svctree']:10,}   "
        f"(of {options.depths[-1]:,} tried)"
    )
    missed = judge(tables, deepest["svctree"])
    for line in missed:
        print(f"missed: {line}")
    if not missed:
        print("all bars are met")
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
