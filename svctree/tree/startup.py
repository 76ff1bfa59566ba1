"""
One start of a container: the children that are not up yet, and who waits for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from svctree.tree.errors import StartInterrupted
from svctree.tree.results import Waiters, afterThis
from svctree.tree.states import Record

if TYPE_CHECKING:
    from svctree.tree.starting import Starting


class Startup:
    """
    Waits for the asynchronous starts among the children of one container.

    @ivar walking: the calls are still going out, so that it cannot be over yet.
    @ivar over: it has succeeded, failed or been interrupted; late results of
        children are of no interest any more.
    @ivar held: the children that wait for a sibling, by C{id}.
    @ivar undoing: it has failed, and what had come up is being stopped.
    """

    __slots__ = (
        "_container",
        "_failure",
        "_pending",
        "_waiters",
        "held",
        "over",
        "undoing",
        "walking",
    )

    def __init__(self, container: Starting) -> None:
        self._container = container
        self._pending: dict[int, tuple[Any, Deferred[Any]]] = {}
        self._waiters = Waiters()
        self._failure: Failure | None = None
        self.walking = True
        self.over = False
        self.undoing = False
        self.held: dict[int, Any] = {}

    def wait(self) -> Deferred[None]:
        """
        @return: a Deferred that fires when all children are up, or fails when one
            did not come up and the others have been stopped again.
        """
        return self._waiters.wait()

    def watch(self, service: Any, starting: Deferred[Any]) -> None:
        """
        Wait for one child as well.
        """
        self._pending[id(service)] = (service, starting)
        starting.addCallbacks(
            self._up, self._failed, callbackArgs=(service,), errbackArgs=(service,)
        )

    def forget(self, service: Any) -> Deferred[Any] | None:
        """
        Wait for a child no longer.

        @return: what was waited for.
        """
        _, starting = self._pending.pop(id(service), (None, None))
        return starting

    def walked(self) -> Deferred[None] | None:
        """
        All calls have gone out.

        @return: what the container's C{startService} returns.
        """
        self.walking = False
        if self._failure is not None:
            return fail(self._failure)
        if self.over and not self.undoing:
            return None
        if self.undoing or self._pending or self.held:
            return self.wait()
        self._finish()
        return None

    def check(self) -> None:
        """
        Finish if nothing is left to wait for.
        """
        if not (self.walking or self.over or self._pending or self.held):
            self._finish()

    def interrupt(self, path: str) -> None:
        """
        The container stops before it was up.
        """
        self.over = True
        self._waiters.fire(Failure(StartInterrupted(path)))

    def fail(self, failure: Failure) -> bool:
        """
        The start has failed, and what had to be undone is undone.

        @return: whether anybody has been told.
        """
        self.undoing = False
        if self.walking:
            # The call under way will return it.
            self._failure = failure
            return True
        return self._waiters.fire(failure)

    def _finish(self) -> None:
        self.over = True
        self._container._startupDone()
        self._waiters.fire(None)

    def _up(self, result: object, service: Any) -> object:
        # What is forgotten is not ours any more.
        if not self.over and self._pending.pop(id(service), None) is not None:
            # Else it waited for a stop, and was not started after it.
            if self._container._recordOf(service) == Record.STARTING:
                self._container._recordChild(service, Record.UP)
            self._container._childSettled(self)
            afterThis(self.check)
        return result

    def _failed(self, failure: Failure, service: Any) -> None:
        if not self.over and self._pending.pop(id(service), None) is not None:
            self._container._childStartFailed(self, service, failure)
            afterThis(self.check)


__all__ = ["Startup"]
