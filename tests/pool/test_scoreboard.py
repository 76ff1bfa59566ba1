"""
Tests for L{svctree.pool.scoreboard}.
"""

from __future__ import annotations

import os

from svctree.pool.scoreboard import REQUESTS, STATE, Scoreboard, State


def test_sharedThroughItsDescriptor() -> None:
    """
    What one mapping writes, another one of the same memory reads.
    """
    master = Scoreboard.create(4, 3)
    worker = Scoreboard(os.dup(master.fd), 4, 3)
    try:
        slot = worker.slots[2]
        slot.begin(1234, 7)
        slot.words[REQUESTS] += 5
        slot.words[STATE] = State.BUSY
        slot.cells[1].describe(b"GET /somewhere HTTP/1.1")
        slot.cells[1].words[0] = 99
        report = master.slots[2].report()
        assert (report.pid, report.generation, report.requests) == (1234, 7, 5)
        assert report.state == "busy"
        assert report.current == [(99, "GET /somewhere HTTP/1.1")]
        assert master.slots[1].report().pid == 0
        assert master.slots[3].report().pid == 0
    finally:
        worker.close()
        master.close()


def test_countersOutliveProcesses() -> None:
    """
    A slot that is given back and taken again goes on counting.
    """
    board = Scoreboard.create(1, 1)
    slot = board.slots[0]
    slot.begin(1, 1)
    slot.words[REQUESTS] += 3
    slot.cells[0].words[0] = 5
    slot.clear()
    assert slot.report().current == []
    slot.begin(2, 1)
    slot.words[REQUESTS] += 4
    assert slot.report().requests == 7
    board.close()


def test_oldest() -> None:
    """
    The oldest request of a slot is that of the smallest start; none is 0.
    """
    board = Scoreboard.create(1, 3)
    slot = board.slots[0]
    assert slot.oldest() == 0
    slot.cells[0].words[0] = 50
    slot.cells[2].words[0] = 20
    assert slot.oldest() == 20
    board.close()


class Ending:
    """
    The cell of a request that ends between the first look at it and the second.
    """

    def __init__(self) -> None:
        self.looks = iter([5, 0])

    @property
    def words(self) -> list[int]:
        return [next(self.looks)]

    def read(self) -> tuple[int, str]:
        return self.words[0], ""


def test_endsWhileLookedAt() -> None:
    """
    A request that ends at this very moment is in hand or not, but never one that has
    run since the machine started.
    """
    slot = Scoreboard.create(1, 1).slots[0]
    for look in (slot.starts, lambda: [slot.oldest()]):
        slot.cells = [Ending()]  # type: ignore[list-item]
        assert look() == [5]
    slot.cells = [Ending()]  # type: ignore[list-item]
    assert slot.report().current == [(5, "")]


def test_longLinesAreCut() -> None:
    """
    A request line that does not fit is cut, not spilt into the next cell.
    """
    board = Scoreboard.create(1, 2)
    first, second = board.slots[0].cells
    first.describe(b"x" * 5000)
    first.words[0] = 1
    assert set(first.read()[1]) == {"x"}
    assert second.read() == (0, "")
    board.close()
