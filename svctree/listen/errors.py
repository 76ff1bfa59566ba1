"""
Everything that can be wrong with an address or a socket.

C{str()} of each is the one line for people: what is wrong, where, what was expected
and what to do. The facts are attributes.
"""

from __future__ import annotations

import os
from typing import NamedTuple

__all__ = [
    "GRAMMAR",
    "AddressConflict",
    "AddressError",
    "AddressInUse",
    "AddressNotAvailable",
    "BindFailed",
    "Holder",
    "ListenError",
    "NeedsRestart",
    "NoSuchFolder",
    "NotASocket",
    "NotInherited",
    "NotListening",
    "NotPermitted",
    "PathTooLong",
    "PrivilegedPort",
    "UnknownHost",
    "UnknownOwner",
]

GRAMMAR = (
    "[tcp:]host:port, [tcp:]port, [tcp:]*:port, [tcp:][v6]:port, [unix:]path, "
    "[unix:]path(perm), [unix:]path(perm,owner:group), unix:@abstract, stdin, fd:N, "
    "systemd:, systemd:name, or a Twisted description such as "
    "tcp:8080:interface=127.0.0.1"
)
"""The forms of an address, for messages."""


class Holder(NamedTuple):
    """
    Who has an address already.

    @ivar pid: the process, or 0 where it cannot be read.
    @ivar name: the process' name, or C{""}.
    @ivar uid: the user it runs as, or -1 where it cannot be read.
    """

    pid: int
    name: str
    uid: int

    def __str__(self) -> str:
        if self.pid == os.getpid():
            return f"this process itself ({self.pid})"
        if self.pid:
            return f"process {self.pid} ({self.name})"
        if self.uid >= 0:
            return f"a process of user id {self.uid}"
        return "another process"


class ListenError(Exception):
    """
    The base of this room's errors.

    @ivar exitStatus: what a process that ends because of it exits with.
    """

    exitStatus = 1


class AddressError(ListenError):
    """
    A text is no address.

    @ivar text: the text.
    @ivar problem: what is wrong with it.
    """

    exitStatus = 78

    def __init__(self, text: str, problem: str) -> None:
        super().__init__(f"bad address {text!r}: {problem}; expected one of: {GRAMMAR}")
        self.text = text
        self.problem = problem


class AddressConflict(ListenError):
    """
    Two listeners of one tree want the same connections, for different pools.

    @ivar address: the address of the second.
    @ivar other: the address of the first, equal to it or including it.
    @ivar listeners: the names of the first and the second.
    @ivar why: why one socket does not do for both.
    """

    exitStatus = 78

    def __init__(
        self, address: str, other: str, listeners: tuple[str, str], why: str
    ) -> None:
        super().__init__(
            f"listener {listeners[1]!r} wants {address}, which listener "
            f"{listeners[0]!r} of the same tree has with {other}: {why}; remove one of "
            "them"
        )
        self.why = why
        self.address = address
        self.other = other
        self.listeners = listeners


class BindFailed(ListenError):
    """
    The system refused an address.

    @ivar address: the address, rendered.
    @ivar errno: the system's error number, or 0.
    """

    def __init__(self, address: str, problem: str, errno: int = 0) -> None:
        super().__init__(f"cannot listen on {address}: {problem}")
        self.address = address
        self.problem = problem
        self.errno = errno


class AddressInUse(BindFailed):
    """
    Somebody else listens there.

    @ivar holder: who, as far as it can be read.
    """

    def __init__(self, address: str, holder: Holder | None, errno: int = 0) -> None:
        who = str(holder) if holder is not None else "another process"
        super().__init__(
            address, f"{who} already listens there; stop it or choose another", errno
        )
        self.holder = holder


class NeedsRestart(BindFailed):
    """
    A change of addresses that cannot be made while it serves.

    @ivar other: the address that stands in the way, and is to go.
    """

    def __init__(self, address: str, other: str) -> None:
        super().__init__(
            address,
            f"{other}, which meets it, is open until the new one is bound; restart to "
            "change from one to the other",
        )
        self.other = other


