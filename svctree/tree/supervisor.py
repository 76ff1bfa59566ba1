"""
The container that does something about it when a child goes down.

OTP's terms in Twisted's vocabulary. What is different from L{MultiService}: children
start one after another, each waiting for the one before, and stop in reverse; every
child has bounds for its start and its stop; and a child that goes down is restarted
by a strategy, until that has happened too often.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.python.failure import Failure

from svctree.tree import events
from svctree.tree.books import Calls, noteWhere
from svctree.tree.bringing import Bringing
from svctree.tree.child import Child
from svctree.tree.errors import (
    ChildIsRestarting,
    ChildIsRunning,
    RestartLimitReached,
    Shutdown,
    StopOverran,
    SupervisorIsDown,
)
from svctree.tree.health import HealthMonitor
from svctree.tree.paths import epoch, join, keyOf
from svctree.tree.placing import Placing
from svctree.tree.results import Waiters, asDeferred
from svctree.tree.shutdown import ChildStop
from svctree.tree.spec import AutoShutdown, Restart
from svctree.tree.states import TO_BE_STOPPED, Record, State
from svctree.tree.supervision import Supervision


class Supervisor(Placing):
    """
    Starts its children in order, keeps them running, and stops them in reverse.

    @param strategy: who is restarted with a child that went down: C{oneForOne} it
        alone, C{oneForAll} all children, C{restForOne} it and what started after it
        (where children have C{after} or C{requires}: what depends on it).
    @param maxRestarts: more restarts than this
    @param within: in so many seconds, and the supervisor gives up: it stops all
        children and is down itself. 0 restarts means never restart.
    @param backOff: the delays between restarts in a row; a L{BackOff}, or its fields
        as a mapping.
    @param autoShutdown: C{never}, C{anySignificant} or C{allSignificant}: whether the
        supervisor goes down when significant children have ended.
    @param atOnce: how many children of one level may be starting at the same time,
        where children have C{after} or C{requires}; L{None} for any number.
    @param rollbackTimeout: seconds for the undoing of a start that failed.
    @param clock: what measures the time; the reactor by default.
    @param random: returns numbers from 0.0 to 1.0, for the jitter.
    @param defaults: options for children that are added without any, see
        L{ChildSpec}.
    """

    _bringing: Bringing | None = None

    def _forgetStart(self, service: Any) -> Deferred[Any] | None:
        return self._child(service).starting

    def _prepare(self) -> None:
        super()._prepare()
        self._supervision = Supervision(self)

    # Starting and stopping as a whole.

    def _starting(self) -> Calls:
        # Nothing is walked from outside: one child waits for the other.
        return self._start()
        yield

    def _stopping(self) -> Calls:
        return self._stop()
        yield

    def _start(self) -> Deferred[None] | None:
        if self._bringing is not None:
            return self._bringing.wait()
        if self._up:
            return None
        self._failures = ()
        self._unstopped = ()
        self.running = 1
        self._intensity.clear()
        if self._shutdown is not None:
            # What it ends in is decided by this start.
            self._shutdown.rollback = True
        for child in self._books.values():
            child.terminated = False
        bringing = self._bringing = Bringing(self)
        self._become(State.STARTING)
        return bringing.begin()

    def _stop(self) -> Deferred[list[tuple[bool, Any]]]:
        shutdown = self._shutdown
        idle = not self._up and self._bringing is None
        if shutdown is not None and idle:
            return shutdown.wait()
        # It may be in the middle of the privileged phase.
        self._cutWalks()
        bringing, self._bringing = self._bringing, None
        self._up = False
        self.running = 0
        self._supervision.abandon()
        if bringing is not None:
            bringing.abandon()
        if idle and not self._hasWork():
            return succeed([])
        self._become(State.STOPPING)
        stopping = self._supervision.bringDown(rollback=False)
        if bringing is not None:
            bringing.interrupt(self.path)
        return stopping

    def _describeSelf(self) -> dict[str, Any]:
        return {
            "strategy": str(self.strategy),
            "restarts": sum(child.restarts for child in self._books.values()),
        }

    @property
    def unstopped(self) -> tuple[str, ...]:
        """
        The paths of the children that had not stopped in time.
        """
        return self._unstopped

    def _joinStart(self) -> Deferred[None] | None:
        return None if self._bringing is None else self._bringing.wait()

    def _isUp(self) -> None:
        self._bringing = None
        self._up = True
        self._become(State.RUNNING)
        for child in list(self._books.values()):
            # It went down while its siblings were starting.
            fell, child.fell = child.fell, None
            if fell is not None and self._up:
                self._supervision.react(child, fell[0])
        self._lookIfReady()

    # One child.

    def terminateChild(self, service: Any) -> Deferred[None]:
        """
        Stop a child and leave it stopped. It stays a child, unless it is a
        C{temporary} one.

        @param service: the child, or its name.
        @raise NotAChild: it is none.
        """
        child = self._find(service)
        child.terminated = True
        child.rest()
        child.busy = False
        done = Waiters()
        waiter = done.wait()

        def ended(_: object) -> None:
            if self._isDropped(child) and not child.gone:
                self._dropChild(child)
            self._lookIfReady()
            done.fire(None)

        self._supervision.end(child).addBoth(ended)
        return waiter

    def restartChild(self, service: Any) -> Deferred[None]:
        """
        Start a child that is down.

        @param service: the child, or its name.
        @return: a Deferred that fires when it is up, and fails when that fails.
        @raise NotAChild: it is none.
        @raise ChildIsRunning: it is not down.
        @raise ChildIsRestarting: it is down, but not for long.
        @raise SupervisorIsDown: this supervisor does not run.
        """
        child = self._find(service)
        if not self.running:
            raise SupervisorIsDown(self.path)
        record = self._recordOf(child.service)
        if record in (Record.UP, Record.STARTING):
            raise ChildIsRunning(self._pathOf(child))
        if child.busy or record in (Record.CRASHED, Record.FINISHED):
            raise ChildIsRestarting(self._pathOf(child))
        child.failures = 0
        child.terminated = False
        return Deferred.fromCoroutine(self._supervision.byHand(child))

    def deleteChild(self, service: Any) -> None:
        """
        Forget a child that is down.

        @param service: the child, or its name.
        @raise NotAChild: it is none.
        @raise ChildIsRunning: it is not down.
        """
        child = self._find(service)
        if self._recordOf(child.service) not in _DOWN:
            raise ChildIsRunning(self._pathOf(child))
        child.service.disownServiceParent()

    def _find(self, service: Any) -> Child:
        if isinstance(service, str):
            service = self.getServiceNamed(service)
        return self._child(service)

    def _isDropped(self, child: Child) -> bool:
        """
        @return: whether C{child} is a child no longer once it is down.
        """
        return child.spec.restart is Restart.TEMPORARY

    def _pathOf(self, child: Child) -> str:
        return join(self.path, keyOf(self, child.service))

    def _startAdded(self, service: Any) -> Any:
        child = self._child(service)
        try:
            if id(service) in self._stops:
                stop = self._stops[id(service)]
                stop.privileged = True
                result: object = self._startAfter(stop)
            else:
                if not self._privilegeAlone(service):
                    return None
                result = self._supervision.start(child)
        except BaseException:
            self._detach(service)
            raise
        starting = asDeferred(result)
        if starting is None:
            return None
        return self._watchAdded(service, starting)

    def _isInHand(self, service: Any, record: int) -> bool:
        # It may be restarted with its siblings.
        return self._child(service).busy or super()._isInHand(service, record)

    def _launch(self, service: Any) -> Deferred[Any] | None:
        return self._supervision.start(self._child(service))

    # Children that go down.

    def childDown(self, service: Any, failure: Failure | None) -> None:
        """
        A child went down by itself.
        """
        if self._children.find(service) < 0:
            return
        child = self._child(service)
        record = self._recordOf(service)
        if child.busy or record == Record.STARTING:
            child.fell = (failure,)
            return
        if record != Record.UP:
            self._notUpYet(service, record, failure)
            return
        child.down(self._clock(), self.backOff.stableAfter)
        if failure is not None:
            noteWhere(failure, self._pathOf(child))
        reason: events.Reason = "finished" if failure is None else failure
        down = Record.FINISHED if failure is None else Record.CRASHED
        self._recordChild(service, down, reason)
        if self._up:
            self._supervision.react(child, failure)
        else:
            child.fell = (failure,)

    def _surrender(self, child: Child, failure: Failure) -> None:
        """
        Enough is enough: stop everything, and be down.
        """
        error = RestartLimitReached(self.path, self.maxRestarts, self.within, failure)
        self._publish(
            events.SupervisorGaveUp(
                path=self.path, reason=Failure(error), service=child.service
            )
        )
        self._goDown(Failure(error))

    def _goDown(self, failure: Failure) -> None:
        """
        Stop everything, then report to whoever is above.
        """
        if not self._up:
            return
        self._up = False
        self.running = 0
        self._supervision.abandon()
        self._become(State.FAILED, failure)
        stopping = self._supervision.bringDown(rollback=True)

        def report(result: object) -> None:
            if isinstance(result, Failure):
                self._unheard(result)
            if not self.running:
                # Nobody has started us again in the meantime.
                self._down(failure)

        stopping.addBoth(report)

    def _significantDown(self, child: Child) -> None:
        """
        A significant child has ended for good.
        """
        if not child.spec.significant or not self._up:
            return
        if self.autoShutdown is AutoShutdown.ALL_SIGNIFICANT and any(
            other.spec.significant
            and other is not child
            and (other.busy or self._recordOf(other.service) in _ALIVE)
            for other in self._books.values()
        ):
            return
        error = Shutdown(
            f"{self.path}: went down with its significant child {self._pathOf(child)}",
            self.path,
        )
        self._goDown(Failure(error))

    def _goesOn(self, service: Any) -> bool:
        return self._up and self.stateOf(service) is not State.RUNNING

    def _lookIfReady(self) -> None:
        waited = self._up and self._readiness is not None
        if waited and not self._supervision.isRestarting():
            super()._lookIfReady()

    def _isRequired(self, service: Any) -> bool:
        temporary = self._child(service).spec.restart is Restart.TEMPORARY
        return super()._isRequired(service) and not temporary

    # What the supervision does to the books.

    def _mustEnd(self, service: Any) -> bool:
        return id(service) in self._stops or self._recordOf(service) in TO_BE_STOPPED

    def _dropChild(self, child: Child) -> None:
        """
        A temporary child is down.
        """
        service, path = child.service, self._pathOf(child)
        self._detach(service)
        if service.parent is self:
            service.parent = None
            epoch.end()
        self._publish(events.ChildDropped(path=path, service=service))

    def _renew(self, child: Child, service: Any) -> None:
        """
        A fresh instance takes the place of a child that has ended.
        """
        old = child.service
        if old is service:
            return
        name = old.name
        if service.name != name:
            service.name = name
        if name is not None and self.namedServices.get(name) is old:
            self.namedServices[name] = service
        self._unadapt(old)
        self._adapt(service)
        self._children.replace(old, service)
        del self._books[id(old)]
        self._books[id(service)] = child
        self._order.replace(old, service)
        child.service = service
        old.parent = None
        service.parent = self
        epoch.end()

    def _watchHealth(self, child: Child) -> None:
        check = child.spec.health
        if check is not None:
            service = child.service
            child.monitor = HealthMonitor(
                check,
                service,
                self._clock(),
                self._pathOf(child),
                lambda failure: self.childDown(service, failure),
            )

    def _leaveBehind(self, path: str, stop: ChildStop, timeout: float) -> None:
        """
        A child has not stopped in time: kill it if that is possible, and go on.
        """
        failure = Failure(StopOverran(path, timeout))
        service = stop.service
        self._unstopped = (*self._unstopped, path)
        self._publish(events.StopOverdue(path=path, reason=failure, service=service))
        kill = getattr(service, "killService", None)
        if kill is not None:
            maybeDeferred(kill).addErrback(self._unheard)
        stop.giveUp(failure)

    def _stopTimeoutOf(self, service: Any) -> float | None:
        return self._child(service).spec.stopTimeout


_DOWN = frozenset([Record.NEW, Record.STOPPED, Record.FAILED])

_ALIVE = frozenset([Record.STARTING, Record.UP, Record.CRASHED])
"""Those of a child that is up, or is going to be again."""

__all__ = ["Supervisor"]
