"""
What can be wrong with a saved application.
"""

from __future__ import annotations

from collections.abc import Sequence

from svctree.tree.errors import TreeError

__all__ = [
    "CannotDescribe",
    "CannotSave",
    "DocumentError",
    "EmptyPassphrase",
    "MissingExtra",
    "NotSealed",
    "PassphraseNeeded",
    "PersistenceError",
    "SealBroken",
    "UnknownKind",
    "WrongKind",
]


class PersistenceError(TreeError):
    """
    An application could not be saved or loaded.
    """


class UnknownKind(PersistenceError, ValueError):
    """
    C{kind} is none of the ways to write an application down.
    """

    def __init__(self, kind: object, known: Sequence[str]) -> None:
        super().__init__(
            f"{kind!r} is no kind of application file, expected one of: "
            + ", ".join(known)
        )
        self.kind = kind
        self.known = tuple(known)


class CannotSave(PersistenceError):
    """
    The application holds something that this kind of file cannot hold.
    """

    def __init__(self, kind: str, problem: str) -> None:
        super().__init__(f"the application cannot be saved as {kind}: {problem}")
        self.kind = kind
        self.problem = problem


class MissingExtra(PersistenceError):
    """
    An optional package is needed and not installed.
    """

    def __init__(self, purpose: str, package: str, extra: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package}: pip install 'svctree[{extra}]'"
        )
        self.package = package
        self.extra = extra


class EmptyPassphrase(PersistenceError, ValueError):
    """
    A passphrase was given, and is empty.
    """

    def __init__(self) -> None:
        super().__init__(
            "the passphrase is empty; expected at least one character, "
            "or None for a file that is not encrypted"
        )


class _FileError(PersistenceError):
    def __init__(self, filename: str, problem: str) -> None:
        super().__init__(f"{filename}: {problem}")
        self.filename = filename


class SealBroken(_FileError):
    """
    The passphrase does not open the file: it is not the one that the file was saved
    with, or the file was changed since. Which of the two cannot be told.
    """

    def __init__(self, filename: str, damage: str = "") -> None:
        super().__init__(
            filename,
            "wrong passphrase, or the file was changed after it was saved"
            + (f" ({damage})" if damage else "")
            + "; nothing of it was used",
        )


class NotSealed(_FileError):
    """
    A passphrase was given for a file that is not encrypted. Were it ignored, whoever
    can replace the file would need no passphrase.
    """

    def __init__(self, filename: str) -> None:
        super().__init__(
            filename,
            "a passphrase was given but the file is not encrypted; nothing of it "
            "was used. Load it without a passphrase if you trust it",
        )


class PassphraseNeeded(_FileError):
    """
    The file is encrypted and no passphrase was given.
    """

    def __init__(self, filename: str) -> None:
        super().__init__(filename, "the file is encrypted: its passphrase is needed")


class WrongKind(_FileError):
    """
    The passphrase is right, and the file holds another kind of application file.
    """

    def __init__(self, filename: str, found: str, wanted: str) -> None:
        super().__init__(
            filename, f"the file was saved as {found}, not as {wanted}: load it so"
        )
        self.found = found
        self.wanted = wanted


class DocumentError(_FileError):
    """
    An XML document does not describe an application.

    @ivar line: where, counted from 1.
    """

    def __init__(self, filename: str, line: int, problem: str) -> None:
        super().__init__(f"{filename}:{line}", problem)
        self.filename = filename
        self.line = line
        self.problem = problem


class CannotDescribe(PersistenceError, ValueError):
    """
    A service cannot be written as plain data.

    @ivar path: the service, as in C{/web/pool}.
    @ivar problem: why not.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path} cannot be described: {problem}", path)
        self.problem = problem
