"""
The kinds of application files, and loading one.
"""

from __future__ import annotations

import os
import pickle

from twisted.persisted import sob

from svctree.tree.persist.document import readDocument, writeDocument
from svctree.tree.persist.errors import (
    CannotSave,
    NotSealed,
    PassphraseNeeded,
    UnknownKind,
    WrongKind,
)
from svctree.tree.persist.program import writeProgram
from svctree.tree.persist.sealed import isSealed, unseal
from svctree.tree.persist.source import writeSource

__all__ = ["EXTENSIONS", "KINDS", "encode", "loadApplication"]

EXTENSIONS = {"pickle": "tap", "source": "tas", "xml": "tax", "python": "tac"}
"""Twisted's own file name extensions; an C{e} before one says "encrypted"."""

KINDS = tuple(EXTENSIONS)


def encode(application: object, kind: str) -> bytes:
    """
    @return: the content of a file that holds C{application}.
    @raise UnknownKind: C{kind} is not one of L{KINDS}.
    @raise CannotSave: it holds something that this kind of file cannot hold.
    @raise CannotDescribe: as C{xml} or C{python}, a service does not say what its
        settings are.
    """
    if kind == "pickle":
        try:
            return pickle.dumps(application, 2)
        except (pickle.PicklingError, AttributeError, TypeError) as problem:
            # What it raises depends on the object and on the version of Python.
            raise CannotSave(kind, str(problem)) from problem
    if kind == "source":
        return writeSource(application)
    if kind == "xml":
        return writeDocument(application)
    if kind == "python":
        return writeProgram(application)
    raise UnknownKind(kind, KINDS)


def loadApplication(
    filename: str | os.PathLike[str],
    kind: str,
    passphrase: str | bytes | None = None,
) -> object:
    """
    Load an application from a file. Of C{python}, C{source} and C{pickle} files the
    content is executed: load only what you trust.

    @param kind: how it was saved: C{pickle}, C{source}, C{xml} or C{python}.
    @param passphrase: the one it was encrypted with. It is checked before anything
        else is done with the content.
    @return: what was saved; of a C{python} file the value of its variable
        C{application}.
    @raise UnknownKind: C{kind} is none of these.
    @raise SealBroken: the passphrase is wrong, or the file was changed.
    @raise NotSealed: a passphrase was given and the file is not encrypted.
    @raise PassphraseNeeded: the file is encrypted and no passphrase was given.
    @raise WrongKind: the encrypted file was saved as another kind.
    @raise DocumentError: the XML document is not one of an application.
    @raise KeyError: the python file sets no variable C{application}.
    @raise OSError: the file cannot be read.
    """
    if kind not in EXTENSIONS:
        raise UnknownKind(kind, KINDS)
    filename = os.fspath(filename)
    with open(filename, "rb") as stream:
        content = stream.read()
    if passphrase is not None:
        if not isSealed(content):
            raise NotSealed(filename)
        found, content = unseal(content, passphrase, filename)
        if found != kind:
            raise WrongKind(filename, found, kind)
    elif isSealed(content):
        raise PassphraseNeeded(filename)
    return _decode(content, kind, filename)


def _decode(content: bytes, kind: str, filename: str) -> object:
    if kind == "python":
        # As in Twisted: what the file sees are its own globals and its name.
        namespace: dict[str, object] = {"__file__": filename}
        exec(compile(content, filename, "exec"), namespace, namespace)
        return namespace["application"]
    if kind == "xml":
        application = readDocument(content, filename)
        sob.IPersistable(application).setStyle("xml")
        return application
    # Twisted's loader stands in for __main__ while it works, and takes a file name
    # only. A decrypted application must not touch the disk: give it memory.
    with open(os.memfd_create("application"), "wb") as memory:
        memory.write(content)
        memory.flush()
        return sob.load(f"/proc/self/fd/{memory.fileno()}", kind)
