"""
One round of calls over the children of a container, while children come and go.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from svctree.tree.states import Record

if TYPE_CHECKING:
    from svctree.tree.register import Register


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

    def __init__(self, children: Register) -> None:
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


__all__ = ["NOTHING", "Walk"]
