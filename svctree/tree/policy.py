"""
When a failed child starts again, and when its supervisor has had enough.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime


@dataclass(frozen=True)
class BackOff:
    """
    How long to wait before a restart. The first is immediate; from the second in a
    row on the delay grows.

    With the defaults a child that fails at once is restarted after 0, 0.1, 0.2 and
    0.4 seconds, so that the usual limit of 3 restarts in 5 seconds is reached.

    @ivar initial: seconds before the second restart in a row.
    @ivar factor: by which each delay is longer than the one before.
    @ivar maximum: seconds, no delay is longer.
    @ivar jitter: the part of the delay that is random, 0.0 to 1.0: children that
        failed together shall not all come back at the same moment.
    @ivar stableAfter: seconds after which a child that was up has recovered, and
        its next restart is a first one again.
    """

    initial: float = 0.1
    factor: float = 2.0
    maximum: float = 30.0
    jitter: float = 0.25
    stableAfter: float = 60.0

    def delayAfter(
        self, failures: int, chance: Callable[[], float] = random.random
    ) -> float:
        """
        @param failures: failures in a row, from 1.
        @param chance: returns a number from 0.0 to 1.0.
        @return: seconds to wait; 0.0 means at once.
        """
        if failures <= 1 or self.initial <= 0:
            return 0.0
        # The exponent is bounded: a float is not.
        grown = self.initial * self.factor ** min(failures - 2, 1000)
        delay = min(grown, self.maximum)
        return min(delay * (1 - self.jitter + 2 * self.jitter * chance()), self.maximum)


class Intensity:
    """
    Counts restarts: more than C{maxRestarts} within C{within} seconds are too many.

    @param maxRestarts: 0 allows none.
    """

    def __init__(self, maxRestarts: int, within: float) -> None:
        self.maxRestarts = maxRestarts
        self.within = within
        self._restarts: deque[float] = deque()

    def add(self, clock: IReactorTime) -> bool:
        """
        Count one more restart.

        @return: whether it is allowed.
        """
        now = clock.seconds()
        self._restarts.append(now)
        while self._restarts and self._restarts[0] <= now - self.within:
            self._restarts.popleft()
        return len(self._restarts) <= self.maxRestarts

    def clear(self) -> None:
        """
        Begin anew.
        """
        self._restarts.clear()


__all__ = ["BackOff", "Intensity"]
