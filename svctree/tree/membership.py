"""
Who is a child: adding, removing and moving.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.application.service import IServiceCollection
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from svctree.tree.adapters import plain
from svctree.tree.books import noteWhere
from svctree.tree.bounds import Bound
from svctree.tree.errors import (
    AlreadyAChild,
    CycleOfParents,
    DuplicateName,
    NameRefused,
    NoSuchService,
    NotAChild,
    TreeError,
)
from svctree.tree.order import Order
from svctree.tree.paths import epoch, join, keyOf, pathOf
from svctree.tree.register import TreeContainer
from svctree.tree.results import Waiters, asDeferred, isPending
from svctree.tree.shutdown import ChildStop, cancelPending, howToStop, leaves, leaving
from svctree.tree.spec import checkKnown, namesOf
from svctree.tree.starting import Starting
from svctree.tree.states import TO_BE_STOPPED, Record


class Membership(Starting):
    """
    The layer of containers that children join and leave.
    """

    def setServiceParent(self, parent: Any) -> Any:
        # A container may be about to come below itself.
        return self._move(IServiceCollection(parent, parent))

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
        # First of all: in a cycle there are no paths to tell of.
        above: Any = self
        while above is not None:
            if above is service:
                raise CycleOfParents(_chain(self, service))
            above = getattr(above, "parent", None)
        if self._children.find(service) >= 0:
            raise AlreadyAChild(pathOf(service))
        name = service.name
        if name is not None:
            if name in self.namedServices:
                raise DuplicateName(self.path, name)
            if name == "":
                raise NameRefused(self.path)

    def addService(self, service: Any) -> Any:
        """
        Add a child; called by C{setServiceParent} of the child. A child that has no
        parent yet gets this one.

        @return: where the start of the child is asynchronous and this container is
            up already, a Deferred that fires when the child is up; else L{None}. A
            child that fails to start is not a child any more.
        """
        children, named, name = self._children, self.namedServices, service.name
        # Written for speed: what most services are takes 0.6 microseconds here, and
        # 0.9 below.
        if (
            type(service) in plain
            and service.parent is self
            and service._position < 0
            and name not in named
            and (name or name is None)
            and not leaving
            and not children.strangers
        ):
            service._position = len(children.entries)
            children.enter(service, name is not None)
            if name is not None:
                named[name] = service
        else:
            self._takeIn(service, name)
        return self._startAdded(service) if self.running else None

    def _takeIn(self, service: Any, name: str | None) -> None:
        """
        Add a child of any kind.
        """
        owner = service.parent
        epoch.end()
        try:
            if _isElsewhere(service, self):
                raise AlreadyAChild(pathOf(service))
            self._check(service)
        except TreeError:
            self._letGo(service)
            raise
        self._children.add(service, name is not None)
        if name is not None:
            self.namedServices[name] = service
        if owner is None:
            service.parent = self
        self._adapt(service)
        if id(service) in leaving:
            stop = self._stops[id(service)] = leaving[id(service)]
            stop.tell(lambda *_: self._stops.pop(id(service), None))

    def place(self, service: Any, **placement: Any) -> Any:
        """
        Add a child with options of its own. Here these are the two below; those of a
        supervisor are in L{ChildSpec<svctree.tree.spec.ChildSpec>}.

        @param after: names of siblings that have to be up, or to have failed, before.
        @param requires: names of siblings that have to be up before; where one is not
            there or fails, this child fails as well.
        @return: what C{setServiceParent} returns.
        @raise DependencyCycle: the siblings would wait for each other.
        @raise TreeError: C{service} is refused for another reason, or an option is.
        """
        self._check(service)
        path = join(self.path, str(service.name or f"<{type(service).__name__}>"))
        self._enrol(path, service, placement)
        try:
            return service.setServiceParent(self)
        except BaseException:
            if self._children.find(service) < 0:
                self._unplace(service)
            raise

    def _enrol(self, path: str, service: Any, placement: dict[str, Any]) -> None:
        """
        Take down how a service is placed that is about to be a child at C{path}.
        """
        checkKnown(path, placement, ("after", "requires"))
        needs = {name: namesOf(path, name, placement[name]) for name in placement}
        if self._order is None:
            self._order = Order(self._findNamed)
        self._order.add(path, service, **needs)

    def _unplace(self, service: Any) -> None:
        """
        Forget that.
        """
        if self._order is not None:
            self._order.forget(service)

    def placementOf(self, service: Any) -> dict[str, object]:
        """
        @return: the keywords that C{service} was placed with.
        """
        if self._order is None:
            return {}
        needs = self._order.of(service)
        found = {"after": needs.after, "requires": needs.requires}
        return {keyword: names for keyword, names in found.items() if names}

    def _findNamed(self, name: str) -> Any:
        return self.namedServices.get(name)

    def _startAdded(self, service: Any) -> Any:
        """
        Start a child that was added while this container runs.
        """
        if self._stops and id(service) in self._stops:
            return self._startReturned(service, self._stops[id(service)])
        children = self._children
        # It is the last one; afterwards it may be anywhere.
        children.states[-1] = Record.STARTING
        callee = self._callee(service) if self._adapters else service
        try:
            waiting = callee.privilegedStartService()
            if waiting is not None:
                self._refuseToWait(service, waiting)
            isLast = children.entries and children.entries[-1] is service
            record = children.states[-1] if isLast else self._recordOf(service)
            if record != Record.STARTING:
                # It has left, or had us stopped.
                return None
            result = callee.startService()
        except BaseException:
            self._detach(service)
            raise
        starting = None if result is None else asDeferred(result)
        position = len(children.entries) - 1
        if position < 0 or children.entries[position] is not service:
            position = children.find(service)
        if position < 0 or children.states[position] != Record.STARTING:
            self._startInVain(service, starting)
            return None
        now = Record.UP if starting is None else Record.STARTING
        children.states[position] = now
        if children.walks:
            children.note(position, now)
        added = None if starting is None else self._awaitAdded(service, starting)
        if self._isLoud():
            self._tell(service, Record.NEW, now)
        return added

    def _startReturned(self, service: Any, stop: ChildStop) -> Any:
        """
        Start a child that was added, and has not stopped where it was before.
        """
        stop.privileged = True
        return self._awaitAdded(service, self._startAfter(stop))

    def _awaitAdded(self, service: Any, starting: Deferred[Any]) -> Any:
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
            record = self._recordOf(service)
            if record in (Record.STARTING, Record.STOPPING, Record.FAILED):
                path = join(self.path, keyOf(self, service))
                if record != Record.FAILED:
                    self._recordChild(service, Record.FAILED, failure)
                noteWhere(failure, path)
                self._detach(service)
            if not added.fire(failure):
                self._unheard(failure)

        starting.addCallbacks(up, failed)
        return waiter

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
        if type(service) not in plain:
            epoch.end()
        self._flushWalks()
        record = self._children.states[position]
        if record in TO_BE_STOPPED or self._stops or self._startup is not None:
            return self._removeStarted(service, position, record)
        self._drop(service, position)
        return None

    def _removeStarted(self, service: Any, position: int, record: int) -> Any:
        """
        Remove a child that may have to be stopped.
        """
        timeout = self._stopTimeoutOf(service)
        # Only needed if somebody is going to be told.
        needed = timeout is not None or self._isLoud()
        path = join(self.path, keyOf(self, service)) if needed else None
        callee = self._callee(service)
        callStop = callee.stopService
        if timeout is not None:
            callStop = howToStop(service, callee, timeout)
        startup = self._startup
        starting = self._forgetStart(service)
        self._drop(service, position)
        try:
            return self._stopRemoved(service, callStop, timeout, path, record, starting)
        finally:
            if startup is not None:
                startup.check()

    def _forgetStart(self, service: Any) -> Deferred[Any] | None:
        """
        @return: the pending start of a child that is being removed, which nobody here
            waits for any longer.
        """
        return None if self._startup is None else self._startup.forget(service)

    def _stopTimeoutOf(self, service: Any) -> float | None:
        """
        @return: the seconds that a child has for its stop.
        """
        return None

    def _leaveBehind(self, path: str, stop: ChildStop, timeout: float) -> None:
        raise NotImplementedError

    def _stopRemoved(
        self,
        service: Any,
        callStop: Callable[[], Any],
        timeout: float | None,
        path: str | None,
        record: int,
        starting: Deferred[Any] | None,
    ) -> Any:
        def tell(old: int, new: int) -> None:
            if path is not None and not isinstance(service, TreeContainer):
                self._announce(service, path, old, new)

        stop = self._stops.pop(id(service), None)
        if stop is None:
            if record not in TO_BE_STOPPED:
                return None
            try:
                result = callStop()
            except BaseException:
                cancelPending(starting)
                raise
            stopping = asDeferred(result)
            if stopping is None or not isPending(stopping):
                cancelPending(starting)
                tell(record, Record.STOPPED)
                return result if stopping is None else stopping
            tell(record, Record.STOPPING)
            stop = ChildStop(service, starting)
            if timeout is not None and path is not None:
                overdue = partial(self._leaveBehind, path, stop, timeout)
                Bound(stopping, self._clock(), timeout, overdue)
            stop.follow(stopping)
        # Whatever start waited for this stop is off.
        cancelPending(stop.restart)
        leaves(service, stop)
        gone = Waiters()
        waiter = gone.wait()

        def stopped(success: bool, value: Any) -> None:
            tell(Record.STOPPING, Record.STOPPED)
            if not gone.fire(value) and isinstance(value, Failure):
                self._unheard(value)

        stop.tell(stopped)
        return waiter


def _isElsewhere(service: Any, container: Any) -> bool:
    """
    @return: whether C{service} is a child of another container of ours.
    """
    parent = service.parent
    return (
        parent is not container
        and isinstance(parent, TreeContainer)
        and service in parent.services  # type: ignore[attr-defined]
    )


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


__all__ = ["Membership"]
