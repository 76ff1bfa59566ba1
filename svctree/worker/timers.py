"""
Deadlines at constant cost.

A connection's deadline moves with every request, but almost never arrives. So moving
it is one assignment to an attribute: the wheel looks at the attribute when the moment
comes for which the connection was once entered, and enters it again if the deadline
has moved on. Only a deadline that comes closer needs the wheel at once.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Protocol

__all__ = ["NEVER", "ITimed", "Wheel"]

NEVER = float("inf")

_PER_SECOND = 8
"""Buckets in a second: a deadline is noticed at most an eighth of a second late."""


class ITimed(Protocol):
    """
    Something with a deadline.

    @ivar deadline: when L{expired} is to be called, in seconds of the monotonic
        clock. It may grow at any time; use L{Wheel.arm} to bring it closer.
    @ivar bucket: the wheel's own; 0 at first.
    """

    deadline: float
    bucket: int

    def expired(self, now: float) -> None:
        """
        The deadline has passed. The wheel has forgotten this object before.
        """


class Wheel:
    """
    Buckets of things by the time when to look at them.

    @ivar due: when L{sweep} has to be called next, or L{NEVER}.
    """

    def __init__(self) -> None:
        self.due = NEVER
        self._buckets: dict[int, set[ITimed]] = {}
        self._order: list[int] = []

    def arm(self, timed: ITimed, deadline: float) -> None:
        """
        Set a deadline, later or sooner than what was set before.
        """
        timed.deadline = deadline
        bucket = int(deadline * _PER_SECOND) + 1
        if timed.bucket:
            if timed.bucket <= bucket:
                return
            self._buckets[timed.bucket].discard(timed)
        self._enter(timed, bucket)

    def _enter(self, timed: ITimed, bucket: int) -> None:
        timed.bucket = bucket
        members = self._buckets.get(bucket)
        if members is None:
            members = self._buckets[bucket] = set()
            heappush(self._order, bucket)
            self.due = self._order[0] / _PER_SECOND
        members.add(timed)

    def disarm(self, timed: ITimed) -> None:
        """
        Forget C{timed}, if it is known.
        """
        if timed.bucket:
            self._buckets[timed.bucket].discard(timed)
            timed.bucket = 0

    def sweep(self, now: float) -> None:
        """
        Call what has expired.
        """
        expired: list[ITimed] = []
        while self._order and self._order[0] <= now * _PER_SECOND:
            for timed in self._buckets.pop(heappop(self._order)):
                timed.bucket = 0
                if timed.deadline <= now:
                    expired.append(timed)
                elif timed.deadline != NEVER:
                    self._enter(timed, int(timed.deadline * _PER_SECOND) + 1)
        self.due = self._order[0] / _PER_SECOND if self._order else NEVER
        for timed in expired:
            # An earlier one's expiry may have given this one a new deadline.
            if timed.deadline <= now:
                timed.expired(now)
