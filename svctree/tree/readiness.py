"""
When a container is ready: its own probe says so, and every child that has to be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.python.failure import Failure

from svctree.tree.results import Waiters, asDeferred

if TYPE_CHECKING:
    from svctree.tree.container import MultiService


class Readiness:
    """
    The readiness of one container, for one start.

    Nothing is looked at before somebody asks.

    @ivar ready: it is.
    """

    def __init__(self, container: MultiService) -> None:
        self._container = container
        self._waiters = Waiters()
        self._looking = False
        self._over = False
        self.ready = False

    def wait(self) -> Deferred[None]:
        """
        @return: a Deferred that fires when the container is ready, at once if it is.
        """
        waiter = self._waiters.wait()
        if self.ready:
            self._waiters.fire(None)
        return waiter

    def look(self) -> None:
        """
        The container is up: ask the probe and the children.
        """
        if self._looking:
            return
        self._looking = True
        asked = [maybeDeferred(self._probe)]
        asked += [maybeDeferred(each) for each in self._container._readyAsks()]
        gatherResults(asked, consumeErrors=True).addCallbacks(self._done, self._refused)

    def end(self, failure: Failure) -> None:
        """
        The container goes down, or did not come up.
        """
        self._over = True
        self.ready = False
        self._waiters.fire(failure)

    def _probe(self) -> Any:
        result = self._container.probe()
        waiting = asDeferred(result)
        return result if waiting is None else waiting

    def _done(self, _: object) -> None:
        if not self._over:
            self.ready = True
            self._container._isReady()
            self._waiters.fire(None)

    def _refused(self, failure: Failure) -> None:
        if not self._over:
            # gatherResults wraps the error with the place it had in the list.
            self.end(failure.value.subFailure)  # type: ignore[union-attr]


__all__ = ["Readiness"]
