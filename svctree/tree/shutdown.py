"""
One stop of a container, or the undoing of a start that failed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.python.failure import Failure

from svctree.tree.errors import StartInterrupted, StopFailed
from svctree.tree.results import Waiters, afterThis, isPending

if TYPE_CHECKING:
    from svctree.tree.stopping import Stopping

Listener = Callable[[bool, Any], object]


class ChildStop:
    """
    The pending stop of one child, with everyone who has an interest in its end.

    @ivar starting: the child's start, if it was still pending: it is cancelled when
        the child has stopped.
    @ivar restart: the start that waits for the end of this stop.
    @ivar privileged: that start begins with the privileged phase.
    """

    __slots__ = (
        "_listeners",
        "_outcome",
        "_stopping",
        "done",
        "privileged",
        "restart",
        "service",
        "starting",
    )

    def __init__(self, service: Any, starting: Deferred[Any] | None = None) -> None:
        self.service = service
        self.starting = starting
        self.restart: Deferred[None] | None = None
        self.privileged = False
        self.done = False
        self._stopping: Deferred[Any] | None = None
        self._listeners: list[Listener] = []
        self._outcome: tuple[bool, Any] = (True, None)

    def tell(self, listener: Listener) -> None:
        """
        Call C{listener} with the success and the result of the stop.
        """
        if self.done:
            listener(*self._outcome)
        else:
            self._listeners.append(listener)

    def follow(self, stopping: Deferred[Any]) -> None:
        """
        Wait for the Deferred of the child's C{stopService}. A failure ends here:
        it is handed to the listeners.
        """
        self._stopping = stopping
        stopping.addCallbacks(self._succeeded, self._failed)

    def _succeeded(self, result: Any) -> Any:
        self.finish(True, result)
        return result

    def _failed(self, failure: Failure) -> None:
        self.finish(False, failure)

    def giveUp(self, failure: Failure) -> None:
        """
        Wait no longer. The child hears of it before anybody who waits, and may start
        the child again, does.
        """
        listeners, self._listeners = self._listeners, []
        cancelPending(self._stopping)
        self._listeners = [*listeners, *self._listeners]
        self.done = False
        self.finish(False, failure)

    def finish(self, success: bool, value: Any) -> None:
        """
        The stop is over, or nobody waits for it any longer.
        """
        if self.done:
            return
        self.done = True
        self._outcome = (success, value)
        cancelPending(self.starting)
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener(success, value)


leaving: dict[int, ChildStop] = {}
"""The stops of services that were removed before they had stopped, by C{id}."""


def leaves(service: Any, stop: ChildStop) -> None:
    """
    C{service} has been removed and is still stopping: whoever takes it in next, here
    or in another container, starts it when it has stopped.
    """
    if not stop.done:
        # The record keeps the service alive, so that its id stays its own.
        leaving[id(service)] = stop
        stop.tell(lambda *_: leaving.pop(id(service), None))


def howToStop(service: Any, callee: Any, timeout: float | None) -> Callable[[], Any]:
    """
    @param callee: C{service}, or its adapter.
    @param timeout: the seconds that it has.
    @return: what to call to stop C{service}.
    """
    kill = getattr(service, "killService", None)
    return callee.stopService if kill is None or timeout != 0 else kill  # type: ignore[no-any-return]


def cancelPending(starting: Deferred[Any] | None) -> None:
    """
    End a start that is of no use any more, so that it does not go on in a service
    that has been stopped.
    """
    if starting is not None and isPending(starting):
        starting.cancel()


class Shutdown:
    """
    Collects the results of the children's stops, in the order of the calls.

    @ivar rollback: it undoes a start, so that the container is "failed" after it.
    """

    __slots__ = (
        "_container",
        "_failures",
        "_pending",
        "_results",
        "_startAgain",
        "_waiters",
        "over",
        "rollback",
        "walking",
    )

    def __init__(self, container: Stopping, rollback: bool) -> None:
        self._container = container
        self.rollback = rollback
        self.walking = True
        self.over = False
        self._pending = 0
        self._results: list[tuple[bool, Any]] = []
        self._failures: list[tuple[str, Failure]] = []
        self._waiters = Waiters()
        self._startAgain: Waiters | None = None

    def startAfter(self) -> Deferred[Any]:
        """
        The container is to start again, while the calls of this stop still go out: it
        starts when they have.

        @return: a Deferred for that start.
        """
        if self._startAgain is None:
            self._startAgain = Waiters()
        return self._startAgain.wait()

    def interrupt(self, path: str) -> None:
        """
        The container is not to start again.
        """
        waiting, self._startAgain = self._startAgain, None
        if waiting is not None:
            waiting.fire(Failure(StartInterrupted(path)))

    def _hasWalked(self) -> None:
        self.walking = False
        waiting, self._startAgain = self._startAgain, None
        if waiting is not None:
            maybeDeferred(self._container.startService).addBoth(waiting.fire)  # type: ignore[attr-defined]

    def wait(self) -> Deferred[list[tuple[bool, Any]]]:
        """
        @return: a Deferred that fires with C{(True, result)} for each child, or
            fails with L{StopFailed}.
        """
        return self._waiters.wait()

    def stopped(self, result: Any) -> None:
        """
        A child has stopped within its call.
        """
        self._results.append((True, result))

    def raised(self, path: str, failure: Failure) -> None:
        """
        A child's C{stopService} raised.
        """
        self._results.append((False, failure))
        self._failures.append((path, failure))

    def waitFor(self, path: str, stop: ChildStop) -> None:
        """
        A child takes its time.
        """
        slot = len(self._results)
        self._results.append((False, None))
        self._pending += 1

        def done(success: bool, value: Any) -> None:
            self._results[slot] = (success, value)
            if not success:
                self._failures.append((path, value))
            self._pending -= 1
            afterThis(self._check)

        stop.tell(done)

    def note(self, path: str, success: bool, value: Any) -> None:
        """
        A child's stop is over, one way or the other.
        """
        self._results.append((success, value))
        if not success:
            self._failures.append((path, value))

    def complete(self) -> Failure | list[tuple[bool, Any]]:
        """
        Everything is down: tell those who wait.

        @return: what they are told.
        """
        self.walking = False
        outcome = self._finish()
        told = self._waiters.fire(outcome)
        if isinstance(outcome, Failure) and not told:
            self._container._unheard(outcome)
        return outcome

    def walked(self) -> Deferred[list[tuple[bool, Any]]]:
        """
        All calls have gone out.

        @return: what the container's C{stopService} returns.
        """
        if self._pending:
            waiting = self.wait()
            self._hasWalked()
            return waiting
        outcome = self._finish()
        # Somebody may have joined in the middle.
        self._waiters.fire(outcome)
        self._hasWalked()
        return fail(outcome) if isinstance(outcome, Failure) else succeed(outcome)

    def _check(self) -> None:
        if not (self.walking or self.over or self._pending):
            outcome = self._finish()
            told = self._waiters.fire(outcome)
            if isinstance(outcome, Failure) and not told:
                self._container._unheard(outcome)

    def _finish(self) -> Failure | list[tuple[bool, Any]]:
        self.over = True
        outcome: Failure | list[tuple[bool, Any]] = self._results
        if self._failures:
            path = self._container.path
            outcome = Failure(StopFailed(path, self._failures, self._results))
        self._container._shutdownDone(self)
        return outcome


__all__ = ["ChildStop", "Shutdown", "cancelPending", "howToStop", "leaves", "leaving"]
