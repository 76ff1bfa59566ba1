"""
Pools that follow their load, without processes and without time.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from svctree.pool.models import model
from svctree.pool.scoreboard import Scoreboard
from svctree.pool.watch import Watch
from svctree.settings import PoolSettings


class Pool:
    """
    A pool of workers on paper, which is scaled as soon as it is asked.
    """

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        asked = PoolSettings(timeout=0, **settings)
        kind = model("prefork")
        self.board = Scoreboard.create(8, kind.threads(asked))
        self.size, _ = kind.processes(asked)
        workers: dict[int, Any] = {}
        roster = SimpleNamespace(workers=workers)
        self.succession = SimpleNamespace(current=SimpleNamespace(roster=roster))
        self._workers = workers
        self.scale(self.size)
        shared = SimpleNamespace(
            name="web",
            settings=asked,
            model=kind,
            reactor=self.clock,
            scoreboard=self.board,
        )
        Watch(self, shared).start()  # type: ignore[arg-type]

    def scale(self, count: int) -> Deferred[None]:
        self.size = count
        self._workers.clear()
        for slot in range(count):
            self._workers[slot] = SimpleNamespace(slot=slot, ready=True)
        return succeed(None)

    def busy(self, requests: int) -> None:
        """
        So many requests are in hand, spread over the workers.
        """
        cells = [
            slot.cells[number]
            for number in range(self.board.cells)
            for slot in self.board.slots[: self.size]
        ]
        for count, cell in enumerate(cells):
            cell.words[0] = int(count < requests)

    def after(self, seconds: float) -> int:
        """
        @return: how many workers there are after so many seconds.
        """
        self.clock.pump([0.25] * int(seconds * 4))
        return self.size


@pytest.fixture(params=[1, 4], ids=["one thread", "four threads"])
def threads(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


def test_grows(threads: int) -> None:
    """
    When nearly all workers, and all of their threads, have been busy for two seconds
    there is one more, and another two seconds later, up to the maximum.
    """
    pool = Pool(workers="1..3", threads=threads)
    sizes = []
    for _ in range(4):
        pool.busy(pool.size * threads)
        sizes.append(pool.after(2))
    assert sizes == [2, 3, 3, 3]


def test_oneOfFourThreads() -> None:
    """
    A worker that could run three more requests needs no company.
    """
    pool = Pool(workers="1..3", threads=4)
    pool.busy(1)
    assert pool.after(60) == 1


def test_shrinks(threads: int) -> None:
    """
    After ten seconds in which fewer would have been half idle there is one less, down
    to the minimum.
    """
    pool = Pool(workers="1..3", threads=threads)
    pool.scale(3)
    pool.busy(0)
    assert [pool.after(10), pool.after(10), pool.after(10)] == [2, 1, 1]


def test_doesNotSwing(threads: int) -> None:
    """
    Between the two marks, and for peaks, nothing happens.
    """
    pool = Pool(workers="1..4", threads=threads)
    pool.scale(2)
    pool.busy(threads)
    assert pool.after(60) == 2
    for _ in range(8):
        pool.busy(2 * threads)
        pool.after(1)
        pool.busy(threads)
        assert pool.after(1) == 2