class AddressNotAvailable(BindFailed):
    """
    The host is none of this machine's.
    """

    def __init__(self, address: str, errno: int = 0) -> None:
        super().__init__(
            address,
            "this machine has no such address; use one of its own, or * for all",
            errno,
        )


class PrivilegedPort(BindFailed):
    """
    The port needs a right that the process does not have.

    @ivar port: the port.
    @ivar firstFree: the lowest port that everybody may bind.
    """

    def __init__(self, address: str, port: int, firstFree: int, errno: int = 0) -> None:
        super().__init__(
            address,
            f"ports below {firstFree} need the right to bind them; start as root and "
            "name a user to change to, or grant CAP_NET_BIND_SERVICE, or let systemd "
            f"pass the socket, or take a port from {firstFree} on",
            errno,
        )
        self.port = port
        self.firstFree = firstFree


class NotPermitted(BindFailed):
    """
    The file system does not let this process make or replace the socket.

    @ivar path: the path that must be accessible.
    """

    def __init__(self, address: str, path: str, need: str, errno: int = 0) -> None:
        super().__init__(address, need, errno)
        self.path = path


class NoSuchFolder(BindFailed):
    """
    The folder that is to hold the socket does not exist.

    @ivar folder: that folder.
    """

    def __init__(self, address: str, folder: str, errno: int = 0) -> None:
        super().__init__(address, f"there is no folder {folder}; create it", errno)
        self.folder = folder


class NotASocket(BindFailed):
    """
    The path exists and is something else; it is never removed.

    @ivar path: the path.
    @ivar found: what it is, e.g. C{"a regular file"}.
    """

    def __init__(self, address: str, path: str, found: str) -> None:
        super().__init__(
            address, f"{path} is {found}, not a socket; remove it or choose another"
        )
        self.path = path
        self.found = found


class PathTooLong(BindFailed):
    """
    The path of a unix socket, or its abstract name, exceeds what the system holds.

    @ivar length: its length in bytes.
    @ivar limit: the longest possible, in bytes.
    """

    def __init__(self, address: str, length: int, limit: int) -> None:
        super().__init__(
            address,
            f"the path has {length} bytes and the system's limit is {limit}; choose a "
            "shorter one",
        )
        self.length = length
        self.limit = limit


class UnknownHost(BindFailed):
    """
    A name does not resolve.

    @ivar host: the name.
    """

    def __init__(self, address: str, host: str, reason: str) -> None:
        super().__init__(
            address, f"the name {host!r} does not resolve ({reason}); use an IP address"
        )
        self.host = host


class UnknownOwner(BindFailed):
    """
    The user or group that a unix socket is to belong to does not exist.

    @ivar owner: its name.
    """

    exitStatus = 78

    def __init__(self, address: str, kind: str, owner: str) -> None:
        super().__init__(address, f"there is no {kind} {owner!r} on this machine")
        self.owner = owner


class NotInherited(BindFailed):
    """
    The process was not given the descriptor that an address speaks of.

    @ivar available: what it was given, rendered.
    """

    def __init__(self, address: str, problem: str, available: tuple[str, ...]) -> None:
        has = ", ".join(available) or "nothing"
        super().__init__(address, f"{problem}; this process was given: {has}")
        self.available = available


class NotListening(BindFailed):
    """
    A descriptor is open and is no listening stream socket.

    @ivar fd: the descriptor.
    @ivar found: what it is, e.g. C{"a connected socket"}.
    """

    def __init__(self, address: str, fd: int, found: str) -> None:
        super().__init__(
            address,
            f"descriptor {fd} is {found}, not a listening stream socket; serve it "
            "with workermodel = once, or pass a listening socket",
        )
        self.fd = fd
        self.found = found
