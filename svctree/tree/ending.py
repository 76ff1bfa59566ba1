"""
How a supervisor ends its children, each within its time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from svctree.tree.bounds import Bound
from svctree.tree.child import Child
from svctree.tree.launching import Launching
from svctree.tree.results import asDeferred, isPending
from svctree.tree.shutdown import ChildStop, Shutdown, howToStop
from svctree.tree.states import TO_BE_STOPPED, Record

Ended = tuple[bool, Any]


class Ending(Launching):
    """
    The layer of a supervisor's mechanics that stops children.
    """

    def end(self, child: Child) -> Deferred[Ended]:
        """
        Stop a child if there is anything to stop.

        @return: a Deferred that fires with the success and the result, and never
            fails; at the latest when the child's C{stopTimeout} is over.
        """
        supervisor, service = self._supervisor, child.service
        child.rest()
        stop = supervisor._stops.get(id(service))
        if stop is not None:
            return _ending(stop)
        record = supervisor._recordOf(service)
        if record not in TO_BE_STOPPED:
            return succeed((True, None))
        stop = ChildStop(service, child.starting)
        child.starting = None
        supervisor._setRecord(service, Record.STOPPED)
        callee = supervisor._callee(service)
        try:
            result = howToStop(service, callee, child.spec.stopTimeout)()
        except BaseException:
            failure = Failure()
            supervisor._tell(service, record, Record.STOPPED, failure)
            stop.finish(False, failure)
            return succeed((False, failure))
        stopping = asDeferred(result)
        if stopping is None:
            supervisor._tell(service, record, Record.STOPPED)
            stop.finish(True, result)
            return succeed((True, result))
        return self._awaitEnd(child, record, stop, stopping)

    def _awaitEnd(
        self, child: Child, record: int, stop: ChildStop, stopping: Deferred[Any]
    ) -> Deferred[Ended]:
        supervisor, service = self._supervisor, child.service
        before, pending = record, isPending(stopping)
        if pending:
            record = Record.STOPPING
        supervisor._stops[id(service)] = stop

        def done(success: bool, value: Any) -> None:
            if supervisor._stops.get(id(service)) is stop:
                del supervisor._stops[id(service)]
            reason = None if success else value
            supervisor._recordChild(service, Record.STOPPED, reason, old=record)

        def overdue() -> None:
            timeout = child.spec.stopTimeout or 0.0
            supervisor._leaveBehind(supervisor._pathOf(child), stop, timeout)

        # Before anybody else wants to know, such as who hears of this.
        stop.tell(done)
        if pending:
            supervisor._recordChild(service, Record.STOPPING, old=before)
        ending = _ending(stop)
        stop.follow(stopping)
        self._bound(stopping, child, overdue)
        return ending

    def _bound(
        self, stopping: Deferred[Any], child: Child, overdue: Callable[[], None]
    ) -> None:
        """
        Have C{overdue} called when a child takes too long to stop.
        """
        Bound(stopping, self._supervisor._clock(), child.spec.stopTimeout, overdue)

    def bringDown(self, rollback: bool) -> Deferred[list[Ended]]:
        """
        End all children, the last one first.

        @return: what the supervisor's C{stopService} returns.
        """
        supervisor = self._supervisor
        shutdown = supervisor._shutdown = Shutdown(supervisor, rollback)
        outcomes: list[Any] = []
        waiter = shutdown.wait()
        going = Deferred.fromCoroutine(self._bringDown(shutdown))
        going.addCallback(lambda _: outcomes.append(shutdown.complete()))
        going.addErrback(supervisor._unheard)
        if outcomes:
            # Its news has gone to the waiter; this one is there at once.
            waiter.addErrback(lambda _: None)
            outcome = outcomes[0]
            return fail(outcome) if isinstance(outcome, Failure) else succeed(outcome)
        return waiter

    async def _bringDown(self, shutdown: Shutdown) -> None:
        supervisor = self._supervisor
        for level in reversed(self.levels()):
            ends = [
                (supervisor._pathOf(child), self.end(child))
                for child in reversed(level)
                if supervisor._mustEnd(child.service)
            ]
            for path, ending in ends:
                success, value = await ending
                shutdown.note(path, success, value)


def _ending(stop: ChildStop) -> Deferred[Ended]:
    ending: Deferred[Ended] = Deferred()
    stop.tell(lambda success, value: ending.callback((success, value)))
    return ending


__all__ = ["Ended", "Ending"]
