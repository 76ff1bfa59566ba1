"""
The persistable side of an application.
"""

from __future__ import annotations

import os

from twisted.logger import Logger
from twisted.persisted import sob
from zope.interface import implementer

from svctree.tree.persist.errors import UnknownKind
from svctree.tree.persist.files import writeWhole
from svctree.tree.persist.kinds import EXTENSIONS, KINDS, encode
from svctree.tree.persist.sealed import seal

__all__ = ["Persistent"]


@implementer(sob.IPersistable)
class Persistent(sob.Persistent):  # type: ignore[misc]
    """
    Saves an application to a file, as Twisted's own does, and also as C{xml} and
    C{python}, and encrypted.

    @ivar original: the application.
    @ivar name: its name; file names derive from it.
    @ivar style: the kind of file that L{save} writes, one of L{KINDS}.
    """

    _log = Logger()

    def setStyle(self, style: str) -> None:
        """
        Choose the kind of file.

        @param style: one of L{KINDS}.
        @raise UnknownKind: it is not.
        """
        if style not in KINDS:
            raise UnknownKind(style, KINDS)
        self.style = style

    def save(
        self,
        tag: str | None = None,
        filename: str | os.PathLike[str] | None = None,
        passphrase: str | bytes | None = None,
    ) -> None:
        """
        Write the application down. Whatever goes wrong, a file that was there before
        is still whole.

        @param tag: becomes part of the file's name: C{NAME-TAG.tap}.
        @param filename: the whole name, instead of one derived from the
            application's.
        @param passphrase: encrypt the file with it; only the owner may read the file
            then.
        @raise CannotDescribe: as C{xml} or C{python}, a service does not say what
            its settings are.
        @raise MissingExtra: a passphrase was given and C{cryptography} is missing.
        @raise OSError: the file cannot be written.
        """
        content = encode(self.original, self.style)
        if passphrase is not None:
            content = seal(content, passphrase, self.style)
        final = os.fspath(filename) if filename else self._fileName(tag, passphrase)
        writeWhole(final, content, secret=passphrase is not None)
        self._log.info(
            "saved {application} as {kind} to {filename}",
            application=self.name,
            kind=self.style,
            filename=final,
        )

    def _fileName(self, tag: str | None, passphrase: object) -> str:
        sealed = "" if passphrase is None else "e"
        stem = f"{self.name}-{tag}" if tag else f"{self.name}"
        return f"{stem}.{sealed}{EXTENSIONS[self.style]}"
