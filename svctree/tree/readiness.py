"""
When a container is ready: its own probe says so, and every child that has to be.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.python.failure import Failure

from svctree.tree import events
from svctree.tree.books import Books
from svctree.tree.results import Waiters, asDeferred
from svctree.tree.states import Record


class Readiness:
    """
    The readiness of one container, for one start.

    Nothing is looked at before somebody asks.

    @ivar ready: it is.
    """

    def __init__(self, container: Readied) -> None:
        self._container = container
        self._waiters = Waiters()
        self._asked: list[Any] = []
        self._probed: Deferred[Any] | None = None
        self._looking = False
        self._failure: Failure | None = None
        self.ready = False

    def wait(self) -> Deferred[None]:
        """
        @return: a Deferred that fires when the container is ready, at once if it is.
        """
        waiter = self._waiters.wait()
        if self.ready or self._failure is not None:
            self._waiters.fire(self._failure)
        return waiter

    def look(self) -> None:
        """
        The container is up: ask the probe and the children.
        """
        if self._looking:
            return
        self._looking = True
        if self._probed is None:
            self._probed = maybeDeferred(self._probe)
        self._asked = self._container._readyServices()
        answers = [maybeDeferred(service.whenReady) for service in self._asked]
        gatherResults([self._probed, *answers], consumeErrors=True).addCallbacks(
            self._done, self._refused
        )

    def end(self, failure: Failure) -> None:
        """
        The container goes down, or did not come up.
        """
        self._failure = failure
        self.ready = False
        self._waiters.fire(failure)

    def _probe(self) -> Any:
        result = self._container.probe()
        waiting = asDeferred(result)
        return result if waiting is None else waiting

    def _done(self, _: object) -> None:
        if self._failure is None:
            self.ready = True
            self._container._isReady()
            self._waiters.fire(None)

    def _refused(self, failure: Failure) -> None:
        if self._failure is not None:
            return
        # gatherResults wraps the error with the place it had in the list.
        error: Any = failure.value
        if error.index == 0:
            self.end(error.subFailure)
            return
        service, container = self._asked[error.index - 1], self._container
        if container._children.find(service) < 0:
            # It was removed, which is nothing to be unready for.
            self._looking = False
            container._lookIfReady()
        elif container._goesOn(service):
            self._looking = False
        else:
            self.end(error.subFailure)


class Readied(Books):
    """
    The layer of containers that knows when they are ready.
    """

    _readiness: Readiness | None = None

    def whenReady(self) -> Deferred[None]:
        """
        @return: a Deferred that fires once for the present start, or the next: when
            everything is up, L{probe} is content, and every child that has a
            C{whenReady} is ready as well. It fails when the start does, or when the
            container stops before.
        """
        if self._readiness is None:
            self._readiness = Readiness(self)
        waiter = self._readiness.wait()
        if self._up:
            self._lookIfReady()
        return waiter

    def probe(self) -> Any:
        """
        Override to have the container ready only when something of its own is: a
        Deferred or a coroutine is waited for, an error means "never".
        """

    def _readyServices(self) -> list[Any]:
        """
        @return: the children that know when they are ready, and that we wait for.
        """
        return [
            service
            for service in self._children
            if hasattr(service, "whenReady") and self._isRequired(service)
        ]

    def _goesOn(self, service: Any) -> bool:
        """
        @return: whether we go on although a child went down before it was ready, and
            look again when that has been dealt with.
        """
        return False

    def _isRequired(self, service: Any) -> bool:
        """
        @return: whether we are not ready without a child.
        """
        return self._recordOf(service) == Record.UP

    def _isReady(self) -> None:
        self._publish(events.ServiceReady(path=self.path, service=self))

    def _endReadiness(self, failure: Failure) -> None:
        readiness, self._readiness = self._readiness, None
        if readiness is not None:
            readiness.end(failure)

    def _lookIfReady(self) -> None:
        """
        Everything is up.
        """
        if self._readiness is not None:
            self._readiness.look()


__all__ = ["Readied", "Readiness"]
