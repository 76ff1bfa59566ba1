"""
One start of a supervisor: child after child, or level after level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from svctree.tree.bounds import Bound
from svctree.tree.child import Child
from svctree.tree.errors import RequirementMissing, StartInterrupted
from svctree.tree.results import Waiters
from svctree.tree.states import Record, State

if TYPE_CHECKING:
    from svctree.tree.supervisor import Supervisor


class Bringing:
    """
    Brings the children of a supervisor up.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._waiters = Waiters()
        self._abandoned = False
        self._failure: Failure | None = None

    def wait(self) -> Deferred[None]:
        """
        @return: a Deferred that fires when all are up.
        """
        return self._waiters.wait()

    def abandon(self) -> None:
        """
        Start nobody else.
        """
        self._abandoned = True

    def interrupt(self, path: str) -> None:
        """
        The supervisor was stopped in the middle.
        """
        self._waiters.fire(Failure(StartInterrupted(path)))

    def begin(self) -> Deferred[None] | None:
        """
        @return: L{None} if all are up, else a Deferred for it.
        @raise Exception: a child failed within this call.
        """
        outcomes: list[object] = []
        told: list[bool] = []

        def done(result: object) -> None:
            outcomes.append(result)
            if told and not self._abandoned:
                heard = self._waiters.fire(result) or self._supervisor._isWatched()
                if isinstance(result, Failure) and not heard:
                    self._supervisor._unheard(result)

        Deferred.fromCoroutine(self._bringUp()).addBoth(done)
        told.append(True)
        if not outcomes:
            return self.wait()
        if isinstance(outcomes[0], Failure):
            if self._failure is None:
                return fail(outcomes[0])
            outcomes[0].raiseException()
        return None

    async def _bringUp(self) -> None:
        supervisor = self._supervisor
        while not self._abandoned and (stopped := self._stopped()) is not None:
            await stopped
        if self._abandoned:
            return
        for level in supervisor._supervision.levels():
            await self._bringLevelUp(level)
            if self._abandoned:
                return
            if self._failure is not None:
                await self._undo()
                self._failure.raiseException()
        supervisor._isUp()

    def _stopped(self) -> Deferred[None] | None:
        """
        @return: a Deferred that fires when one of the stops under way is over: that of
            the supervisor, which goes child by child, or that of a single child.
            L{None} if there are none.
        """
        over: Deferred[None] = Deferred()
        shutdown = self._supervisor._shutdown
        if shutdown is not None:
            # Its errors go to who asked for it.
            shutdown.wait().addBoth(lambda _: over.callback(None))
            return over
        for stop in self._supervisor._stops.values():
            # One that is done may be in the middle of telling everybody.
            if not stop.done:
                stop.tell(lambda *_: over.callback(None))
                return over
        return None

    async def _bringLevelUp(self, level: list[Child]) -> None:
        atOnce = self._supervisor.atOnce
        waiting: list[Deferred[None]] = []
        for child in level:
            if self._supervisor._recordOf(child.service) in _UP:
                continue
            starting = self._start(child)
            if starting is not None:
                waiting.append(starting)
                if atOnce is not None and len(waiting) >= atOnce:
                    await waiting.pop(0)
            if self._abandoned or self._failure is not None:
                break
        for starting in waiting:
            await starting

    def _start(self, child: Child) -> Deferred[None] | None:
        """
        @return: a Deferred that never fails; failures are noted.
        """
        if child.gone or child.terminated:
            return None
        try:
            self._checkRequirements(child)
            starting = self._supervisor._supervision.start(child)
        except BaseException:
            self._childFailed(Failure(), child)
            return None
        if starting is not None:
            starting.addErrback(self._childFailed, child)
        return starting

    def _checkRequirements(self, child: Child) -> None:
        supervisor = self._supervisor
        for name in supervisor._order.of(child.service).requires:
            sibling = supervisor.namedServices.get(name)
            if sibling is None:
                state = "is not there"
            elif supervisor._recordOf(sibling) != Record.UP:
                state = f"is {supervisor.stateOf(sibling)}"
            else:
                continue
            failure = RequirementMissing(supervisor._pathOf(child), name, state)
            supervisor._recordChild(child.service, Record.FAILED, Failure(failure))
            raise failure

    def _childFailed(self, failure: Failure, child: Child) -> None:
        if self._abandoned or child.gone or child.terminated:
            return
        supervisor = self._supervisor
        supervisor._noteFailure(child.service, failure)
        keepGoing = supervisor.keepGoing and failure.check(Exception)
        if self._failure is None and not keepGoing:
            self._failure = failure

    async def _undo(self) -> None:
        supervisor = self._supervisor
        supervisor._bringing = None
        supervisor.running = 0
        supervisor._become(State.FAILED, self._failure)
        supervisor._supervision.abandon()
        undone = supervisor._supervision.bringDown(rollback=True)
        over: Deferred[Any] = Deferred()

        def done(_: object) -> None:
            if not over.called:
                over.callback(None)

        undone.addErrback(supervisor._unheard)
        undone.addBoth(done)
        Bound(over, supervisor._clock(), supervisor.rollbackTimeout, lambda: done(None))
        await over


_UP = frozenset([Record.UP, Record.STARTING, Record.CRASHED, Record.FINISHED])
"""What has been started already; who went down since is dealt with at the end."""

__all__ = ["Bringing"]
