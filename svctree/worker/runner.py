"""
What each thread of a loop has, and what they share: see L{svctree.worker.crew}.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from svctree.pool.scoreboard import Cell
from svctree.worker.timers import ITimed, Wheel

if TYPE_CHECKING:
    from svctree.worker.connection import Connection

__all__ = ["LockedWheel", "Runner"]


class Runner:
    """
    One thread.

    @ivar bell: held while there is no reason to wake.
    @ivar cell: where its request is noted; L{None} while it must not run one.
    @ivar lease: the connection whose request the leader runs; empty when it does not,
        or when somebody has taken the lead.
    """

    def __init__(self) -> None:
        self.bell = threading.Lock()
        self.bell.acquire()
        self.cell: Cell | None = None
        self.lease: list[Connection] = []
        self.bytesIn = self.bytesOut = self.errors = self.served = 0

    def ring(self) -> None:
        """
        Wake the thread, now or when it is about to wait.
        """
        try:
            self.bell.release()
        except RuntimeError:
            # Rung already.
            pass

    def takeCounts(self) -> tuple[int, int, int, int]:
        """
        @return: what it counted since the last call.
        """
        counts = self.served, self.bytesIn, self.bytesOut, self.errors
        self.bytesIn = self.bytesOut = self.errors = self.served = 0
        return counts


class LockedWheel(Wheel):
    """
    A wheel for several threads.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.RLock()

    def arm(self, timed: ITimed, deadline: float) -> None:
        with self._lock:
            super().arm(timed, deadline)

    def disarm(self, timed: ITimed) -> None:
        with self._lock:
            super().disarm(timed)

    def sweep(self, now: float) -> None:
        with self._lock:
            super().sweep(now)
