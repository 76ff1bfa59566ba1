"""
The plain container: starts its children all at once, and knows what became of each.

What it keeps from Twisted's, in the words of users: every child is called in the
order in which it was added, before C{startService} returns; nobody waits for a
sibling; C{running} is true before the children start and false before they stop.
What it adds: it waits for asynchronous children as a whole, undoes a start that
fails, and never stops what it has not started.
"""

from __future__ import annotations

from typing import Any

from twisted.application import service as _twisted
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from svctree.interfaces import IPlacing
from svctree.tree.books import noteWhere
from svctree.tree.children import Children
from svctree.tree.errors import Shutdown as GoneDown
from svctree.tree.errors import StopTree
from svctree.tree.introspection import Introspection
from svctree.tree.order import Order
from svctree.tree.paths import join, keyOf
from svctree.tree.register import TreeContainer
from svctree.tree.results import drive
from svctree.tree.shutdown import cancelPending
from svctree.tree.states import Record

_log = Logger()


@implementer(_twisted.IServiceCollection, IPlacing)
class MultiService(Introspection, _twisted.MultiService):  # type: ignore[misc]
    """
    A service that is made of others.

    @ivar services: the children, list-like.
    @ivar namedServices: the named ones by name.
    @ivar keepGoing: whether the others stay up when a child fails to start, or goes
        down with an error later; else (the default) they are stopped again and the
        start fails, or the error goes up the tree.
    @ivar onDown: of the topmost container: called with the L{Failure} when it is
        down because something in it failed or gave up. The runner sets it.
    """

    def _beforeStart(self) -> None:
        if self._children.nested and not isinstance(self.parent, TreeContainer):
            product = _restartProduct(self)
            if product > _MANY_RESTARTS:
                _log.warn(
                    "{path}: nested supervisors allow {product} restarts before the "
                    "topmost gives up",
                    path=self.path,
                    product=product,
                )

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

    def _down(self, failure: Failure | None) -> None:
        if failure is not None and not isinstance(self.parent, TreeContainer):
            # There is nobody above who could restart us.
            self.running = 0
            if self.onDown is not None:
                self.onDown(failure)
                return
        super()._down(failure)

    def childDown(self, service: Any, failure: Failure | None) -> None:
        """
        A child went down by itself; called by C{crashed} and C{finished}.

        A plain container takes it down in its books. An error goes on to whoever can
        do something about it: the next supervisor above, or the runner, which ends
        the process; not from a container that keeps going without what fails. A
        supervisor does something about it.

        @param failure: L{None} if its work is done.
        """
        if failure is None:
            self._noteDown(service, None)
        elif failure.check(GoneDown, StopTree):
            # A supervisor gave up; what stands between it and the next one cannot
            # do without it.
            if not self._failsToStart(service, failure):
                self._recordChild(service, Record.CRASHED, failure)
                self._downWith(service, failure)
        elif self._noteDown(service, failure) and self._isAnsweredFor():
            noteWhere(failure, join(self.path, keyOf(self, service)))
            self._downWith(service, failure)

    def _downWith(self, service: Any, failure: Failure) -> None:
        """
        Go down because a child did; or, while the others still start, fail to start.
        """
        startup = self._startup
        if startup is None:
            self._down(failure)
            return
        self._cutWalks()
        drive(self._giveUp(startup, service, failure))
        self._startFailedLater(startup, failure)

    def _failsToStart(self, service: Any, failure: Failure) -> bool:
        """
        @return: whether C{service} was starting, so that its start has failed now.
        """
        self._flushWalks()
        startup = self._startup
        if startup is None or self._recordOf(service) != Record.STARTING:
            return False
        starting = startup.forget(service)
        if starting is None:
            return False
        # Whatever it still does to come up, it is down.
        cancelPending(starting)
        self._childStartFailed(startup, service, failure)
        startup.check()
        return True

    def _noteDown(self, service: Any, failure: Failure | None) -> bool:
        """
        @return: whether C{service} was up until now.
        """
        if failure is not None and self._failsToStart(service, failure):
            return False
        self._flushWalks()
        record = self._recordOf(service)
        if record not in (Record.UP, Record.STARTING):
            self._notUpYet(service, record, failure)
            return False
        down = Record.FINISHED if failure is None else Record.CRASHED
        self._recordChild(service, down, "finished" if failure is None else failure)
        return True

    def _isAnsweredFor(self) -> bool:
        """
        @return: whether somebody decides what happens when a child of ours fails.
        """
        above: Any = self
        while not above._supervises:
            if above.keepGoing:
                return False
            if not isinstance(above.parent, TreeContainer):
                return above.onDown is not None
            above = above.parent
        return True

    def __getstate__(self) -> dict[str, Any]:
        """
        What Twisted's container would pickle, and our own settings.
        """
        state = super().__getstate__()
        for name in _VOLATILE:
            state.pop(name, None)
        needs = [(child, self.placementOf(child)) for child in self._children]
        if any(placement for _, placement in needs):
            state["_placed"] = [placement for _, placement in needs]
        state["services"] = list(state.pop("_children", ()))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        services = state.pop("services", [])
        placed = state.pop("_placed", None)
        self.__dict__.update(state)
        named = {id(service) for service in self.namedServices.values()}
        self._stops = {}
        self._adapters = {}
        self._children = Children()
        for service in services:
            self._children.add(service, id(service) in named)
            self._adapt(service)
        if placed is not None:
            self._order = Order(self._findNamed)
            for service, needs in zip(self._children, placed, strict=True):
                self._order.add("/", service, **needs)


_VOLATILE = (
    "_adapters",
    "_failures",
    "_observers",
    "_order",
    "_path",
    "_readiness",
    "_reason",
    "_root",
    "_shutdown",
    "_startup",
    "_state",
    "_stops",
    "_up",
    "clock",
    "onDown",
)

_MANY_RESTARTS = 100


def _restartProduct(top: Any) -> int:
    """
    Nested supervisors multiply their restarts: each restart of the outer one lets the
    inner one begin anew.

    @return: the largest product on the way from the top to any supervisor.
    """
    largest = 1
    waiting = [(top, 1)]
    while waiting:
        container, product = waiting.pop()
        product *= max(1, getattr(container, "maxRestarts", 1))
        largest = max(largest, product)
        if container._children.nested:
            waiting += [
                (service, product)
                for service in container
                if isinstance(service, TreeContainer)
            ]
    return largest


__all__ = ["MultiService"]
