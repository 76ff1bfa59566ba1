"""
Listeners of one tree, and addresses of one listener, that want the same connections.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from twisted.application.service import IServiceCollection

from svctree.interfaces import IListener
from svctree.listen.bound import Bound
from svctree.listen.errors import AddressConflict, NeedsRestart
from svctree.listen.plan import Endpoint, Want, includes

__all__ = ["listenersAround", "refuseConflicts", "refuseEntangled"]


def refuseConflicts(listener: Any, mine: Sequence[Endpoint]) -> None:
    """
    One socket cannot have two listeners: their pools would take each other's
    connections. All listeners of the tree are looked at, so that the first one finds
    what would else come out when others are bound already.

    @param mine: the sockets that C{listener} is about to bind.
    @raise AddressConflict: two listeners meet.
    """
    seen = [(listener, endpoint) for endpoint in mine]
    for other in listenersAround(listener):
        if other is listener:
            continue
        for endpoint in other.endpoints():
            for one, known in seen:
                if includes(known, endpoint) or includes(endpoint, known):
                    names = (str(one.name), str(other.name))
                    raise AddressConflict(endpoint.render(), known.render(), names)
            seen.append((other, endpoint))


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
    return list(_listenersOf(_topOf(listener)))


def _topOf(service: Any) -> Any:
    while getattr(service, "parent", None) is not None:
        service = service.parent
    return service


def _listenersOf(service: Any) -> Iterator[Any]:
    # Somebody else's listener need not tell what it will bind.
    if IListener.providedBy(service) and hasattr(service, "endpoints"):
        yield service
    collection = IServiceCollection(service, None)
    if collection is not None:
        for child in collection:
            yield from _listenersOf(child)
