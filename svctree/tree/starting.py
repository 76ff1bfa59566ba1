"""
How a plain container starts: all calls go out at once, in the order of adding, unless
a child waits for a sibling.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from svctree.tree.books import Calls, inWalk, isInherited, noteWhere
from svctree.tree.bounds import Bound
from svctree.tree.errors import RequirementMissing
from svctree.tree.paths import join, keyOf
from svctree.tree.privileged import Privileged
from svctree.tree.register import TreeContainer
from svctree.tree.results import asDeferred, drive, isPending
from svctree.tree.shutdown import ChildStop, cancelPending
from svctree.tree.startup import Startup
from svctree.tree.states import Record, State
from svctree.tree.walk import Walk

_log = Logger()


class Starting(Privileged):
    """
    The layer of containers that starts.

    @ivar rollbackTimeout: seconds for the undoing of a start that failed later; the
        failure is not held up longer.
    """

    rollbackTimeout: float | None = 30.0

    @inWalk
    def startService(self) -> Any:
        """
        Start all children.

        @return: L{None} if all of them are up, else a Deferred that fires when they
            are. It fails with the error of the first child that does not come up,
            after the others have been stopped again (see C{keepGoing}).
        """
        self._beforeStart()
        root = self._findRoot()
        if root is None:
            return drive(self._starting())
        return root.start(lambda: drive(self._starting()))

    def _starting(self) -> Calls:
        if self._startup is not None:
            return self._startup.wait()
        if self._up:
            return None
        if self._shutdown is not None and self._shutdown.walking:
            return self._shutdown.startAfter()
        startup = self._startup = Startup(self)
        self._failures = ()
        self.running = 1
        # Who is added from now on is started by that.
        walk = self._children.walk()
        self._become(State.STARTING)
        if startup.over:
            # Whoever heard of it has stopped us.
            return startup.walked()
        if self._order:
            walk.cut()
            failure = yield self._startInOrder(startup)
            if failure is not None:
                failure.raiseException()
            return startup.walked()
        self._passOver(walk)
        self._awaitStops(startup, walk)
        loud = self._isLoud()
        nested = self._children.nested > 0 or bool(self._adapters)
        while True:
            try:
                services = walk.iterate()
                if not (nested or loud):
                    for service in services:
                        if (result := service.startService()) is not None:
                            self._childReturned(startup, walk, service, result)
                for service in services:
                    if nested and isinstance(service, TreeContainer):
                        result = yield from self._startNested(service)
                    else:
                        result = self._callee(service).startService()
                    if result is not None:
                        self._childReturned(startup, walk, service, result)
                    elif loud:
                        self._tellUp(walk, service)
                break
            except BaseException as error:
                if not (self.keepGoing and isinstance(error, Exception)):
                    yield self._startRaised(startup, walk, service, Failure())
                    raise
                self._leaveOut(walk, service)
        walk.end()
        return startup.walked()

    def _startNested(self, service: Any) -> Calls:
        """
        Start a container, without recursion where that is possible.
        """
        if isInherited(service, "startService"):
            result = yield service._starting()
        else:
            result = service.startService()
        return self._pendingStart(service, result)

    def _startInOrder(self, startup: Startup) -> Calls:
        """
        Start with C{after} and C{requires}: whoever waits for nobody now, the others
        when those that they wait for are up.

        @return: the failure of a child, which the start has been given up for.
        """
        assert self._order is not None
        ordered = self._order.sorted(list(self._children))
        startup.held = {id(service): service for service in ordered}
        return (yield self._startHeld(startup))

    def _startHeld(self, startup: Startup) -> Calls:
        again = True
        while again:
            again = False
            for service in list(startup.held.values()):
                if startup.over:
                    return None
                if id(service) not in startup.held:
                    # Its turn has come while another one was called.
                    continue
                if self._children.find(service) < 0:
                    del startup.held[id(service)]
                    continue
                try:
                    if self._waitsForSibling(startup, service):
                        continue
                    del startup.held[id(service)]
                    again = True
                    yield self._startOne(startup, service)
                except BaseException as error:
                    failure = Failure()
                    startup.held.pop(id(service), None)
                    if startup.over:
                        # It has stopped us; that is no failure of ours.
                        return failure
                    self._recordChild(service, Record.FAILED, failure)
                    if self.keepGoing and isinstance(error, Exception):
                        self._noteFailure(service, failure)
                        again = True
                        continue
                    yield self._giveUp(startup, service, failure)
                    return failure
        return None

    def _startOne(self, startup: Startup, service: Any) -> Calls:
        record = self._recordOf(service)
        if record in (Record.UP, Record.STARTING):
            return
        stop = self._stops.get(id(service))
        if stop is not None:
            startup.watch(service, self._startAfter(stop))
            return
        self._setRecord(service, Record.STARTING)
        if isinstance(service, TreeContainer):
            result = yield from self._startNested(service)
        else:
            result = self._callee(service).startService()
        starting = asDeferred(result)
        if self._recordOf(service) != Record.STARTING or startup.over:
            self._startInVain(service, starting)
        elif starting is None:
            self._recordChild(service, Record.UP, old=record)
        else:
            pending = isPending(starting)
            startup.watch(service, starting)
            if pending:
                self._tell(service, record, Record.STARTING)

    def _waitsForSibling(self, startup: Startup, service: Any) -> bool:
        """
        @raise RequirementMissing: it waits in vain.
        """
        assert self._order is not None
        needs = self._order.of(service)
        waits = False
        for name in needs.names:
            sibling = self.namedServices.get(name)
            required = name in needs.requires
            record = Record.NEW if sibling is None else self._recordOf(sibling)
            if sibling is None:
                if required:
                    path = join(self.path, keyOf(self, service))
                    raise RequirementMissing(path, name, "is not there")
            elif id(sibling) in startup.held or record in _ON_THE_WAY:
                waits = True
            elif required and record != Record.UP:
                path = join(self.path, keyOf(self, service))
                raise RequirementMissing(path, name, f"is {self.stateOf(sibling)}")
        return waits

    def _passOver(self, walk: Walk) -> None:
        """
        Whoever heard of the start may have had children started already.
        """
        states = self._children.states
        for record in (Record.STARTING, Record.UP):
            position = states.find(record)
            while 0 <= position < len(walk.services):
                walk.skip(position)
                position = states.find(record, position + 1)

    def _awaitStops(self, startup: Startup, walk: Walk) -> None:
        """
        A child that is still stopping starts when it has stopped.
        """
        for stop in list(self._stops.values()):
            position = self._children.find(stop.service)
            # Who was added since the walk began is waited for already.
            if 0 <= position < len(walk.services):
                walk.skip(position)
                startup.watch(stop.service, self._startAfter(stop))

    def _startAfter(self, stop: ChildStop) -> Deferred[None]:
        """
        Start a child when its stop is over, unless it is removed before, or told
        to stop.
        """
        # There is one start that waits, whoever asked for it last.
        cancelPending(stop.restart)
        launched: Deferred[Any] | None = None
        started: Deferred[None] = Deferred(lambda _: cancelPending(launched))
        stop.restart = started
        service = stop.service

        def end(result: Any) -> None:
            if not started.called:
                started.callback(result)

        def stopped(success: bool, value: object) -> None:
            nonlocal launched
            if started.called:
                return
            position = self._children.find(service)
            if not self.running or position < 0:
                started.callback(None)
                return
            if self._isInHand(service, self._children.states[position]):
                started.callback(None)
                return
            try:
                if not stop.privileged or self._privilegeAlone(service):
                    launched = self._launch(service)
            except BaseException:
                end(Failure())
                return
            if launched is None:
                end(None)
            else:
                launched.addBoth(end)

        stop.tell(stopped)
        return started

    def _isInHand(self, service: Any, record: int) -> bool:
        """
        @return: whether somebody else, who has waited for the same stop, has started
            a child already, or is about to.
        """
        return record in (Record.STARTING, Record.UP)

    def _launch(self, service: Any) -> Deferred[Any] | None:
        """
        Start one child that is down.
        """
        before = self._recordOf(service)
        self._setRecord(service, Record.STARTING)
        starting = asDeferred(self._callee(service).startService())
        if self._recordOf(service) != Record.STARTING:
            self._startInVain(service, starting)
            return None
        self._tell(service, before, Record.STARTING)
        return starting

    def _childReturned(
        self, startup: Startup, walk: Walk, service: Any, result: object
    ) -> None:
        """
        A child's C{startService} returned something.
        """
        starting = asDeferred(result)
        if starting is None:
            self._tellUp(walk, service)
        elif startup.over or self._children.find(service) < 0:
            self._startInVain(service, starting)
        else:
            before, pending = walk.record(), isPending(starting)
            walk.mark(Record.STARTING)
            startup.watch(service, starting)
            if pending:
                self._tell(service, before, Record.STARTING)

    def _startInVain(self, service: Any, starting: Deferred[Any] | None) -> None:
        """
        While it was called to start, a child has removed itself, gone down, or
        stopped us: it is stopped already.
        """
        if starting is not None:
            starting.addErrback(self._lateFailure, service)
            cancelPending(starting)

    def _lateFailure(self, failure: Failure, service: Any) -> None:
        path = getattr(service, "path", type(service).__name__)
        _log.debug("{path}: {failure} after it was stopped", path=path, failure=failure)

    def _leaveOut(self, walk: Walk, service: Any) -> None:
        """
        Go on without the child that has just raised.
        """
        failure = Failure()
        self._tell(service, walk.record(), Record.FAILED, failure)
        walk.mark(Record.FAILED)
        self._noteFailure(service, failure)

    def _startRaised(
        self, startup: Startup, walk: Walk, service: Any, failure: Failure
    ) -> Calls:
        """
        A child raised: undo the start before the error goes on.
        """
        if startup.over:
            # A child has stopped us in the middle; that is no failure of ours.
            walk.cut()
            return
        record = walk.record()
        walk.mark(Record.FAILED)
        walk.cut()
        self._tell(service, record, Record.FAILED, failure)
        yield self._giveUp(startup, service, failure)
        startup.fail(failure)

    def _giveUp(self, startup: Startup, service: Any, failure: Failure) -> Calls:
        """
        The start has failed: stop what has been started.
        """
        path = join(self.path, keyOf(self, service))
        self._failures = (*self._failures, (path, failure))
        noteWhere(failure, path)
        startup.over = startup.undoing = True
        self._startup = None
        self._up = False
        self.running = 0
        yield self._undoing(startup, failure)

    def _childStartFailed(
        self, startup: Startup, service: Any, failure: Failure
    ) -> None:
        """
        A child failed while the others were starting or up already.
        """
        self._flushWalks()
        self._recordChild(service, Record.FAILED, failure)
        if self.keepGoing:
            self._noteFailure(service, failure)
            self._childSettled(startup)
            return
        self._cutWalks()
        drive(self._giveUp(startup, service, failure))
        self._startFailedLater(startup, failure)

    def _startFailedLater(self, startup: Startup, failure: Failure) -> None:
        """
        Report a failed start when what had come up is down again, or takes too long.
        """
        shutdown = self._shutdown
        if shutdown is None:
            self._startFailed(startup, failure)
            return
        told: list[bool] = []

        def tell(_: object = None) -> None:
            if not told:
                told.append(True)
                self._startFailed(startup, failure)

        undoing = shutdown.wait().addBoth(tell)
        Bound(undoing, self._clock(), self.rollbackTimeout, tell)

    def _startFailed(self, startup: Startup, failure: Failure) -> None:
        if not startup.fail(failure) and not self._isWatched():
            self._unheard(failure)

    def _startupDone(self) -> None:
        """
        Everything is up.
        """
        self._startup = None
        self._up = True
        self._become(State.RUNNING)
        self._lookIfReady()

    def _childSettled(self, startup: Startup) -> None:
        """
        A child has come up, or has failed: start what waited for it.
        """
        if startup.held and not startup.over:
            failure = drive(self._startHeld(startup))
            if failure is not None:
                self._startFailedLater(startup, failure)

    def _beforeStart(self) -> None:
        """
        Somebody, and not a walk from above, starts this container.
        """


_ON_THE_WAY = frozenset([Record.STARTING, Record.STOPPING])


__all__ = ["Starting"]
