"""
OS process integration.

The names are loaded when they are first used: a command that only looks for a
daemon, or a parent that waits for one, needs no reactor and no Twisted.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from svctree.process.holder import Holder
    from svctree.process.identity import Identity, IdentityError
    from svctree.process.pidfile import (
        AlreadyRunning,
        NoPidFile,
        PidFile,
        PidFileError,
    )
    from svctree.process.signals import SignalService, Stopper, eachService, hurryTree
    from svctree.process.surroundings import (
        SurroundingsError,
        changeDirectory,
        changeRoot,
        setUmask,
    )

__all__ = [
    "AlreadyRunning",
    "Holder",
    "Identity",
    "IdentityError",
    "NoPidFile",
    "PidFile",
    "PidFileError",
    "SignalService",
    "Stopper",
    "SurroundingsError",
    "changeDirectory",
    "changeRoot",
    "eachService",
    "hurryTree",
    "setUmask",
]

_HOMES = {
    "AlreadyRunning": "pidfile",
    "Holder": "holder",
    "Identity": "identity",
    "IdentityError": "identity",
    "NoPidFile": "pidfile",
    "PidFile": "pidfile",
    "PidFileError": "pidfile",
    "SignalService": "signals",
    "Stopper": "signals",
    "SurroundingsError": "surroundings",
    "changeDirectory": "surroundings",
    "changeRoot": "surroundings",
    "eachService": "signals",
    "hurryTree": "signals",
    "setUmask": "surroundings",
}


def __getattr__(name: str) -> object:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(
            f"module 'svctree.process' has no attribute {name!r}"
        ) from None
    return getattr(importlib.import_module(f"svctree.process.{home}"), name)
