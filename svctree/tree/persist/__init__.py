"""
Applications in files: saving, loading, encrypting, and the XML document.

Loading a C{python}, C{source} or C{pickle} file runs what is in it, with the rights
of the process: load only files that you would also execute. An C{xml} document
imports and calls the classes it names, and nothing else. A passphrase makes sure that
the file is one that somebody with the passphrase wrote; it is checked before
anything of the file is read otherwise.
"""

from svctree.tree.persist.errors import (
    CannotDescribe,
    CannotSave,
    DocumentError,
    EmptyPassphrase,
    MissingExtra,
    NotSealed,
    PassphraseNeeded,
    PersistenceError,
    SealBroken,
    UnknownKind,
    WrongKind,
)
from svctree.tree.persist.kinds import KINDS, loadApplication
from svctree.tree.persist.persistent import Persistent

__all__ = [
    "KINDS",
    "CannotDescribe",
    "CannotSave",
    "DocumentError",
    "EmptyPassphrase",
    "MissingExtra",
    "NotSealed",
    "PassphraseNeeded",
    "PersistenceError",
    "Persistent",
    "SealBroken",
    "UnknownKind",
    "WrongKind",
    "loadApplication",
]
