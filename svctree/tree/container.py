"""
The plain container: starts its children all at once, and knows what became of each.

What it keeps from Twisted's, in the words of users: every child is called in the
order in which it was added, before C{startService} returns; nobody waits for a
sibling; C{running} is true before the children start and false before they stop.
What it adds: it waits for asynchronous children as a whole, undoes a start that
fails, and never stops what it has not started.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

from twisted.application import service as _twisted
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from svctree.tree import events
from svctree.tree.children import NOTHING, Children, TreeContainer, Walk
from svctree.tree.errors import (
    AlreadyAChild,
    CycleOfParents,
    DuplicateName,
    NameRefused,
    NoSuchService,
    NotAChild,
    PrivilegedPhaseIsSynchronous,
    StartInterrupted,
    StopTree,
)
from svctree.tree.errors import Shutdown as GoneDown
from svctree.tree.leaf import Service
from svctree.tree.paths import join, keyOf, pathOf
from svctree.tree.readiness import Readiness
from svctree.tree.results import Waiters, asDeferred, drive
from svctree.tree.shutdown import ChildStop, Shutdown, cancelPending
from svctree.tree.startup import Startup
from svctree.tree.states import STATE_OF, TO_BE_STOPPED, Record, State

_log = Logger()

MANY = 1000
"""
With more plain children than this, one line in the log speaks for all of them,
unless somebody observes the container.
"""

Calls = Generator[Any, Any, Any]


@implementer(_twisted.IServiceCollection)
class MultiService(Service, TreeContainer, _twisted.MultiService):
    """
    A service that is made of others.

    @ivar services: the children, list-like.
    @ivar namedServices: the named ones by name.
    @ivar keepGoing: whether the others stay up when a child fails to start; else
        (the default) they are stopped again and the start fails.
    @ivar onDown: of the topmost container: called with the L{Failure} when it is
        down because something in it gave up. The runner sets it.
    """

    keepGoing = False
    clock: Any = None
    onDown: Callable[[Failure], object] | None = None

    # Most containers never need these.
    _state = State.NEW
    _up = False
    _startup: Startup | None = None
    _shutdown: Shutdown | None = None
    _observers: tuple[events.Observer, ...] = ()
    _reason: events.Reason = None
    _readiness: Readiness | None = None
    _root: Any = None
    _failures: tuple[tuple[str, Failure], ...] = ()

    def __init__(self, *, keepGoing: bool | None = None) -> None:
        self._children = Children()
        self.namedServices: dict[str, Any] = {}
        self._stops: dict[int, ChildStop] = {}
        self.parent = None
        if keepGoing is not None:
            self.keepGoing = keepGoing

    # The collection.

    @property  # type: ignore[override]
    def services(self) -> Children:
        return self._children

    @services.setter
    def services(self, services: Iterable[Any]) -> None:
        self._children = Children(services)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._children)

    def getServiceNamed(self, name: str) -> Any:
        """
        @raise NoSuchService: there is none (a C{KeyError}).
        """
        try:
            return self.namedServices[name]
        except KeyError:
            raise NoSuchService(self.path, name, self.namedServices) from None

    def checkService(self, service: Any) -> None:
        """
        Find out whether C{service} could be added, and change nothing.

        @raise TreeError: it could not.
        """
        if service.parent is not self:
            self._check(service)

    def _check(self, service: Any) -> None:
        if id(service) in self._children.places:
            raise AlreadyAChild(pathOf(service))
        name = service.name
        if name is not None:
            if name in self.namedServices:
                raise DuplicateName(self.path, name)
            if name == "":
                raise NameRefused(self.path)
        above: Any = self
        while above is not None:
            if above is service:
                raise CycleOfParents(_chain(self, service))
            above = getattr(above, "parent", None)

    def addService(self, service: Any) -> Any:
        """
        Add a child; called by C{setServiceParent} of the child.

        @return: where the start of the child is asynchronous and this container is
            up already, a Deferred that fires when the child is up; else L{None}. A
            child that fails to start is not a child any more.
        """
        children = self._children
        name = service.name
        if (
            id(service) in children.places
            or self.parent is not None
            or service is self
            or (name is not None and (name in self.namedServices or name == ""))
        ):
            # Something may be wrong; most adds are spared the closer look.
            self._check(service)
        if name is None:
            children.add(service, 0)
        else:
            self.namedServices[name] = service
            children.add(service, 1)
        if self.running:
            return self._startAdded(service)
        return None

    def removeService(self, service: Any) -> Any:
        """
        Remove a child; called by C{disownServiceParent} of the child.

        @return: a Deferred (or what the child's C{stopService} returned) if the
            child had to be stopped, else L{None}.
        @raise NotAChild: it is none (a C{ValueError}).
        """
        position = self._children.find(service)
        if position < 0:
            raise NotAChild(self.path, service)
        self._flushWalks()
        record = self._children.states[position]
        path = join(self.path, keyOf(self, service))
        self._drop(service, position)
        startup = self._startup
        starting = None if startup is None else startup.forget(service)
        try:
            return self._stopRemoved(service, path, record, starting)
        finally:
            if startup is not None:
                startup.check()

    def _stopRemoved(
        self, service: Any, path: str, record: int, starting: Deferred[Any] | None
    ) -> Any:
        stop = self._stops.get(id(service))
        if stop is not None:
            waiters = Waiters()
            stop.tell(lambda success, value: waiters.fire(value))
            return waiters.wait()
        if record not in TO_BE_STOPPED:
            return None
        result = service.stopService()
        stopping = asDeferred(result)
        if stopping is None:
            cancelPending(starting)
            self._announce(service, path, record, Record.STOPPED)
            return result

        def stopped(value: Any) -> Any:
            cancelPending(starting)
            self._announce(service, path, Record.STOPPING, Record.STOPPED)
            return value

        self._announce(service, path, record, Record.STOPPING)
        return stopping.addBoth(stopped)

    def _drop(self, service: Any, position: int) -> None:
        """
        Take a child out of the books.
        """
        if self._children.wasNamed(position):
            # It may have been renamed since, by assignment.
            name = service.name
            if self.namedServices.get(name) is not service:
                name = next(
                    key for key, value in self.namedServices.items() if value is service
                )
            del self.namedServices[name]
        self._children.discard(position)

    # The privileged phase.

    def privilegedStartService(self) -> None:
        root = self._findRoot()
        if root is None:
            drive(self._privileging())
        else:
            root.privileged(lambda: drive(self._privileging()))

    def _privileging(self) -> Calls:
        children = self._children
        done = 0
        walk = children.walk()
        try:
            # What is added on the way has its turn as well.
            while done < len(children.entries):
                position, done = done, done + 1
                service = children.entries[position]
                if service is NOTHING or children.states[position] in _UNDER_WAY:
                    continue
                if isInherited(service, "privilegedStartService"):
                    yield service._privileging()
                else:
                    self._privilege(service)
                if children.entries[position] is service:
                    children.states[position] = Record.PRIVILEGED
        except BaseException:
            walk.cut()
            yield self._undoing()
            raise
        walk.cut()

    def _privilege(self, service: Any) -> None:
        result = service.privilegedStartService()
        if result is not None:
            waiting = asDeferred(result)
            if waiting is not None:
                waiting.addErrback(lambda _: None)
                waiting.cancel()
                path = join(self.path, keyOf(self, service))
                raise PrivilegedPhaseIsSynchronous(path, result)

    # Starting.

    def startService(self) -> Any:
        """
        Start all children.

        @return: L{None} if all of them are up, else a Deferred that fires when they
            are. It fails with the error of the first child that does not come up,
            after the others have been stopped again (see C{keepGoing}).
        """
        root = self._findRoot()
        if root is None:
            return drive(self._starting())
        return root.start(lambda: drive(self._starting()))

    def _findRoot(self) -> Any:
        """
        @return: what does the duties of a root for us, if we are at the top and a
            runner that does not has started us.
        """
        if self._root is None and not isinstance(self.parent, TreeContainer):
            from svctree.tree.root import Root, isUnderTwistd

            if isUnderTwistd():
                self._root = Root(self)
        return self._root

    def _starting(self) -> Calls:
        if self._startup is not None:
            return self._startup.wait()
        if self._up:
            return None
        startup = self._startup = Startup(self)
        self._failures = ()
        self.running = 1
        self._become(State.STARTING)
        walk = self._children.walk()
        self._awaitStops(startup, walk)
        loud = self._isLoud()
        nested = self._children.nested
        while True:
            try:
                while (services := walk.more()) is not None:
                    if not (nested or loud):
                        for service in services:
                            result = service.startService()
                            if result is not None:
                                self._childReturned(startup, walk, service, result)
                    for service in services:
                        if nested and isinstance(service, TreeContainer):
                            result = yield from self._startNested(service)
                        else:
                            result = service.startService()
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
        if not loud and not startup.over:
            count = len(self._children)
            self._publish(events.ManyServices(path=self.path, count=count))
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

    def _awaitStops(self, startup: Startup, walk: Walk) -> None:
        """
        A child that is still stopping starts when it has stopped.
        """
        for stop in list(self._stops.values()):
            position = self._children.find(stop.service)
            if position >= 0:
                walk.skip(position)
                startup.watch(stop.service, self._startAfter(stop))

    def _startAfter(self, stop: ChildStop) -> Deferred[None]:
        started: Deferred[None] = Deferred()
        service = stop.service

        def stopped(success: bool, value: object) -> None:
            if started.called:
                # The start has been given up in the meantime.
                return
            if not self.running or self._children.find(service) < 0:
                started.callback(None)
                return
            try:
                result = asDeferred(service.startService())
            except BaseException:
                started.errback(Failure())
                return
            self._recordChild(service, Record.STARTING)
            if result is None:
                started.callback(None)
            else:
                result.chainDeferred(started)

        stop.tell(stopped)
        return started

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
            # It has removed itself, or stopped us, and is stopped already.
            starting.addErrback(self._lateFailure, service)
            cancelPending(starting)
        else:
            if not starting.called:
                self._tell(service, walk.record(), Record.STARTING)
            walk.mark(Record.STARTING)
            startup.watch(service, starting)

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
        self._become(State.FAILED, failure)
        yield self._undoing(startup)

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
            return
        for walk in list(self._children.walks):
            walk.cut()
        drive(self._giveUp(startup, service, failure))
        shutdown = self._shutdown
        if shutdown is None:
            self._startFailed(startup, failure)
        else:
            shutdown.wait().addBoth(lambda _: self._startFailed(startup, failure))

    def _startFailed(self, startup: Startup, failure: Failure) -> None:
        if not startup.fail(failure) and not self._isWatched():
            self._unheard(failure)

    def _noteFailure(self, service: Any, failure: Failure) -> None:
        path = join(self.path, keyOf(self, service))
        self._failures = (*self._failures, (path, failure))
        noteWhere(failure, path)

    def _startupDone(self) -> None:
        """
        Everything is up.
        """
        self._startup = None
        self._up = True
        self._become(State.RUNNING)
        if self._readiness is not None:
            self._readiness.look()

    def _childSettled(self, startup: Startup) -> None:
        """
        A child has come up; a container with an order starts what waited for it.
        """

    def _startAdded(self, service: Any) -> Any:
        """
        Start a child that was added while this container runs.
        """
        stop = self._stops.get(id(service))
        try:
            if stop is not None:
                result: object = self._startAfter(stop)
            else:
                self._privilege(service)
                result = service.startService()
        except BaseException:
            self._detach(service)
            raise
        position = self._children.find(service)
        if position < 0:
            return None
        starting = asDeferred(result)
        if starting is None:
            self._recordChild(service, Record.UP)
            return None
        if stop is None:
            self._recordChild(service, Record.STARTING)
        if self._startup is not None:
            self._startup.watch(service, starting)
            return None
        return self._watchAdded(service, starting)

    def _watchAdded(self, service: Any, starting: Deferred[Any]) -> Deferred[None]:
        added = Waiters()
        waiter = added.wait()

        def up(result: object) -> object:
            if self._recordOf(service) == Record.STARTING:
                self._recordChild(service, Record.UP)
            added.fire(None)
            return result

        def failed(failure: Failure) -> None:
            if self._recordOf(service) in (Record.STARTING, Record.STOPPING):
                path = join(self.path, keyOf(self, service))
                self._recordChild(service, Record.FAILED, failure)
                noteWhere(failure, path)
                self._detach(service)
                if service.parent is self:
                    service.parent = None
            if not added.fire(failure):
                self._unheard(failure)

        starting.addCallbacks(up, failed)
        return waiter

    def _detach(self, service: Any) -> None:
        position = self._children.find(service)
        if position >= 0:
            self._drop(service, position)

    def _expect(self, service: Any, leaving: Deferred[Any]) -> None:
        """
        C{service} is about to be added, and still stopping where it was.
        """
        stop = self._stops[id(service)] = ChildStop(service)
        stop.tell(lambda success, value: self._stops.pop(id(service), None))
        stop.follow(leaving)

    # Stopping.

    def stopService(self) -> Deferred[list[tuple[bool, Any]]]:
        """
        Stop all children that were started, or only privileged.

        @return: a Deferred that fires with C{(True, result)} for each, or fails
            with L{StopFailed} when all have stopped.
        """
        stopping: Deferred[list[tuple[bool, Any]]]
        if self._root is None:
            stopping = drive(self._stopping())
        else:
            stopping = self._root.stop(lambda: drive(self._stopping()))
        return stopping

    def _stopping(self) -> Calls:
        shutdown = self._shutdown
        idle = not self._up and self._startup is None
        if shutdown is not None and idle:
            return shutdown.wait()
        self._flushWalks()
        for walk in list(self._children.walks):
            walk.cut()
        startup, self._startup = self._startup, None
        self._up = False
        self.running = 0
        if idle and not self._hasWork():
            return succeed([])
        self._become(State.STOPPING)
        shutdown = self._shutdown = Shutdown(self, rollback=False)
        yield self._stopChildren(shutdown, startup)
        if startup is not None:
            startup.interrupt(self.path)
        return shutdown.walked()

    def _undoing(self, startup: Startup | None = None) -> Calls:
        """
        Stop what a failed start has left.
        """
        shutdown = self._shutdown = Shutdown(self, rollback=True)
        yield self._stopChildren(shutdown, startup)
        stopping = shutdown.walked()
        stopping.addErrback(self._unheard)

    def _stopChildren(self, shutdown: Shutdown, startup: Startup | None) -> Calls:
        """
        Call C{stopService} of each child that needs it, the last one first.
        """
        children = self._children
        here = self.path
        walk = children.walk()
        loud = self._isLoud()
        for position in range(len(children.entries) - 1, -1, -1):
            service = children.entries[position]
            if service is NOTHING:
                continue
            record = children.states[position]
            starting = None if startup is None else startup.forget(service)
            if record == Record.STOPPING:
                stop = self._stops.get(id(service))
                if stop is not None:
                    shutdown.waitFor(join(here, keyOf(self, service)), stop)
                cancelPending(starting)
            elif record in TO_BE_STOPPED:
                children.states[position] = Record.STOPPED
                try:
                    if isInherited(service, "stopService"):
                        result = yield service._stopping()
                    else:
                        result = service.stopService()
                except BaseException:
                    cancelPending(starting)
                    failure = Failure()
                    shutdown.raised(join(here, keyOf(self, service)), failure)
                    self._tell(service, record, Record.STOPPED, failure)
                    continue
                stopping = None if result is None else asDeferred(result)
                if stopping is None:
                    cancelPending(starting)
                    shutdown.stopped(result)
                    if loud:
                        self._tell(service, record, Record.STOPPED)
                else:
                    self._awaitStop(shutdown, service, record, stopping, starting)
        walk.cut()
        if not loud:
            self._publish(
                events.ManyServices(path=here, count=len(children), new=State.STOPPED)
            )

    def _awaitStop(
        self,
        shutdown: Shutdown,
        service: Any,
        record: int,
        stopping: Deferred[Any],
        starting: Deferred[Any] | None,
    ) -> None:
        path = join(self.path, keyOf(self, service))
        stop = ChildStop(service, starting)
        if not stopping.called or stopping.paused:
            self._stops[id(service)] = stop
            self._recordChild(service, Record.STOPPING, old=record)

            def stopped(success: bool, value: Any) -> None:
                if self._stops.get(id(service)) is stop:
                    del self._stops[id(service)]
                if self._children.find(service) >= 0:
                    reason = None if success else value
                    self._recordChild(service, Record.STOPPED, reason)

            stop.tell(stopped)
        shutdown.waitFor(path, stop)
        stop.follow(stopping)
        if stop.done and id(service) not in self._stops:
            self._tell(service, record, Record.STOPPED)

    def _shutdownDone(self, shutdown: Shutdown) -> None:
        if self._shutdown is shutdown:
            self._shutdown = None
            if not self._up and self._startup is None and not shutdown.rollback:
                self._become(State.STOPPED)

    def _hasWork(self) -> bool:
        if self._stops:
            return True
        return any(record in TO_BE_STOPPED for record in set(self._children.states))

    def _unheard(self, failure: Failure) -> None:
        """
        An error that has nobody to go to.
        """
        _log.failure(
            "{path}: {message}", failure, path=self.path, message=_say(failure)
        )

    def _clock(self) -> Any:
        if self.clock is None:
            from twisted.internet import reactor

            return reactor
        return self.clock

    def _callee(self, service: Any) -> Any:
        """
        @return: what to call for C{service}: itself, or its adapter.
        """
        return service

    def _replaceCallee(self, old: Any, new: Any) -> None:
        """
        C{new} takes the place of C{old}.
        """

    def _pendingStart(self, service: Any, result: object) -> Deferred[Any] | None:
        """
        @param result: what the C{startService} of C{service} returned.
        @return: what there is to wait for, if there is.
        """
        if result is None and isinstance(service, TreeContainer):
            # Its startService may forget to return what ours returned to it.
            joined: Deferred[Any] | None = service._joinStart()  # type: ignore[attr-defined]
            return joined
        return asDeferred(result)

    def _joinStart(self) -> Deferred[None] | None:
        """
        @return: a Deferred for the start that is under way, if one is.
        """
        return None if self._startup is None else self._startup.wait()

    def _setRecord(self, service: Any, record: int) -> None:
        position = self._children.find(service)
        if position >= 0:
            self._children.states[position] = record

    def _isWatched(self) -> bool:
        """
        @return: whether something above deals with our failures.
        """
        return self._root is not None

    def _down(self, failure: Failure | None) -> None:
        if failure is not None and not isinstance(self.parent, TreeContainer):
            # There is nobody above who could restart us.
            self.running = 0
            if self.onDown is not None:
                self.onDown(failure)
                return
        super()._down(failure)

    # Readiness.

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
            self._readiness.look()
        return waiter

    def probe(self) -> Any:
        """
        Override to have the container ready only when something of its own is: a
        Deferred or a coroutine is waited for, an error means "never".
        """

    def _readyAsks(self) -> list[Any]:
        """
        @return: what to call, to learn when the children are ready.
        """
        asks = []
        for service in self._children:
            ask = getattr(service, "whenReady", None)
            if ask is not None and self._isRequired(service):
                asks.append(ask)
        return asks

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

    # What the children tell.

    def childDown(self, service: Any, failure: Failure | None) -> None:
        """
        A child went down by itself; called by C{crashed} and C{finished}.

        A plain container takes it down in its books; a supervisor does something
        about it.

        @param failure: L{None} if its work is done.
        """
        self._flushWalks()
        record = self._recordOf(service)
        if record == Record.STARTING and failure is not None:
            startup = self._startup
            if startup is not None and startup.forget(service) is not None:
                self._childStartFailed(startup, service, failure)
                startup.check()
                return
        if failure is not None and failure.check(GoneDown, StopTree):
            # A supervisor gave up; what stands between it and the next one cannot
            # do without it.
            self._recordChild(service, Record.CRASHED, failure)
            self._down(failure)
            return
        if record in (Record.UP, Record.STARTING):
            down = Record.FINISHED if failure is None else Record.CRASHED
            reason: events.Reason = "finished" if failure is None else failure
            self._recordChild(service, down, reason)

    # States and events.

    @property
    def state(self) -> State:
        return self._state

    def stateOf(self, service: Any) -> State:
        """
        @return: the state of a child, as this container has it on record.
        """
        if isinstance(service, TreeContainer):
            return service._state  # type: ignore[attr-defined,no-any-return]
        self._flushWalks()
        return STATE_OF[self._recordOf(service)]

    @property
    def startFailures(self) -> tuple[tuple[str, Failure], ...]:
        """
        C{(path, Failure)} of each child that failed to start the last time.
        """
        return self._failures

    def subscribe(self, observer: events.Observer) -> Any:
        """
        Call C{observer} with every L{events.TreeEvent} from this container down.

        @return: a callable that ends the subscription.
        """
        self._observers = (*self._observers, observer)

        def unsubscribe() -> None:
            self._observers = tuple(
                known for known in self._observers if known is not observer
            )

        return unsubscribe

    def _flushWalks(self) -> None:
        for walk in self._children.walks:
            walk.flush()

    def _recordOf(self, service: Any) -> int:
        position = self._children.find(service)
        return Record.NEW if position < 0 else self._children.states[position]

    def _recordChild(
        self,
        service: Any,
        record: int,
        reason: events.Reason = None,
        old: int | None = None,
    ) -> None:
        position = self._children.find(service)
        if position >= 0:
            if old is None:
                old = self._children.states[position]
            self._children.states[position] = record
            self._tell(service, old, record, reason)

    def _tellUp(self, walk: Walk, service: Any) -> None:
        if service is not NOTHING and not walk.over:
            self._tell(service, walk.record(), Record.UP)

    def _tell(
        self, service: Any, old: int, new: int, reason: events.Reason = None
    ) -> None:
        """
        Publish the transition of a child. Containers of ours speak for themselves.
        """
        if not isinstance(service, TreeContainer):
            path = join(self.path, keyOf(self, service))
            self._announce(service, path, old, new, reason)

    def _announce(
        self,
        service: Any,
        path: str,
        old: int,
        new: int,
        reason: events.Reason = None,
    ) -> None:
        if isinstance(service, TreeContainer):
            return
        before, after = STATE_OF[old], STATE_OF[new]
        if before is not after:
            self._publish(events.transition(path, before, after, reason, service))

    def _become(self, state: State, reason: events.Reason = None) -> None:
        before, self._state = self._state, state
        self._reason = reason
        if self._readiness is not None and state in _NEVER_READY:
            failure = reason if isinstance(reason, Failure) else None
            self._endReadiness(failure or Failure(StartInterrupted(self.path)))
        if before is not state:
            event = events.transition(self.path, before, state, reason, self)
            self._publish(event)

    def _publish(self, event: events.TreeEvent) -> None:
        events.publish(self, event)

    def _isLoud(self) -> bool:
        """
        @return: whether every child's transition is published.
        """
        if len(self._children) <= MANY:
            return True
        above: Any = self
        while above is not None:
            if getattr(above, "_observers", None):
                return True
            above = above.parent
        return False

    # Persistence.

    def __getstate__(self) -> dict[str, Any]:
        """
        What Twisted's container would pickle, and our own settings.
        """
        state = super().__getstate__()
        for name in _VOLATILE:
            state.pop(name, None)
        state["services"] = list(state.pop("_children", ()))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        services = state.pop("services", [])
        self.__dict__.update(state)
        named = {id(service) for service in self.namedServices.values()}
        self._stops = {}
        self._children = Children()
        for service in services:
            self._children.add(service, int(id(service) in named))


_VOLATILE = (
    "_observers",
    "_readiness",
    "_reason",
    "_root",
    "_shutdown",
    "_startup",
    "_state",
    "_stops",
    "_up",
    "_failures",
    "clock",
    "onDown",
)

_NEVER_READY = (State.STOPPING, State.FAILED)

_UNDER_WAY = frozenset([Record.PRIVILEGED, Record.STARTING, Record.UP, Record.STOPPING])


def isInherited(service: Any, name: str) -> bool:
    """
    @return: whether C{service} is a container whose method C{name} is the one of
        L{MultiService}, so that the walk can enter it without a call.
    """
    if not isinstance(service, TreeContainer):
        return False
    method = getattr(getattr(service, name), "__func__", None)
    return method is getattr(MultiService, name)


def _chain(container: Any, service: Any) -> list[str]:
    """
    @return: the cycle there would be if C{service} were a child of C{container},
        from the top.
    """
    chain = [container]
    while chain[-1] is not service:
        chain.append(chain[-1].parent)
    names = [str(each.name or f"<{type(each).__name__}>") for each in chain]
    return [*reversed(names), names[-1]]


def noteWhere(failure: Failure, path: str) -> None:
    """
    Leave the path of the service that failed with the error; the innermost wins.
    """
    error = failure.value
    if getattr(error, "servicePath", None) is None:
        try:
            error.servicePath = path  # type: ignore[union-attr]
        except AttributeError:
            # An exception with slots has no room for it.
            return


def _say(failure: Failure) -> str:
    return events.sayReason(failure)


__all__ = ["MANY", "MultiService", "isInherited", "noteWhere"]
