"""
Addresses and sockets.

Addresses are plain values and load no Twisted; the service, which does, is loaded
when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from svctree.lazy import lazyNames
from svctree.listen.address import (
    AbstractAddress,
    Address,
    DescriptorAddress,
    StdinAddress,
    SystemdAddress,
    TCPAddress,
    UnixAddress,
)
from svctree.listen.errors import (
    GRAMMAR,
    AddressConflict,
    AddressError,
    AddressInUse,
    AddressNotAvailable,
    BindFailed,
    Holder,
    ListenError,
    NeedsRestart,
    NoSuchFolder,
    NotASocket,
    NotInherited,
    NotListening,
    NotPermitted,
    PathTooLong,
    PrivilegedPort,
    UnknownHost,
    UnknownOwner,
)
from svctree.listen.grammar import parseAddress
from svctree.listen.inherit import StandardInput, standardInput

if TYPE_CHECKING:
    from svctree.listen.service import ListenerService

__all__ = [
    "GRAMMAR",
    "AbstractAddress",
    "Address",
    "AddressConflict",
    "AddressError",
    "AddressInUse",
    "AddressNotAvailable",
    "BindFailed",
    "DescriptorAddress",
    "Holder",
    "ListenError",
    "ListenerService",
    "NeedsRestart",
    "NoSuchFolder",
    "NotASocket",
    "NotInherited",
    "NotListening",
    "NotPermitted",
    "PathTooLong",
    "PrivilegedPort",
    "StandardInput",
    "StdinAddress",
    "SystemdAddress",
    "TCPAddress",
    "UnixAddress",
    "UnknownHost",
    "UnknownOwner",
    "parseAddress",
    "standardInput",
]

__getattr__ = lazyNames(__name__, {"ListenerService": "service"})
