"""
How long to wait before a worker is started again.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Backoff"]


class Backoff:
    """
    No delay after a first failure; then twice as long each time, up to a cap, with
    jitter so that pools which failed together do not come back together.

    @ivar failures: failures in a row.
    """

    def __init__(
        self, random: Callable[[], float], first: float = 0.1, most: float = 30.0
    ) -> None:
        """
        @param random: gives numbers from 0 to 1.
        @param first: seconds after the second failure in a row.
        @param most: seconds that the delay never exceeds.
        """
        self._random = random
        self._first = first
        self._most = most
        self.failures = 0

    def failed(self) -> float:
        """
        Count a failure.

        @return: seconds to wait, 0.0 for at once.
        """
        self.failures += 1
        if self.failures == 1:
            return 0.0
        delay = min(self._most, self._first * 2.0 ** min(self.failures - 2, 30))
        return delay * (0.5 + 0.5 * self._random())

    def succeeded(self) -> None:
        """
        What was started has proved itself.
        """
        self.failures = 0
