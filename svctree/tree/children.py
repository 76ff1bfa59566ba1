"""
The children of a container: a list to look at, a set by identity underneath.

C{MultiService.services} is public in Twisted and a list. Removal from a list is
O(n), and C{list.remove} compares by equality, so that the wrong one of two equal
services can go. This list knows the place of each child by its identity, and
leaves holes that are swept when they are many: every change at either end, and
every removal, takes constant time on average.
"""

from __future__ import annotations

import operator
from array import array
from collections.abc import Iterable, Iterator, MutableSequence
from typing import Any, SupportsIndex, overload

from svctree.tree.states import Record


class TreeContainer:
    """
    Marks the containers of ours, which walk each other without recursion.
    """

    _path: tuple[int, str] | None = None


class _Nothing:
    """
    Fills the place of a child that has been removed: a walk needs no test for it.
    """

    name = None

    def startService(self) -> None:
        return None


NOTHING = _Nothing()


class Walk:
    """
    One round of calls over the children there are when it begins. Positions stay
    as they are until it ends.

    It goes over the list of the container itself, since a copy of it would cost
    half as much as the calls do. Whoever adds a child meanwhile makes a new list
    for the container; whoever is removed leaves a null object in both.

    The record of a child that came up without a word is written for many children
    at once: L{flush} does so up to where the walk has come.

    @ivar services: what is walked.
    @ivar over: it has ended, or was cut short.
    """

    __slots__ = ("_children", "_flushed", "_iterator", "_skipped", "over", "services")

    def __init__(self, children: Children) -> None:
        self._children = children
        self.services = children.entries
        self._iterator: Iterator[Any] | None = None
        self._skipped: set[int] = set()
        self._flushed = 0
        self.over = False

    def iterate(self) -> Iterator[Any]:
        """
        @return: the iterator over the children, the same one each time.
        """
        if self._iterator is None:
            self._iterator = iter(self.services)
        return self._iterator

    def position(self) -> int:
        """
        @return: the place of the child that the loop has taken last; -1 before the
            first.
        """
        if self._iterator is None:
            return -1
        return len(self.services) - operator.length_hint(self._iterator) - 1

    def record(self) -> int:
        """
        @return: what the container has on record of the child that the loop has
            taken last.
        """
        return self._children.states[self.position()]

    def skip(self, position: int) -> None:
        """
        Pass over the child at C{position}, before the first, and record nothing for
        it.
        """
        if self.services is self._children.entries:
            self.services = self.services.copy()
        self.services[position] = NOTHING
        self._skipped.add(position)

    def keep(self, position: int) -> None:
        """
        Leave the record of the child at C{position} as it is.
        """
        if self._flushed <= position < len(self.services):
            self._skipped.add(position)

    def isKept(self) -> bool:
        """
        @return: whether the record of the present child is to stay as it is.
        """
        return self.position() in self._skipped

    def flush(self) -> None:
        """
        Record what the walk has done: every child before the present one is up,
        and the present one is starting.
        """
        position = self.position()
        self._write(position)
        if position == self._flushed and position not in self._skipped:
            self._children.states[position] = Record.STARTING

    def mark(self, record: int) -> None:
        """
        Record something else than "up" for the present child.
        """
        position = self.position()
        self._write(position)
        self._children.states[position] = record
        self._flushed = position + 1

    def end(self) -> None:
        """
        The loop is through.
        """
        if not self.over:
            self._write(len(self.services))
            self.cut()

    def cut(self) -> None:
        """
        Let the loop end before its next child; nothing more is recorded.
        """
        if not self.over:
            self.over = True
            if self._iterator is not None:
                end = len(self.services)
                self._iterator.__setstate__(end)  # type: ignore[attr-defined]
                next(self._iterator, None)
            self._children.walks.remove(self)
            self._children.sweep()

    def _write(self, end: int) -> None:
        begin = self._flushed
        if begin >= end:
            return
        states = self._children.states
        if self._skipped:
            for position in range(begin, end):
                if position not in self._skipped:
                    states[position] = Record.UP
        else:
            states[begin:end] = bytes([Record.UP]) * (end - begin)
        self._flushed = end


