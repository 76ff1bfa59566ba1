"""
What a supervisor does about children that go down.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from svctree.tree import events
from svctree.tree.bounds import Nap
from svctree.tree.child import Child
from svctree.tree.ending import Ending
from svctree.tree.errors import DoNotRestart, StartInterrupted, StopTree
from svctree.tree.errors import Shutdown as ShutDown
from svctree.tree.spec import Restart, Strategy
from svctree.tree.states import Record

if TYPE_CHECKING:
    from svctree.tree.supervisor import Supervisor


class Supervision(Ending):
    """
    The mechanics of one supervisor.

    Whatever waits, waits in a coroutine that looks afterwards whether it is still
    wanted: L{abandon} makes all of them stale.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        super().__init__(supervisor)
        self._generation = 0
        self._queue: list[Child] = []
        self._working = False

    def abandon(self) -> None:
        """
        Whatever is going on, let it be.
        """
        self._generation += 1
        self._queue.clear()
        self._working = False
        for child in list(self._supervisor._books.values()):
            child.busy = False
            child.rest()

    # Restarting.

    def isRestarting(self) -> bool:
        """
        @return: whether there are children that are to come up again.
        """
        if self._queue:
            return True
        return any(child.busy for child in self._supervisor._books.values())

    def react(self, child: Child, failure: Failure | None) -> None:
        """
        Do something about a child that went down.
        """
        error = None if failure is None else failure.value
        if isinstance(error, StopTree) and failure is not None:
            self._supervisor._goDown(failure)
            return
        normal = failure is None or isinstance(error, ShutDown)
        restart = child.spec.restart
        if (
            restart is Restart.TEMPORARY
            or (restart is Restart.TRANSIENT and normal)
            or isinstance(error, DoNotRestart)
        ):
            self._run(self._retire(child))
        elif self._mayRestart(child, failure):
            generation = self._generation
            delay = self._schedule(child, failure)
            if generation != self._generation:
                # Whoever heard of it has stopped us.
                return
            if self._supervisor.strategy is Strategy.ONE_FOR_ONE:
                self._run(self._restart([child], child, delay))
            else:
                self._queue.append(child)
                if not self._working:
                    self._run(self._work(delay))

    async def _retire(self, child: Child) -> None:
        supervisor = self._supervisor
        generation = self._generation
        await self.end(child)
        if generation != self._generation:
            return
        if supervisor._isDropped(child) and not child.gone:
            supervisor._dropChild(child)
        supervisor._significantDown(child)
        supervisor._lookIfReady()

    def _mayRestart(self, child: Child, failure: Failure | None) -> bool:
        supervisor = self._supervisor
        if supervisor._intensity.add(supervisor._clock()):
            return True
        if failure is None:
            failure = Failure(ShutDown(f"{supervisor._pathOf(child)}: finished"))
        supervisor._surrender(child, failure)
        return False

    def _schedule(self, child: Child, failure: Failure | None) -> float:
        """
        @return: the seconds to wait before the restart, which is announced.
        """
        supervisor = self._supervisor
        delay = supervisor.backOff.delayAfter(child.failures, supervisor.random)
        supervisor._publish(
            events.RestartScheduled(
                path=supervisor._pathOf(child),
                reason="finished" if failure is None else failure,
                service=child.service,
                delay=delay,
                attempt=child.failures,
            )
        )
        return delay

    async def _work(self, delay: float) -> None:
        """
        Restart groups, one after another.
        """
        generation = self._generation
        self._working = True
        while self._queue:
            child = self._queue.pop(0)
            record = self._supervisor._recordOf(child.service)
            if child.gone or record not in (Record.CRASHED, Record.FINISHED):
                # It was restarted with another one's group.
                continue
            await self._restart(self._group(child), child, delay)
            if generation != self._generation:
                return
        self._working = False
        self._supervisor._lookIfReady()

    def _group(self, child: Child) -> list[Child]:
        """
        @return: who is restarted with C{child}, in start order.
        """
        supervisor = self._supervisor
        children = self.children()
        if supervisor.strategy is Strategy.REST_FOR_ONE:
            if supervisor._order:
                dependents = supervisor._order.dependents(
                    child.service, list(supervisor._children)
                )
                children = [child, *map(supervisor._child, dependents)]
            else:
                children = children[children.index(child) :]
        return [member for member in children if not member.terminated]

    async def _restart(self, group: list[Child], child: Child, delay: float) -> None:
        generation = self._generation
        for member in group:
            member.busy = True
        await self._endAll(group)
        for member in [each for each in group if _isTemporary(each)]:
            # What is never restarted does not come back with the others either.
            group.remove(member)
            if not member.gone:
                self._supervisor._dropChild(member)
        while generation == self._generation:
            if delay > 0 and not (child.gone or child.terminated):
                child.nap = Nap(self._supervisor._clock(), delay)
                await child.nap.over
                child.nap = None
            if generation != self._generation:
                return
            failed = await self._startAll(group, generation)
            if generation != self._generation:
                return
            if failed is None:
                break
            # A restart that fails counts as one.
            child, failure = failed
            child.failures += 1
            if not self._mayRestart(child, failure):
                return
            delay = self._schedule(child, failure)
            await self._endAll(group)
        self._release(group)

    def _release(self, group: list[Child]) -> None:
        for member in group:
            member.busy = False
        for member in group:
            fell, member.fell = member.fell, None
            if fell is not None and not member.gone:
                self._supervisor.childDown(member.service, fell[0])
        self._supervisor._lookIfReady()

    async def _endAll(self, group: list[Child]) -> None:
        for member in reversed(group):
            if not member.gone:
                await self.end(member)

    async def _startAll(
        self, group: list[Child], generation: int
    ) -> tuple[Child, Failure] | None:
        """
        @return: the child that failed and why, L{None} if all are up.
        """
        for member in group:
            if member.gone or member.terminated:
                continue
            if self._supervisor._recordOf(member.service) in _STARTED:
                # Somebody has started it by hand meanwhile.
                continue
            try:
                await self.again(member)
            except (Exception, SystemExit, KeyboardInterrupt):
                return (member, Failure())
            if generation != self._generation:
                return None
        return None

    async def again(self, child: Child) -> None:
        """
        Start a child once more: a fresh instance where there is a factory, else the
        same object, so that what listened in its privileged phase listens again.
        """
        supervisor = self._supervisor
        if child.spec.factory is not None:
            supervisor._renew(child, child.spec.factory())
        child.restarts += 1
        if not supervisor._privilegeAlone(child.service):
            return
        waiting = self.start(child)
        if waiting is not None:
            await waiting

    async def byHand(self, child: Child) -> None:
        """
        Start a child that somebody wants started.
        """
        generation = self._generation
        # It may have been told to stop, and not have stopped yet.
        await self.end(child)
        started = self._supervisor._recordOf(child.service) in _STARTED
        late = generation != self._generation or child.gone or child.terminated
        if late and not started:
            raise StartInterrupted(self._supervisor._pathOf(child))
        if not started:
            await self.again(child)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        Deferred.fromCoroutine(work).addErrback(self._supervisor._unheard)


def _isTemporary(child: Child) -> bool:
    return child.spec.restart is Restart.TEMPORARY


_STARTED = frozenset([Record.STARTING, Record.UP])

__all__ = ["Supervision"]
