"""
The privileged phase: synchronous, depth first, in the order of adding.
"""

from __future__ import annotations

from typing import Any

from svctree.tree.books import Calls, inWalk, isInherited
from svctree.tree.errors import PrivilegedPhaseIsSynchronous
from svctree.tree.paths import join, keyOf
from svctree.tree.results import asDeferred, drive
from svctree.tree.states import Record
from svctree.tree.stopping import Stopping
from svctree.tree.walk import NOTHING


class Privileged(Stopping):
    """
    The layer of containers that has a privileged phase.
    """

    @inWalk
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
            while done < len(children.entries) and not walk.over:
                position, done = done, done + 1
                service = children.entries[position]
                if service is NOTHING or children.states[position] in _UNDER_WAY:
                    continue
                if id(service) in self._stops:
                    # It cannot wait, and the child must not be called before.
                    self._stops[id(service)].privileged = True
                    continue
                before = children.states[position]
                # It may have us stopped in the middle, and is to be stopped then.
                children.states[position] = Record.PRIVILEGED
                if isInherited(service, "privilegedStartService"):
                    yield service._privileging()
                else:
                    self._privilege(service)
        except BaseException:
            if not walk.over:
                children.states[position] = before
                walk.cut()
                yield self._undoing()
            raise
        walk.cut()

    def _privilegeAlone(self, service: Any) -> bool:
        """
        Have the privileged phase of one child.

        @return: whether it is still there to be started.
        """
        before = self._recordOf(service)
        self._setRecord(service, Record.PRIVILEGED)
        try:
            self._privilege(service)
        finally:
            stays = self._recordOf(service) == Record.PRIVILEGED
            if stays:
                self._setRecord(service, before)
        return stays

    def _privilege(self, service: Any) -> None:
        result = self._callee(service).privilegedStartService()
        if result is not None:
            self._refuseToWait(service, result)

    def _refuseToWait(self, service: Any, result: object) -> None:
        """
        @raise PrivilegedPhaseIsSynchronous: C{result} is something to wait for.
        """
        waiting = asDeferred(result)
        if waiting is not None:
            waiting.addErrback(lambda _: None)
            waiting.cancel()
            path = join(self.path, keyOf(self, service))
            raise PrivilegedPhaseIsSynchronous(path, result)

    def _findRoot(self) -> Any:
        """
        @return: what does the duties of a root for this container, if it has them.
        """
        return None


_UNDER_WAY = frozenset([Record.PRIVILEGED, Record.STARTING, Record.UP, Record.STOPPING])

__all__ = ["Privileged"]
