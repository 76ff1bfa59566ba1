"""
Which siblings start after which: C{after=} and C{requires=}.

Both say "not before that one is up"; C{requires} also says "not without it". They
name siblings, which may be added later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from svctree.tree.errors import DependencyCycle


@dataclass(frozen=True)
class Needs:
    """
    What one child waits for, by name.
    """

    after: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.after, *self.requires)


NO_NEEDS = Needs()


class Order:
    """
    What the children of one container wait for.

    @param find: returns the child of a name, or L{None}.
    """

    def __init__(self, find: Callable[[str], Any]) -> None:
        self._find = find
        self._needs: dict[int, Needs] = {}
        # How many wait for each name.
        self._wanted: Counter[str] = Counter()

    def add(
        self,
        path: str,
        service: Any,
        after: Iterable[str] = (),
        requires: Iterable[str] = (),
    ) -> None:
        """
        Note what C{service} waits for.

        @raise DependencyCycle: it would wait for itself.
        """
        needs = Needs(tuple(after), tuple(requires))
        if service.name is not None:
            self._checkCycle(path, service.name, needs)
        self.forget(service)
        self._needs[id(service)] = needs
        self._wanted.update(needs.names)

    def forget(self, service: Any) -> None:
        """
        C{service} is gone.
        """
        for name in self._needs.pop(id(service), NO_NEEDS).names:
            self._wanted[name] -= 1
            if not self._wanted[name]:
                del self._wanted[name]

    def replace(self, old: Any, new: Any) -> None:
        """
        C{new} takes the place of C{old}.
        """
        needs = self._needs.pop(id(old), None)
        if needs is not None:
            self._needs[id(new)] = needs

    def of(self, service: Any) -> Needs:
        """
        @return: what C{service} waits for.
        """
        return self._needs.get(id(service), NO_NEEDS)

    def __bool__(self) -> bool:
        return any(needs.names for needs in self._needs.values())

    def sorted(self, services: Sequence[Any]) -> list[Any]:
        """
        @return: C{services} in the order in which they start; those that do not wait
            for each other stay in the order in which they are.
        """
        return [service for level in self.levels(services) for service in level]

    def levels(self, services: Sequence[Any]) -> list[list[Any]]:
        """
        @return: C{services} in groups; each only waits for members of those before
            it.
        """
        depth: dict[int, int] = {}
        for service in services:
            self._measure(service, depth)
        levels: list[list[Any]] = []
        for service in services:
            level = depth[id(service)]
            while len(levels) <= level:
                levels.append([])
            levels[level].append(service)
        return [level for level in levels if level]

    def dependents(self, service: Any, services: Sequence[Any]) -> list[Any]:
        """
        @return: those of C{services} that wait for C{service}, or for one that does.
        """
        reached = {id(service)}
        found: list[Any] = []
        for candidate in self.sorted(services):
            if any(id(need) in reached for need in self._siblings(candidate)):
                reached.add(id(candidate))
                found.append(candidate)
        return found

    def _siblings(self, service: Any) -> list[Any]:
        found = map(self._find, self.of(service).names)
        return [sibling for sibling in found if sibling is not None]

    def _measure(self, service: Any, depth: dict[int, int]) -> None:
        # With a stack of our own: a chain of siblings may be long.
        waiting = [service]
        while waiting:
            present = waiting[-1]
            if id(present) in depth:
                waiting.pop()
                continue
            siblings = self._siblings(present)
            unknown = [each for each in siblings if id(each) not in depth]
            if unknown:
                waiting += unknown
                continue
            below = [depth[id(each)] + 1 for each in siblings]
            depth[id(present)] = max(below, default=0)
            waiting.pop()

    def _checkCycle(self, path: str, name: str, needs: Needs) -> None:
        """
        Follow what the new child waits for, looking for itself.
        """
        if name not in needs.names and not self._wanted[name]:
            return
        came = dict.fromkeys(needs.names, name)
        waiting = list(came)
        while waiting and name not in came:
            last = waiting.pop(0)
            for need in self.of(self._find(last)).names:
                if need not in came:
                    came[need] = last
                    waiting.append(need)
        if name in came:
            cycle = [name, came[name]]
            while cycle[-1] != name:
                cycle.append(came[cycle[-1]])
            raise DependencyCycle(path, cycle[::-1])


__all__ = ["NO_NEEDS", "Needs", "Order"]
