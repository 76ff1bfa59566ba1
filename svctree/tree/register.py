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
    @ivar strangers: the position of each child that cannot carry it, by its C{id}.
    @ivar walks: what goes over the children just now.
    """

    __slots__ = (
        "_head",
        "_next",
        "_serials",
        "entries",
        "holes",
        "nested",
        "states",
        "strangers",
        "walks",
    )

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self.states = bytearray()
        self.holes = 0
        self.nested = 0
        self.walks: list[Walk] = []
        self.strangers: dict[int, int] = {}
        # The serial number of each child that was added without a name, by its C{id};
        # see serial() for negative ones.
        self._serials: dict[int, int] = {}
        self._next = 0
        # Before it there are only holes.
        self._head = 0

    def add(self, service: Any, named: bool) -> bool:
        """
        Take in a child, at the end.

        @param named: whether it has a name.
        @return: whether it was no child yet.
        """
        if self.find(service) >= 0:
            return False
        self._settle(service, len(self.entries))
        self.enter(service, named)
        if isinstance(service, TreeContainer):
            self.nested += 1
        return True

    def enter(self, service: Any, named: bool) -> None:
        """
        Put a child at the end whose position is noted already; no container.

        @param named: whether it has a name.
        """
        if self.walks and any(walk.services is self.entries for walk in self.walks):
            # They go over what there was when they began.
            self.entries = self.entries.copy()
        self.entries.append(service)
        self.states.append(0)  # Record.NEW
        if not named:
            self._serials[id(service)] = self._next
        self._next += 1

    def find(self, service: Any) -> int:
        """
        @return: the position of a child, -1 if it is none.
        """
        if isinstance(service, Resident):
            position = service._position
            entries = self.entries
            if 0 <= position < len(entries) and entries[position] is service:
                return position
        return self.strangers.get(id(service), -1)

    def discard(self, position: int) -> None:
        """
        Remove the child at C{position}.
        """
        service = self.entries[position]
        self._release(service)
        if self._serials:
            self._serials.pop(id(service), None)
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
        if id(old) in self._serials:
            self._serials[id(new)] = self._serials.pop(id(old))
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
        known, serials = {}, self._serials
        for at, service in enumerate(self.entries):
            if service is not NOTHING:
                known[id(service)] = self.states[at]
                self._release(service)
        self.entries, self.states, self._serials = [], bytearray(), {}
        self.holes = self.nested = self._head = 0
        for at, service in enumerate(services):
            if id(service) not in known:
                self.add(service, False)
                continue
            following = self._next
            self.add(service, True)
            self._next = following
            self.states[at] = known[id(service)]
            if id(service) in serials:
                self._serials[id(service)] = serials[id(service)]

    def note(self, position: int, record: int) -> None:
        """
        Record what has become of one child, also against a walk that goes on.
        """
        self.states[position] = record
        for walk in self.walks:
            walk.keep(position)

    def serial(self, position: int) -> int:
        """
        @return: how many children had been added before this one; for one that was
            added with a name and lost it, a number that no other has.
        """
        key = id(self.entries[position])
        found = self._serials.get(key)
        if found is None:
            found = self._serials[key] = ~self._next
            self._next += 1
        return max(found, ~found)

    def wasNamed(self, position: int) -> bool:
        """
        @return: whether the child had a name when it was added.
        """
        return self._serials.get(id(self.entries[position]), -1) < 0

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
        self.entries = [self.entries[at] for at in kept]
        self.holes = self._head = 0
        for at, service in enumerate(self.entries):
            if id(service) in self.strangers:
                self.strangers[id(service)] = at
            else:
                service._position = at

    def _settle(self, service: Any, position: int) -> None:
        if isinstance(service, Resident) and service._position < 0:
            service._position = position
        else:
            self.strangers[id(service)] = position

    def _release(self, service: Any) -> None:
        if not self.strangers or self.strangers.pop(id(service), None) is None:
            service._position = -1


__all__ = ["Register", "Resident", "TreeContainer"]
