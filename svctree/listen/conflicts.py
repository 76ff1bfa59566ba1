"""
Listeners of one tree, and addresses of one listener, that want the same connections.

Two listeners that the same pools use are for them as good as one with the addresses of
both: one socket does. Different pools would take each other's connections, and a
protocol factory those of a pool, so that is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import attrs
from twisted.application.service import IServiceCollection

from svctree.interfaces import IListener
from svctree.listen.bound import Bound
from svctree.listen.errors import AddressConflict, NeedsRestart
from svctree.listen.plan import Endpoint, Want, includes

__all__ = [
    "Shared",
    "listenersAround",
    "refuseEntangled",
    "withoutShared",
]


@attrs.frozen
class Shared:
    """
    A socket that is not bound, because another listener of the same pools has it.

    @ivar listener: that one.
    """

    dropped: Endpoint
    kept: Endpoint
    listener: Any

    def __str__(self) -> str:
        return (
            f"{self.dropped.render()} is {self.kept.render()} of listener "
            f"{str(self.listener.name)!r}, which the same pools use: one socket"
        )


def withoutShared(
    listener: Any, wants: Sequence[Want]
) -> tuple[list[Want], list[Shared]]:
    """
    Leave out the sockets that another listener of the same pools has, or will have.
    All listeners of the tree are looked at, so that the first one finds what would
    else come out when others are bound already.

    @param wants: what C{listener} is about to bind.
    @raise AddressConflict: two listeners meet that different pools use.
    @raise NeedsRestart: C{listener} wants to include what another has open.
    """
    mine = [endpoint for want in wants for endpoint in want.endpoints]
    everyone = [
        (one, mine if one is listener else one.endpoints())
        for one in listenersAround(listener)
    ]
    for (one, some), (other, more) in combinations(everyone, 2):
        for known in some:
            for endpoint in more:
                if includes(known, endpoint) or includes(endpoint, known):
                    _refuseDifferent(one, known, other, endpoint)
    shared: dict[Endpoint, Shared] = {}
    mineFirst = False
    for other, endpoints in everyone:
        if other is listener:
            mineFirst = True
            continue
        for endpoint in endpoints:
            for one in mine:
                if _goesTo(one, listener, endpoint, other, mineFirst):
                    shared[one] = Shared(one, endpoint, other)
    left = [
        attrs.evolve(
            want, endpoints=tuple(one for one in want.endpoints if one not in shared)
        )
        for want in wants
    ]
    return left, list(shared.values())


def _refuseDifferent(one: Any, known: Endpoint, other: Any, endpoint: Endpoint) -> None:
    names = (str(one.name), str(other.name))
    users, others = _usersOf(one), _usersOf(other)
    if users != others or not users:
        why = (
            f"{_named(users)} and {_named(others)} would take each other's connections"
        )
    elif _isProxied(one) != _isProxied(other):
        why = "only one of them expects PROXY headers"
    else:
        return
    raise AddressConflict(endpoint.render(), known.render(), names, why)


def _goesTo(
    mine: Endpoint, listener: Any, endpoint: Endpoint, other: Any, mineFirst: bool
) -> bool:
    """
    @return: whether C{other} binds C{endpoint}, which does for C{mine}, too.
    """
    isOpen = endpoint in _openOf(other)
    if not includes(endpoint, mine):
        if includes(mine, endpoint) and isOpen:
            raise NeedsRestart(mine.render(), endpoint.render())
        return False
    if not includes(mine, endpoint):
        return True
    # The same place: who has it keeps it, else the first in the tree gets it.
    return isOpen or (mine not in _openOf(listener) and not mineFirst)


def refuseEntangled(wants: Sequence[Want], bounds: Sequence[Bound]) -> None:
    """
    The new cannot be bound before the old is closed where one includes the other.

    @param wants: what a listener is to have.
    @param bounds: what it has.
    @raise NeedsRestart: there is such a pair.
    """
    for want in wants:
        if any(bound.serves(want) for bound in bounds):
            continue
        for new in want.endpoints:
            for bound in bounds:
                old = bound.endpoint
                if new != old and (includes(new, old) or includes(old, new)):
                    raise NeedsRestart(new.render(), old.render())


def listenersAround(listener: Any) -> list[Any]:
    """
    @return: all listeners of the tree that C{listener} is in.
    """
    return [
        # Somebody else's listener need not tell what it will bind.
        one
        for one in _servicesOf(_topOf(listener))
        if IListener.providedBy(one) and hasattr(one, "endpoints")
    ]


def _usersOf(listener: Any) -> list[Any]:
    """
    @return: the services of the tree that take their connections from C{listener};
        itself, when it serves a protocol factory.
    """
    if getattr(listener, "serves", False):
        return [listener]
    return [one for one in _servicesOf(_topOf(listener)) if _uses(one, listener)]


def _uses(service: Any, listener: Any) -> bool:
    for wanted in getattr(service, "wanted", ()):
        if wanted is listener:
            return True
        named = isinstance(wanted, str) and wanted == listener.name
        if named and service.parent is listener.parent:
            return True
    return False


def _named(users: Sequence[Any]) -> str:
    return " and ".join(repr(str(one.name)) for one in users) or "nobody"


def _isProxied(listener: Any) -> bool:
    return bool(getattr(listener, "proxyProtocol", False))


def _openOf(listener: Any) -> list[Endpoint]:
    return list(listener.opened()) if hasattr(listener, "opened") else []


def _topOf(service: Any) -> Any:
    while getattr(service, "parent", None) is not None:
        service = service.parent
    return service


def _servicesOf(service: Any) -> Iterator[Any]:
    yield service
    collection = IServiceCollection(service, None)
    if collection is not None:
        for child in collection:
            yield from _servicesOf(child)
