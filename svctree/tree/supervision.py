"""
How a supervisor starts, ends and restarts its children.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from svctree.tree import events
from svctree.tree.books import noteWhere
from svctree.tree.bounds import Bound, Nap
from svctree.tree.child import Child
from svctree.tree.errors import (
    DoNotRestart,
    Ignore,
    StartTimedOut,
    StopOverran,
    StopTree,
)
from svctree.tree.errors import (
    Shutdown as ShutDown,
)
from svctree.tree.results import asDeferred
from svctree.tree.shutdown import ChildStop, Shutdown
from svctree.tree.spec import Restart, Strategy
from svctree.tree.states import TO_BE_STOPPED, Record

if TYPE_CHECKING:
    from svctree.tree.supervisor import Supervisor

Ending = tuple[bool, Any]


class Supervision:
    """
    The mechanics of one supervisor.

    Whatever waits, waits in a coroutine that looks afterwards whether it is still
    wanted: L{abandon} makes all of them stale.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
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

    def children(self) -> list[Child]:
        """
        @return: the children in the order in which they start.
        """
        return [child for level in self.levels() for child in level]

    def levels(self) -> list[list[Child]]:
        """
        @return: the children in groups that start together.
        """
        supervisor = self._supervisor
        services = list(supervisor._children)
        if supervisor._order:
            levels = supervisor._order.levels(services)
        else:
            levels = [[service] for service in services]
        return [[supervisor._child(each) for each in level] for level in levels]

    # Starting one child.

    def start(self, child: Child) -> Deferred[None] | None:
        """
        Start a child that is down.

        @return: L{None} if it is up, or has nothing to do; else a Deferred that
            fires when it is up, or fails when it has failed and, if it was too
            slow, was stopped.
        """
        supervisor, service = self._supervisor, child.service
        child.fell = None
        before = supervisor._recordOf(service)
        supervisor._setRecord(service, Record.STARTING)
        try:
            result = supervisor._callee(service).startService()
        except Ignore:
            child.ignored = True
            supervisor._recordChild(service, Record.STOPPED, "ignored", old=before)
            return None
        except BaseException:
            self._failed(child, Failure(), before)
            raise
        starting = supervisor._pendingStart(service, result)
        if starting is None:
            self._up(child, before)
            return None
        if not starting.called:
            supervisor._tell(service, before, Record.STARTING)
            before = Record.STARTING
        return self._wait(child, starting, before)

    def _wait(
        self, child: Child, starting: Deferred[Any], before: int
    ) -> Deferred[None]:
        supervisor = self._supervisor
        started: Deferred[None] = Deferred()
        child.starting = starting
        late = False

        def up(result: object) -> object:
            if not late:
                child.starting = None
                try:
                    if supervisor._recordOf(child.service) == Record.STARTING:
                        self._up(child, before)
                except BaseException:
                    started.errback(Failure())
                else:
                    started.callback(None)
            return result

        def failed(failure: Failure) -> None:
            if late:
                return
            child.starting = None
            if failure.check(Ignore):
                child.ignored = True
                supervisor._recordChild(child.service, Record.STOPPED, "ignored")
                started.callback(None)
                return
            if supervisor._recordOf(child.service) == Record.STARTING:
                self._failed(child, failure, before)
            started.errback(failure)

        def expired() -> None:
            nonlocal late
            late = True
            child.starting = None
            timeout = child.spec.startTimeout or 0.0
            failure = Failure(StartTimedOut(supervisor._pathOf(child), timeout))

            def ended(_: object) -> None:
                self._failed(child, failure, supervisor._recordOf(child.service))
                started.errback(failure)

            # First the start, then the service: it must not come up behind us.
            starting.cancel()
            self.end(child).addCallback(ended)

        starting.addCallbacks(up, failed)
        Bound(starting, supervisor._clock(), child.spec.startTimeout, expired)
        return started

    def _up(self, child: Child, before: int) -> None:
        """
        @raise Exception: it went down again before it was up.
        """
        supervisor, service = self._supervisor, child.service
        fell, child.fell = child.fell, None
        if fell is not None and fell[0] is not None:
            self._failed(child, fell[0], before)
            fell[0].raiseException()
        child.up(supervisor._clock())
        supervisor._recordChild(service, Record.UP, old=before)
        supervisor._watchHealth(child)
        if fell is not None:
            busy, child.busy = child.busy, False
            supervisor.childDown(service, None)
            child.busy = busy

    def _failed(self, child: Child, failure: Failure, before: int) -> None:
        supervisor = self._supervisor
        noteWhere(failure, supervisor._pathOf(child))
        supervisor._recordChild(child.service, Record.FAILED, failure, old=before)

    # Ending one child.

    def end(self, child: Child) -> Deferred[Ending]:
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
        kill = getattr(service, "killService", None)
        howToStop = callee.stopService
        if child.spec.stopTimeout == 0 and kill is not None:
            howToStop = kill
        try:
            result = howToStop()
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
    ) -> Deferred[Ending]:
        supervisor, service = self._supervisor, child.service
        if not stopping.called:
            supervisor._recordChild(service, Record.STOPPING, old=record)
            record = Record.STOPPING
        supervisor._stops[id(service)] = stop

        def done(success: bool, value: Any) -> None:
            if supervisor._stops.get(id(service)) is stop:
                del supervisor._stops[id(service)]
            reason = None if success else value
            supervisor._recordChild(service, Record.STOPPED, reason, old=record)

        def overdue() -> None:
            timeout = child.spec.stopTimeout or 0.0
            path = supervisor._pathOf(child)
            failure = Failure(StopOverran(path, timeout))
            supervisor._leaveBehind(service, path, failure)
            stop.giveUp(stopping, failure)

        stop.tell(done)
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

    def bringDown(self, rollback: bool) -> Deferred[list[Ending]]:
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

    # Restarting.

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
            delay = self._schedule(child, failure)
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
        if child.spec.restart is Restart.TEMPORARY and not child.gone:
            supervisor._dropChild(child)
        supervisor._significantDown(child)

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
            try:
                await self.again(member)
            except Exception:
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
        supervisor._privilege(child.service)
        waiting = self.start(child)
        if waiting is not None:
            await waiting

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        Deferred.fromCoroutine(work).addErrback(self._supervisor._unheard)


def _isTemporary(child: Child) -> bool:
    return child.spec.restart is Restart.TEMPORARY


def _ending(stop: ChildStop) -> Deferred[Ending]:
    ending: Deferred[Ending] = Deferred()
    stop.tell(lambda success, value: ending.callback((success, value)))
    return ending


__all__ = ["Ending", "Supervision"]
