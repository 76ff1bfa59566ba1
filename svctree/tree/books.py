"""
What a container knows of its children, and how it says so.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from svctree.tree import audience, events
from svctree.tree.adapters import Adapter, adapterFor
from svctree.tree.children import Children
from svctree.tree.errors import StartInterrupted
from svctree.tree.leaf import Service
from svctree.tree.order import Order
from svctree.tree.paths import join, keyOf
from svctree.tree.register import TreeContainer
from svctree.tree.results import asDeferred
from svctree.tree.shutdown import ChildStop, Shutdown
from svctree.tree.startup import Startup
from svctree.tree.states import STATE_OF, TO_BE_STOPPED, Record, State
from svctree.tree.walk import NOTHING, Walk

_log = Logger()

MANY = 100
"""
Before logging has begun, Twisted keeps what is logged for whoever begins it. With
more children than this, a container does not fill that memory with them.
"""

Calls = Generator[Any, Any, Any]


class Books(Service, TreeContainer):
    """
    The lowest layer of containers: the children, their records and their events.
    """

    keepGoing = False
    clock: Any = None
    onDown: Callable[[Failure], object] | None = None

    # Most containers never need these.
    _state = State.NEW
    _up = False
    _startup: Startup | None = None
    _shutdown: Shutdown | None = None
    _observers: tuple[audience.Observer, ...] = ()
    _reason: events.Reason = None
    _path: tuple[int, str] | None = None
    _root: Any = None
    _failures: tuple[tuple[str, Failure], ...] = ()
    _order: Order | None = None
    _supervises = False

    def __init__(self, *, keepGoing: bool | None = None) -> None:
        self._children = Children()
        self.namedServices: dict[str, Any] = {}
        self._adapters: dict[int, Adapter] = {}
        self._stops: dict[int, ChildStop] = {}
        self.parent = None
        if keepGoing is not None:
            self.keepGoing = keepGoing

    def settings(self) -> Mapping[str, object]:
        """
        @return: the keywords that make a container like this one.
        """
        return {"keepGoing": self.keepGoing} if "keepGoing" in vars(self) else {}

    # The children.

    @property  # type: ignore[override]
    def services(self) -> Children:
        return self._children

    @services.setter
    def services(self, services: Iterable[Any]) -> None:
        self._children = Children(services)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._children)

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
        if self._adapters:
            self._unadapt(service)
        if self._order is not None:
            self._order.forget(service)
        self._children.discard(position)

    def _detach(self, service: Any) -> None:
        position = self._children.find(service)
        if position >= 0:
            self._drop(service, position)
        self._letGo(service)

    def _letGo(self, service: Any) -> None:
        """
        Services of Twisted's take their parent before they ask it.
        """
        if service.parent is self and self._children.find(service) < 0:
            service.parent = None

    def _adapt(self, service: Any) -> None:
        """
        Have a service of Twisted's called through its adapter.
        """
        kind = adapterFor(type(service))
        if kind is not None:

            def report(failure: Failure | None) -> None:
                if self._supervises:
                    self.childDown(service, failure)
                else:
                    # Where nothing supervises them, they fail as in Twisted.
                    self._noteDown(service, failure)

            def later(call: Callable[[], object]) -> None:
                self._clock().callLater(0, call)

            adapter = kind(service, report, self._supervises, later)
            self._adapters[id(service)] = adapter

    def _unadapt(self, service: Any) -> None:
        self._adapters.pop(id(service), None)

    def _callee(self, service: Any) -> Any:
        """
        @return: what to call for C{service}: itself, or its adapter.
        """
        adapters = self._adapters
        return adapters.get(id(service), service) if adapters else service

    def childDown(self, service: Any, failure: Failure | None) -> None:
        """
        A child went down by itself; called by C{crashed}, C{finished}, and adapters.

        @param failure: L{None} if its work is done.
        """
        raise NotImplementedError

    def _notUpYet(self, service: Any, record: int, failure: Failure | None) -> None:
        """
        A child said that it went down; if it was not even started, nobody else hears
        of it.
        """
        if failure is not None and record in (Record.NEW, Record.PRIVILEGED):
            noteWhere(failure, path := join(self.path, keyOf(self, service)))
            _log.failure("{path}: crashed before it was started", failure, path=path)

    def _noteDown(self, service: Any, failure: Failure | None) -> bool:
        """
        Take down in the books that a child went down, and do nothing about it.
        """
        raise NotImplementedError

    # Records.

    def _flushWalks(self) -> None:
        for walk in self._children.walks:
            walk.flush()

    def _cutWalks(self) -> None:
        for walk in list(self._children.walks):
            walk.cut()

    def _recordOf(self, service: Any) -> int:
        position = self._children.find(service)
        return Record.NEW if position < 0 else self._children.states[position]

    def _setRecord(self, service: Any, record: int) -> None:
        position = self._children.find(service)
        if position >= 0:
            self._children.states[position] = record

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
            self._children.note(position, record)
            self._tell(service, old, record, reason)

    def _noteFailure(self, service: Any, failure: Failure) -> None:
        path = join(self.path, keyOf(self, service))
        self._failures = (*self._failures, (path, failure))
        noteWhere(failure, path)

    def _hasWork(self) -> bool:
        if self._stops:
            return True
        return any(record in TO_BE_STOPPED for record in set(self._children.states))

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

    def subscribe(self, observer: audience.Observer) -> Any:
        """
        Call C{observer} with every L{events.TreeEvent} from this container down.

        @return: a callable that ends the subscription.
        """
        self._observers = (*self._observers, observer)
        audience.subscriptions.number += 1

        def unsubscribe() -> None:
            if observer in self._observers:
                self._observers = tuple(
                    known for known in self._observers if known is not observer
                )
                audience.subscriptions.number -= 1

        return unsubscribe

    def _tellUp(self, walk: Walk, service: Any) -> None:
        if service is not NOTHING and not walk.over and not walk.isKept():
            self._tell(service, walk.record(), Record.UP)

    def _tell(
        self, service: Any, old: int, new: int, reason: events.Reason = None
    ) -> None:
        """
        Publish the transition of a child, if somebody wants to know. Containers of
        ours speak for themselves.
        """
        if isinstance(service, TreeContainer):
            return
        if new in _BAD or self._isLoud():
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
        before, after = STATE_OF[old], STATE_OF[new]
        if before is not after:
            self._publish(events.transition(path, before, after, reason, service))

    def _become(self, state: State, reason: events.Reason = None) -> None:
        before, self._state = self._state, state
        self._reason = reason
        if state in _NEVER_READY:
            failure = reason if isinstance(reason, Failure) else None
            self._endReadiness(failure or Failure(StartInterrupted(self.path)))
        if before is state:
            return
        if state is State.FAILED or audience.listens(self):
            event = events.transition(self.path, before, state, reason, self)
            self._publish(event)

    def _publish(self, event: events.TreeEvent) -> None:
        audience.publish(self, event)

    def _isLoud(self) -> bool:
        """
        @return: whether somebody wants to know of transitions of the children that
            are no failures; these are told in any case.
        """
        return audience.listens(self, len(self._children.entries) <= MANY)

    def _unheard(self, failure: Failure) -> None:
        """
        An error that has nobody to go to.
        """
        _log.failure(
            "{path}: {message}",
            failure,
            path=self.path,
            message=events.sayReason(failure),
        )

    def _isWatched(self) -> bool:
        """
        @return: whether something above deals with our failures.
        """
        return self._root is not None

    def _clock(self) -> Any:
        if self.clock is None:
            from twisted.internet import reactor

            return reactor
        return self.clock

    def _endReadiness(self, failure: Failure) -> None:
        """
        The container is not going to be ready, because of C{failure}.
        """


_BAD = (Record.FAILED, Record.CRASHED)
_NEVER_READY = (State.STOPPING, State.FAILED)


def inWalk(method: Any) -> Any:
    """
    Mark a method that walks over nested containers instead of calling them.
    """
    method.isInWalk = True
    return method


def isInherited(service: Any, name: str) -> bool:
    """
    @return: whether C{service} is a container whose method C{name} nobody has
        overridden, so that a walk can enter it without a call.
    """
    return isinstance(service, TreeContainer) and getattr(
        getattr(service, name), "isInWalk", False
    )


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


__all__ = ["MANY", "Books", "Calls", "inWalk", "isInherited", "noteWhere"]