class Children(MutableSequence[Any]):
    """
    The children in the order in which they were added.

    Changing it directly, as programs do with Twisted's list, changes the
    membership and nothing else: nobody is started, stopped, named or given a
    parent.

    @ivar entries: the children, with L{NOTHING} for holes.
    @ivar states: one L{Record} for each entry.
    @ivar places: the position of each child by its C{id}.
    @ivar nested: how many children are containers of ours.
    """

    __hash__ = None  # type: ignore[assignment]

    __slots__ = (
        "_head",
        "_next",
        "_tags",
        "entries",
        "holes",
        "nested",
        "places",
        "states",
        "walks",
    )

    def __init__(self, services: Iterable[Any] = ()) -> None:
        self.entries: list[Any] = []
        self.states = bytearray()
        self.places: dict[int, int] = {}
        self.holes = 0
        self.nested = 0
        self.walks: list[Walk] = []
        # Serial number of each child, twice, plus one if it was added with a name.
        self._tags = array("Q")
        self._next = 0
        self._head = 0
        for service in services:
            self.append(service)

    # What containers use.

    def add(self, service: Any, named: int) -> None:
        """
        Take in a child, at the end.

        @param named: 1 if it has a name, else 0.
        """
        entries = self.entries
        if self.walks and any(walk.services is entries for walk in self.walks):
            # They go over what there was when they began.
            entries = self.entries = entries.copy()
        self.places[id(service)] = len(entries)
        entries.append(service)
        self.states.append(0)  # Record.NEW
        self._tags.append(self._next + named)
        self._next += 2
        if isinstance(service, TreeContainer):
            self.nested += 1

    def discard(self, position: int) -> None:
        """
        Remove the child at C{position}.
        """
        entries = self.entries
        service = entries[position]
        del self.places[id(service)]
        entries[position] = NOTHING
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
        position = self.places.pop(id(old))
        self.places[id(new)] = position
        self.entries[position] = new
        self.states[position] = Record.NEW
        self.nested += isinstance(new, TreeContainer) - isinstance(old, TreeContainer)

    def find(self, service: object) -> int:
        """
        @return: the position of a child, -1 if it is none.
        """
        return self.places.get(id(service), -1)

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

    def sweep(self) -> None:
        """
        Drop holes where that is cheap: at both ends, and all when they are many.
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
        while self._head < len(entries) and entries[self._head] is NOTHING:
            self._head += 1
        if self.holes > 16 and self.holes * 2 > len(entries):
            self._compact()

    def _compact(self) -> None:
        kept = [at for at, service in enumerate(self.entries) if service is not NOTHING]
        self.states = bytearray(self.states[at] for at in kept)
        self._tags = array("Q", (self._tags[at] for at in kept))
        self.entries = [self.entries[at] for at in kept]
        self.places = {id(service): at for at, service in enumerate(self.entries)}
        self.holes = 0
        self._head = 0

    def _position(self, number: int) -> int:
        """
        @return: where the child is that a list would have at C{number}.
        """
        size = len(self)
        if number < 0:
            number += size
        if not 0 <= number < size:
            raise IndexError("there are not so many services")
        if not self.holes:
            return number
        if number == 0:
            return self._first()
        if number == size - 1:
            return self._last()
        if not self.walks:
            self._compact()
            return number
        live = (at for at, service in enumerate(self.entries) if service is not NOTHING)
        for _ in range(number):
            next(live)
        return next(live)

    def _first(self) -> int:
        head = self._head
        while self.entries[head] is NOTHING:
            head += 1
        self._head = head
        return head

    def _last(self) -> int:
        position = len(self.entries) - 1
        while self.entries[position] is NOTHING:
            position -= 1
        return position

    # What a list offers.

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Any]:
        # Over a copy: who removes children in a loop wants to see them all.
        if self.holes:
            return iter([entry for entry in self.entries if entry is not NOTHING])
        return iter(self.entries.copy())

    def __reversed__(self) -> Iterator[Any]:
        return reversed(list(self))

    def __contains__(self, service: object) -> bool:
        return id(service) in self.places

    @overload
    def __getitem__(self, number: SupportsIndex) -> Any: ...

    @overload
    def __getitem__(self, number: slice) -> list[Any]: ...

    def __getitem__(self, number: SupportsIndex | slice) -> Any:
        if isinstance(number, slice):
            return list(self)[number]
        # It may give us another list.
        position = self._position(operator.index(number))
        return self.entries[position]

    def __setitem__(self, number: Any, service: Any) -> None:
        services = list(self)
        services[number] = service
        self._become(services)

    def __delitem__(self, number: Any) -> None:
        if isinstance(number, slice):
            for service in list(self)[number]:
                self.discard(self.places[id(service)])
        else:
            self.discard(self._position(operator.index(number)))

    def insert(self, number: int, service: Any) -> None:
        if id(service) in self.places:
            raise ValueError(f"{service!r} is in the list already")
        if number >= len(self):
            self.add(service, 0)
            return
        services = list(self)
        services.insert(number, service)
        self._become(services)

    def append(self, service: Any) -> None:
        if id(service) in self.places:
            raise ValueError(f"{service!r} is in the list already")
        self.add(service, 0)

    def remove(self, service: object) -> None:
        position = self.find(service)
        if position < 0:
            raise ValueError(f"{service!r} is not in the list")
        self.discard(position)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (list, Children)):
            return list(self) == list(other)
        return NotImplemented

    def __repr__(self) -> str:
        return repr(list(self))

    def __reduce__(self) -> tuple[Any, ...]:
        # Elsewhere the identities are others; and a list is what Twisted pickles.
        return (list, (list(self),))

    def _become(self, services: list[Any]) -> None:
        """
        Take a new order, keeping what is known of each child.
        """
        if self.walks:
            raise RuntimeError("the order cannot change while the children start")
        known = {
            key: (self.states[at], self._tags[at]) for key, at in self.places.items()
        }
        if len({id(service) for service in services}) != len(services):
            raise ValueError("a service cannot be in the list twice")
        self.entries = services
        self.states = bytearray()
        self._tags = array("Q")
        self.places = {}
        self.holes = self._head = self.nested = 0
        for at, service in enumerate(services):
            record, tag = known.get(id(service), (Record.NEW, self._next))
            if id(service) not in known:
                self._next += 2
            self.places[id(service)] = at
            self.states.append(record)
            self._tags.append(tag)
            self.nested += isinstance(service, TreeContainer)


__all__ = ["NOTHING", "Children", "TreeContainer", "Walk"]
