"""
From addresses to the sockets that they mean, before anything is bound.

C{*} is two sockets, one for IPv4 and one for IPv6 alone, rather than one for both:
a peer's address then has one spelling whatever the host supports, and a host
without either family simply has one socket less. For the same reason C{[::]:port}
means IPv6 alone.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from typing import TypeAlias

import attrs

from svctree.listen.address import (
    AbstractAddress,
    Address,
    TCPAddress,
    UnixAddress,
)
from svctree.listen.errors import UnknownHost

__all__ = ["Endpoint", "Overlap", "Resolver", "Want", "includes", "plan", "resolve"]

Resolver: TypeAlias = Callable[[str], Sequence[tuple[int, str]]]
"""From a host name to (family, numeric host) pairs; raises L{OSError}."""


@attrs.frozen
class Endpoint:
    """
    One socket to be: what the kernel is asked for.

    @ivar family: C{AF_INET}, C{AF_INET6} or C{AF_UNIX}; -1 for an adopted one.
    @ivar host: numeric host, or the path, or C{@name}, or the rendered address of
        what is adopted.
    @ivar port: for TCP, else 0.
    """

    family: int
    host: str
    port: int = 0

    def render(self) -> str:
        if self.family == socket.AF_INET6:
            return f"tcp:[{self.host}]:{self.port}"
        if self.family == socket.AF_INET:
            return f"tcp:{self.host}:{self.port}"
        return f"unix:{self.host}" if self.family == socket.AF_UNIX else self.host


@attrs.frozen
class Want:
    """
    An address and the sockets that it means.

    @ivar partial: some of them are enough (a name, or C{*}, on a host that lacks a
        family of addresses).
    """

    address: Address
    endpoints: tuple[Endpoint, ...]
    partial: bool = False


@attrs.frozen
class Overlap:
    """
    A socket that is not bound, because another serves it.

    @ivar address: how the other one is configured, where that makes a difference.
    """

    dropped: Endpoint
    kept: Endpoint
    address: str = ""

    def __str__(self) -> str:
        what = f"is included in {self.kept.render()}"
        if self.dropped == self.kept:
            what = "is given twice"
        as_ = f", as {self.address}" if self.address else ""
        return f"{self.dropped.render()} {what}: one socket{as_}"


def _lookUp(host: str) -> list[tuple[int, str]]:
    found = socket.getaddrinfo(
        host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return [
        (int(family), str(sockaddr[0]))
        for family, _type, _proto, _name, sockaddr in found
        if family in (socket.AF_INET, socket.AF_INET6)
    ]


def resolve(address: Address, lookUp: Resolver = _lookUp) -> Want:
    """
    @param lookUp: how names become numbers.
    @raise UnknownHost: a name that does not resolve.
    """
    if isinstance(address, UnixAddress):
        return Want(address, (Endpoint(socket.AF_UNIX, os.path.abspath(address.path)),))
    if isinstance(address, AbstractAddress):
        return Want(address, (Endpoint(socket.AF_UNIX, f"@{address.name}"),))
    if not isinstance(address, TCPAddress):
        return Want(address, (Endpoint(-1, address.render()),))
    port = address.port
    if address.host == "*":
        both = (
            Endpoint(socket.AF_INET, "0.0.0.0", port),
            Endpoint(socket.AF_INET6, "::", port),
        )
        return Want(address, both, partial=True)
    literal = address.literal
    if literal is not None:
        family = socket.AF_INET if literal.version == 4 else socket.AF_INET6
        return Want(address, (Endpoint(family, str(literal), port),))
    try:
        found = lookUp(address.host)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise UnknownHost(
            address.render(), address.host, str(reason or error)
        ) from error
    # A resolver may name an address once for each protocol.
    unique = dict.fromkeys(Endpoint(family, host, port) for family, host in found)
    return Want(address, tuple(unique), partial=True)


def includes(one: Endpoint, other: Endpoint) -> bool:
    """
    @return: whether whoever connects to C{other} can be served by C{one}.
    """
    if one.family != other.family or one.family == -1:
        return one == other
    if one.family == socket.AF_UNIX:
        if one.host.startswith("@") or other.host.startswith("@"):
            return one.host == other.host
        return os.path.realpath(one.host) == os.path.realpath(other.host)
    if one.port != other.port or one.port == 0:
        return False
    return one.host == other.host or one.host in ("0.0.0.0", "::")


def plan(
    addresses: Sequence[Address], lookUp: Resolver = _lookUp
) -> tuple[list[Want], list[Overlap]]:
    """
    Resolve all addresses and leave one socket for each place.

    @return: the addresses with what is left of their sockets, in order; and what
        was dropped.
    """
    wants = [resolve(address, lookUp) for address in addresses]
    every = [(endpoint, want) for want in wants for endpoint in want.endpoints]
    kept: list[tuple[Endpoint, Want]] = []
    overlaps: list[Overlap] = []
    # The wide ones first, and a true path before a symbolic link to it: what is
    # dropped is then always the narrower, whatever the order of the addresses. And a
    # permission counts, wherever it is given.
    for endpoint, want in sorted(
        every, key=lambda one: (_width(one[0]), _isOpen(one[1]))
    ):
        for wider, owner in kept:
            if includes(wider, endpoint):
                differs = _permission(owner) != _permission(want)
                shown = owner.address.render() if differs else ""
                overlaps.append(Overlap(endpoint, wider, shown))
                break
        else:
            kept.append((endpoint, want))
    return [
        attrs.evolve(want, endpoints=tuple(one for one, owner in kept if owner is want))
        for want in wants
    ], overlaps


def _permission(want: Want) -> tuple[object, ...] | None:
    address = want.address
    if isinstance(address, UnixAddress):
        return address.mode, address.owner, address.group
    return None


def _isOpen(want: Want) -> bool:
    return _permission(want) == (None, None, None)


def _width(endpoint: Endpoint) -> int:
    if endpoint.family == socket.AF_UNIX:
        return int(os.path.realpath(endpoint.host) != endpoint.host)
    return int(endpoint.host not in ("0.0.0.0", "::"))
