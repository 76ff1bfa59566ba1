"""
Addresses and sockets.

The names are loaded when they are first used: addresses are plain values and load no
Twisted, the service does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from svctree.lazy import lazyNames

if TYPE_CHECKING:
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
    from svctree.listen.service import ListenerService
    from svctree.listen.standard import StandardInput, standardInput

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

_HOMES = {
    "AbstractAddress": "address",
    "Address": "address",
    "AddressConflict": "errors",
    "AddressError": "errors",
    "AddressInUse": "errors",
    "AddressNotAvailable": "errors",
    "BindFailed": "errors",
    "DescriptorAddress": "address",
    "GRAMMAR": "errors",
    "Holder": "errors",
    "ListenError": "errors",
    "ListenerService": "service",
    "NeedsRestart": "errors",
    "NoSuchFolder": "errors",
    "NotASocket": "errors",
    "NotInherited": "errors",
    "NotListening": "errors",
    "NotPermitted": "errors",
    "PathTooLong": "errors",
    "PrivilegedPort": "errors",
    "StandardInput": "standard",
    "StdinAddress": "address",
    "SystemdAddress": "address",
    "TCPAddress": "address",
    "UnixAddress": "address",
    "UnknownHost": "errors",
    "UnknownOwner": "errors",
    "parseAddress": "grammar",
    "standardInput": "standard",
}

__getattr__ = lazyNames(__name__, _HOMES)
