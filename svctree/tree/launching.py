"""
How a supervisor starts one child, within its time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from svctree.tree.books import noteWhere
from svctree.tree.bounds import Bound
from svctree.tree.child import Child
from svctree.tree.errors import Ignore, StartTimedOut
from svctree.tree.results import isPending
from svctree.tree.states import Record

if TYPE_CHECKING:
    from svctree.tree.supervisor import Supervisor


class Launching:
    """
    The layer of a supervisor's mechanics that starts children.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

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
        if supervisor._recordOf(service) != Record.STARTING:
            supervisor._startInVain(service, starting)
            return None
        if starting is None:
            self._up(child, before)
            return None
        pending = isPending(starting)
        started = self._wait(child, starting, Record.STARTING if pending else before)
        if pending:
            supervisor._tell(service, before, Record.STARTING)
        return started

    def _wait(
        self, child: Child, starting: Deferred[Any], before: int
    ) -> Deferred[None]:
        supervisor = self._supervisor
        started: Deferred[None] = Deferred()
        child.starting = starting
        late = False

        def up(result: object) -> object:
            if not late:
                try:
                    if self._isOver(child, starting):
                        self._up(child, before)
                except BaseException:
                    started.errback(Failure())
                else:
                    started.callback(None)
            return result

        def failed(failure: Failure) -> None:
            if late:
                return
            ours = self._isOver(child, starting)
            if failure.check(Ignore):
                child.ignored = True
                supervisor._recordChild(child.service, Record.STOPPED, "ignored")
                started.callback(None)
                return
            if ours:
                self._failed(child, failure, before)
            started.errback(failure)

        def expired() -> None:
            nonlocal late
            if child.starting is not starting:
                # It has been told to stop meanwhile, which ends its start.
                return
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

    def _isOver(self, child: Child, starting: Deferred[Any]) -> bool:
        """
        @return: whether it is the present start of C{child} that is over, and not one
            that has been given up.
        """
        if child.starting is not starting:
            return False
        child.starting = None
        return self._supervisor._recordOf(child.service) == Record.STARTING

    def _up(self, child: Child, before: int) -> None:
        """
        @raise Exception: it went down again before it was up.
        """
        supervisor, service = self._supervisor, child.service
        fell, child.fell = child.fell, None
        if fell is not None and fell[0] is not None:
            # It had come up far enough to say so: it has something to clear up.
            noteWhere(fell[0], supervisor._pathOf(child))
            supervisor._recordChild(service, Record.CRASHED, fell[0], old=before)
            self.end(child)
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

    def end(self, child: Child) -> Deferred[Any]:
        """
        Stop a child if there is anything to stop.
        """
        raise NotImplementedError


__all__ = ["Launching"]
