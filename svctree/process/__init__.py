"""
OS process integration.
"""

from svctree.process.identity import Identity, IdentityError
from svctree.process.signals import SignalService, Stopper, eachService, hurryTree
from svctree.process.surroundings import (
    SurroundingsError,
    changeDirectory,
    changeRoot,
    setUmask,
)

__all__ = [
    "Identity",
    "IdentityError",
    "SignalService",
    "Stopper",
    "SurroundingsError",
    "changeDirectory",
    "changeRoot",
    "eachService",
    "hurryTree",
    "setUmask",
]
