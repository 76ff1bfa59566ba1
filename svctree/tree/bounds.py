"""
Waiting, but not for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from svctree.tree.results import isPending


class Bound:
    """
    Watches a Deferred and calls C{expired} if it takes too long.

    The Deferred's result passes through; what happens to it on expiry is decided by
    C{expired}.
    """

    def __init__(
        self,
        waiting: Deferred[Any],
        clock: IReactorTime,
        timeout: float | None,
        expired: Callable[[], object],
    ) -> None:
        self._timer: IDelayedCall | None = None
        if timeout is not None and isPending(waiting):
            self._timer = clock.callLater(timeout, expired)
            waiting.addBoth(self._done)

    def _done(self, result: object) -> object:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        return result


class Nap:
    """
    A pause that can be cut short.
    """

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self.over: Deferred[None] = Deferred()
        self._timer = clock.callLater(seconds, self.over.callback, None)

    def end(self) -> None:
        """
        Go on now.
        """
        if self._timer.active():
            self._timer.cancel()
            self.over.callback(None)


__all__ = ["Bound", "Nap"]
