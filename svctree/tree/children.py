"""
The children of a container, as the list that C{MultiService.services} is in Twisted.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, MutableSequence
from typing import Any, SupportsIndex, overload

from svctree.tree.register import Register
from svctree.tree.walk import NOTHING


class Children(Register, MutableSequence[Any]):
    """
    The register, to look at and to change as programs do with Twisted's list: that
    changes the membership and nothing else; nobody is started, stopped, named or
    given a parent.
    """

    __hash__ = None  # type: ignore[assignment]

    __slots__ = ()

    def __init__(self, services: Iterable[Any] = ()) -> None:
        super().__init__()
        for service in services:
            self.append(service)

    def __len__(self) -> int:
        return len(self.entries) - self.holes

    def __iter__(self) -> Iterator[Any]:
        # Over a copy: who removes children in a loop wants to see them all.
        if self.holes:
            return iter([entry for entry in self.entries if entry is not NOTHING])
        return iter(self.entries.copy())

    def __reversed__(self) -> Iterator[Any]:
        return reversed(list(self))

    def __contains__(self, service: object) -> bool:
        return self.find(service) >= 0

    @overload
    def __getitem__(self, number: SupportsIndex) -> Any: ...

    @overload
    def __getitem__(self, number: slice) -> list[Any]: ...

    def __getitem__(self, number: SupportsIndex | slice) -> Any:
        if isinstance(number, slice):
            return list(self)[number]
        # It may give us another list.
        position = self._at(operator.index(number))
        return self.entries[position]

    def __setitem__(self, number: Any, service: Any) -> None:
        services = list(self)
        services[number] = service
        self.reorder(services)

    def __delitem__(self, number: Any) -> None:
        if isinstance(number, slice):
            for service in list(self)[number]:
                self.discard(self.find(service))
        else:
            self.discard(self._at(operator.index(number)))

    def insert(self, number: int, service: Any) -> None:
        if number >= len(self):
            self.append(service)
            return
        services = list(self)
        services.insert(number, service)
        self.reorder(services)

    def append(self, service: Any) -> None:
        if not self.add(service, False):
            raise ValueError(f"{service!r} is in the list already")

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

    def _at(self, number: int) -> int:
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
            return self.first()
        if number == size - 1:
            return self._last()
        if not self.walks:
            self.compact()
            return number
        live = (at for at, service in enumerate(self.entries) if service is not NOTHING)
        for _ in range(number):
            next(live)
        return next(live)

    def _last(self) -> int:
        position = len(self.entries) - 1
        while self.entries[position] is NOTHING:
            position -= 1
        return position


__all__ = ["Children"]
