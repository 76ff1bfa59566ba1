"""
How a plain container stops: all calls go out at once, the last child first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from svctree.tree.books import Calls, inWalk, isInherited
from svctree.tree.paths import join, keyOf
from svctree.tree.readiness import Readied
from svctree.tree.results import asDeferred, drive, isPending
from svctree.tree.shutdown import ChildStop, Shutdown, cancelPending
from svctree.tree.startup import Startup
from svctree.tree.states import TO_BE_STOPPED, Record, State
from svctree.tree.walk import NOTHING


class Stopping(Readied):
    """
    The layer of containers that stops.
    """

    @inWalk
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
            shutdown.interrupt(self.path)
            return shutdown.wait()
        self._flushWalks()
        self._cutWalks()
        startup, self._startup = self._startup, None
        self._up = False
        self.running = 0
        if idle and not self._hasWork():
            return succeed([])
        shutdown = self._shutdown = Shutdown(self, rollback=False)
        self._become(State.STOPPING)
        yield self._stopChildren(shutdown, startup)
        if startup is not None:
            startup.interrupt(self.path)
        return shutdown.walked()

    def _undoing(
        self, startup: Startup | None = None, failure: Failure | None = None
    ) -> Calls:
        """
        Stop what a failed start has left.
        """
        shutdown = self._shutdown = Shutdown(self, rollback=True)
        if failure is not None:
            self._become(State.FAILED, failure)
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
        for position in self._stopOrder():
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
                        result = self._callee(service).stopService()
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

    def _stopOrder(self) -> Iterable[int]:
        """
        @return: the positions of the children, the last one to start first.
        """
        children = self._children
        if not self._order:
            return range(len(children.entries) - 1, -1, -1)
        ordered = self._order.sorted(list(children))
        return [children.find(service) for service in reversed(ordered)]

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
        if isPending(stopping):
            self._stops[id(service)] = stop

            def stopped(success: bool, value: Any) -> None:
                if self._stops.get(id(service)) is stop:
                    del self._stops[id(service)]
                if self._children.find(service) >= 0:
                    reason = None if success else value
                    self._recordChild(service, Record.STOPPED, reason)

            # Before anybody else wants to know, such as who hears of this.
            stop.tell(stopped)
            self._recordChild(service, Record.STOPPING, old=record)
        shutdown.waitFor(path, stop)
        stop.follow(stopping)
        if stop.done and id(service) not in self._stops:
            self._tell(service, record, Record.STOPPED)

    def _shutdownDone(self, shutdown: Shutdown) -> None:
        if self._shutdown is shutdown:
            self._shutdown = None
            if not self._up and self._startup is None and not shutdown.rollback:
                self._become(State.STOPPED)


__all__ = ["Stopping"]
