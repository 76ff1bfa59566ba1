"""
Where each child of a container is, and what is on record of it.

C{MultiService.services} is public in Twisted and a list. Removal from a list is
O(n), and C{list.remove} compares by equality, so that the wrong one of two equal
services can go. Here each child is found by its identity, and one that leaves leaves a
hole; holes are swept when they are many. Every change at either end, and every
removal, takes constant time on average.

A service of ours carries its position with it, which costs less than a table: an
attribute beside its others. Whoever cannot (a service of somebody else's, one that
another list holds as well) is in a table. A position is only believed if the service
is there, so that one that was left over does no harm.
"""

from __future__ import annotations

from array import array
from typing import Any

from svctree.tree.states import Record
from svctree.tree.walk import NOTHING, Walk


class Resident:
    """
    Marks the services that carry their position in the container they are in.
    """

    _position = -1


class TreeContainer:
    """
    Marks the containers of ours, which walk each other without recursion.
    """

    _path: tuple[int, str] | None = None


class Register:
    """
    The children in the order in which they were added.

    @ivar entries: the children, with L{NOTHING} for holes.
    @ivar states: one L{Record} for each entry.
    @ivar holes: how many there are.
    @ivar nested: how many children are containers of ours.
    @ivar walks: what goes over the children just now.
    """

    __slots__ = (
        "_head",
        "_next",
        "_strangers",
        "_tags",
        "entries",
        "holes",
        "nested",
        "states",
        "walks",
    )

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self.states = bytearray()
        self.holes = 0
        self.nested = 0
        self.walks: list[Walk] = []
        # The position of each child that cannot carry it, by its C{id}.
        self._strangers: dict[int, int] = {}
        # Serial number of each child, twice, plus one if it was added with a name.
        self._tags = array("Q")
        self._next = 0
        # Before it there are only holes.
        self._head = 0

    def add(self, service: Any, named: int) -> bool:
        """
        Take in a child, at the end.

        @param named: 1 if it has a name, else 0.
        @return: whether it was no child yet.
        """
        entries = self.entries
        free = isinstance(service, Resident) and service._position < 0
        if (self._strangers or not free) and self.find(service) >= 0:
            return False
        if self.walks and any(walk.services is entries for walk in self.walks):
            # They go over what there was when they began.
            entries = self.entries = entries.copy()
        if free:
            service._position = len(entries)
        else:
            self._strangers[id(service)] = len(entries)
        entries.append(service)
        self.states.append(0)  # Record.NEW
        self._tags.append(self._next + named)
        self._next += 2
        if isinstance(service, TreeContainer):
            self.nested += 1
        return True

    def find(self, service: Any) -> int:
        """
        @return: the position of a child, -1 if it is none.
        """
        if isinstance(service, Resident):
            position = service._position
            entries = self.entries
            if 0 <= position < len(entries) and entries[position] is service:
                return position
        return self._strangers.get(id(service), -1)

    def discard(self, position: int) -> None:
        """
        Remove the child at C{position}.
        """
        service = self.entries[position]
        self._release(service)
        self.entries[position] = NOTHING
        self.holes += 1
        if isinstance(service, TreeContainer):
            self.nested -= 1
        for walk in self.walks:
            if position < len(walk.services):
                walk.services[position] = NOTHING
        self.sweep()

    def replace(self, old: Any, new: Any) -> None:
        """
        Put C{new} in the place of C{old}, with the same serial number.
        """
        position = self.find(old)
        self._release(old)
        self._settle(new, position)
        self.entries[position] = new
        self.states[position] = Record.NEW
        self.nested += isinstance(new, TreeContainer) - isinstance(old, TreeContainer)

    def reorder(self, services: list[Any]) -> None:
        """
        Have these children, in this order, and keep what is known of each.

        @raise RuntimeError: the children are being started or stopped.
        @raise ValueError: one is there twice.
        """
        if self.walks:
            raise RuntimeError("the order cannot change while the children start")
        if len({id(service) for service in services}) != len(services):
            raise ValueError("a service cannot be in the list twice")
        known = {}
        for at, service in enumerate(self.entries):
            if service is not NOTHING:
                known[id(service)] = self.states[at], self._tags[at]
                self._release(service)
        self.entries, self.states, self._tags = [], bytearray(), array("Q")
        self.holes = self.nested = self._head = 0
        for at, service in enumerate(services):
            serial = self._next
            self.add(service, 0)
            if id(service) in known:
                self.states[at], self._tags[at] = known[id(service)]
                self._next = serial

    def note(self, position: int, record: int) -> None:
        """
        Record what has become of one child, also against a walk that goes on.
        """
        self.states[position] = record
        for walk in self.walks:
            walk.keep(position)

    def serial(self, position: int) -> int:
        """
        @return: how many children had been added before this one.
        """
        return self._tags[position] >> 1

    def wasNamed(self, position: int) -> bool:
        """
        @return: whether the child had a name when it was added.
        """
        return bool(self._tags[position] & 1)

    def walk(self) -> Walk:
        """
        Begin a walk; positions stay as they are until it ends.
        """
        walk = Walk(self)
        self.walks.append(walk)
        return walk

    def first(self) -> int:
        """
        @return: the position of the first child; there has to be one.
        """
        while self.entries[self._head] is NOTHING:
            self._head += 1
        return self._head

    def sweep(self) -> None:
        """
        Drop holes where that is cheap: at the end, and all when they are many.
        """
        if self.walks or not self.holes:
            return
        entries = self.entries
        while entries and entries[-1] is NOTHING:
            entries.pop()
            self.states.pop()
            self._tags.pop()
            self.holes -= 1
        self._head = min(self._head, len(entries))
        if self.holes > 16 and self.holes * 2 > len(entries):
            self.compact()

    def compact(self) -> None:
        """
        Drop all holes; not while somebody walks.
        """
        kept = [at for at, service in enumerate(self.entries) if service is not NOTHING]
        self.states = bytearray(self.states[at] for at in kept)
        self._tags = array("Q", (self._tags[at] for at in kept))
        self.entries = [self.entries[at] for at in kept]
        self.holes = self._head = 0
        for at, service in enumerate(self.entries):
            if id(service) in self._strangers:
                self._strangers[id(service)] = at
            else:
                service._position = at

    def _settle(self, service: Any, position: int) -> None:
        if isinstance(service, Resident) and service._position < 0:
            service._position = position
        else:
            self._strangers[id(service)] = position

    def _release(self, service: Any) -> None:
        if not self._strangers or self._strangers.pop(id(service), None) is None:
            service._position = -1


__all__ = ["Register", "Resident", "TreeContainer"]
