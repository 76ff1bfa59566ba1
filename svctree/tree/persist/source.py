"""
An application as Python text that lists all objects with all their attributes:
Twisted's C{aot} format, read by Twisted's own loader.
"""

from __future__ import annotations

from twisted.persisted.aot import AOTJellier, getSource

__all__ = ["writeSource"]


def writeSource(application: object) -> bytes:
    """
    @return: the content of the file, in UTF-8.
    """
    return str(getSource(_Jellier().jelly(application))).encode("utf-8")


class _Jellier(AOTJellier):  # type: ignore[misc]
    """
    Keeps what it has seen alive. Twisted's remembers objects by C{id()} only; since
    Python 3.11 C{__getstate__} makes a new dict for each object, which is freed at
    once, and the next one at the same address is written as a reference to it:
    C{Application("x", 3)} loses its uid.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen: list[object] = []

    def prepareForRef(self, aoref: object, object: object) -> None:
        super().prepareForRef(aoref, object)
        self._seen.append(object)
