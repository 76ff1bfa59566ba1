"""
Supervisors of many children of one kind: added as needed, or a fixed number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

from svctree.interfaces import IComposite
from svctree.tree.child import Child
from svctree.tree.errors import TooManyChildren, UnknownOption
from svctree.tree.results import isPending
from svctree.tree.shutdown import Shutdown
from svctree.tree.spec import Strategy, checkNumber
from svctree.tree.supervision import Supervision
from svctree.tree.supervisor import Supervisor


class DynamicSupervision(Supervision):
    """
    Nobody waits for a sibling; a stop of all has one timer for all.
    """

    _overdue: list[Callable[[], None]] | None = None

    def levels(self) -> list[list[Child]]:
        supervisor = self._supervisor
        level = [supervisor._child(service) for service in supervisor._children]
        return [level] if level else []

    def _bound(
        self, stopping: Deferred[Any], child: Child, overdue: Callable[[], None]
    ) -> None:
        if self._overdue is None:
            super()._bound(stopping, child, overdue)
        else:
            self._overdue.append(lambda: overdue() if isPending(stopping) else None)

    async def _bringDown(self, shutdown: Shutdown) -> None:
        supervisor = self._supervisor
        timeout = supervisor.defaultSpec.stopTimeout
        overdue = self._overdue = []
        timer: IDelayedCall | None = None

        def expired() -> None:
            for each in overdue:
                each()

        if timeout is not None:
            timer = supervisor._clock().callLater(timeout, expired)
        try:
            await super()._bringDown(shutdown)
        finally:
            self._overdue = None
            if timer is not None and timer.active():
                timer.cancel()


class DynamicSupervisor(Supervisor):
    """
    Supervises children that are added while it runs, all made by one function.

    @param factory: makes a child; called with what is given to L{startChild}.
    @param maxChildren: how many there may be; L{None} for any number.

    The other parameters are those of L{Supervisor}; the strategy is C{oneForOne}.
    C{stopTimeout} of the C{defaults} bounds the stop of all children together.
    """

    def __init__(
        self,
        factory: Callable[..., Any],
        maxChildren: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if self.strategy is not Strategy.ONE_FOR_ONE:
            raise UnknownOption(
                "/",
                "strategy",
                str(self.strategy),
                "'oneForOne', since the children of a dynamic supervisor have no order",
            )
        self.factory = factory
        self.maxChildren = maxChildren
        if maxChildren is not None:
            checkNumber("/", "maxChildren", maxChildren, 0, "how many, or None")

    def _isDropped(self, child: Child) -> bool:
        # Nobody could ask for it again: it counts no longer.
        return True

    def settings(self) -> dict[str, object]:
        raise ValueError(
            "the children of a dynamic supervisor are made by the program as it runs"
        )

    def _prepare(self) -> None:
        super()._prepare()
        self._supervision = DynamicSupervision(self)

    def startChild(self, *arguments: Any, **keywords: Any) -> Any:
        """
        Add a child, made by the factory from the arguments. When it is restarted, a
        fresh one is made from the same; when it is down for good (see
        L{ChildSpec.restart}) or was terminated, it is not a child any more.

        @return: the child. Its C{state} tells whether it is up; where its start is
            asynchronous and fails, it is not a child any more.
        @raise TooManyChildren: there are C{maxChildren} already.
        """
        if self.maxChildren is not None and len(self._children) >= self.maxChildren:
            raise TooManyChildren(self.path, self.maxChildren)

        def make() -> Any:
            return self.factory(*arguments, **keywords)

        service = make()
        self.place(service, factory=make)
        return service

    def checkService(self, service: Any) -> None:
        self._checkRoom(service)
        super().checkService(service)

    def addService(self, service: Any) -> Any:
        self._checkRoom(service)
        return super().addService(service)

    def _checkRoom(self, service: Any) -> None:
        full = self.maxChildren is not None and len(self._children) >= self.maxChildren
        if full and self._children.find(service) < 0:
            raise TooManyChildren(self.path, self.maxChildren or 0)


@implementer(IComposite)
class PartitionSupervisor(Supervisor):
    """
    Supervises several copies of one service, and says which of them a key belongs to.

    @param factory: makes one copy; called with its number, from 0.
    @param partitions: how many copies.

    The other parameters are those of L{Supervisor}. The copies are named by their
    numbers.
    """

    def __init__(
        self, factory: Callable[[int], Any], partitions: int, **options: Any
    ) -> None:
        super().__init__(**options)
        checkNumber("/", "partitions", partitions, 1, "at least 1", whole=True)
        self.factory = factory
        self.partitions = partitions
        for number in range(partitions):
            self.addChild(partial(factory, number), str(number))

    def settings(self) -> dict[str, object]:
        """
        @return: the keywords that make a supervisor with copies like these.
        """
        made = {"factory": self.factory, "partitions": self.partitions}
        return {**made, **self._options()}

    def partitionOf(self, key: Hashable) -> Any:
        """
        @param key: an C{int} belongs to the copy of that number, modulo; anything else
            by a hash of its C{repr}, which is the same in every process as long as the
            C{repr} is: that of a set of strings is not.
        @return: the copy.
        """
        if isinstance(key, int):
            number = key % self.partitions
        else:
            digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
            number = int.from_bytes(digest, "big") % self.partitions
        return self.getServiceNamed(str(number))


__all__ = ["DynamicSupervisor", "PartitionSupervisor"]
