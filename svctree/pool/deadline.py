"""
A time limit for what others have to say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall

__all__ = ["Deadline"]

# Long enough to read what has arrived.
_LISTEN = 0.05


class Deadline:
    """
    Calls something unless it is cancelled in time.

    A process that was stopped itself, or that slept with its machine, finds its
    timers due before it has read what came in the meantime. So when the time is over
    there is one more moment to hear what was said within it.
    """

    def __init__(
        self, clock: Any, seconds: float, expired: Callable[..., None], *given: Any
    ) -> None:
        """
        @param clock: provides C{IReactorTime}.
        @param expired: called with C{given} after so many C{seconds}.
        """
        self._clock = clock
        self._expired = expired
        self._given = given
        self.due = clock.seconds() + seconds
        self._call: IDelayedCall | None = clock.callLater(seconds, self._listen)

    def _listen(self) -> None:
        self._call = self._clock.callLater(_LISTEN, self._expire)

    def _expire(self) -> None:
        self._call = None
        self._expired(*self._given)

    def cancel(self) -> None:
        """
        It happened in time, or does not matter any more.
        """
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
