"""
An application as Python text that lists all objects with all their attributes:
Twisted's C{aot} format, read by Twisted's own loader.
"""

from __future__ import annotations

import types
from typing import Any

from twisted.persisted.aot import AOTJellier, getSource

from svctree.tree.persist.errors import CannotSave

__all__ = ["writeSource"]


def writeSource(application: object) -> bytes:
    """
    @return: the content of the file, in UTF-8.
    @raise CannotSave: there is an object that the format cannot give back.
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

    def jellyToAO(self, obj: Any) -> Any:
        kind: Any = type(obj)
        special = (
            kind.__reduce__ is not object.__reduce__
            or kind.__reduce_ex__ is not object.__reduce_ex__
        )
        if special and not isinstance(obj, _KNOWN):
            # It would be written as if it were an ordinary object, and fail to load.
            raise CannotSave("source", f"it cannot hold a {kind.__qualname__}: {obj!r}")
        return super().jellyToAO(obj)

    def prepareForRef(self, aoref: object, object: object) -> None:
        super().prepareForRef(aoref, object)
        self._seen.append(object)


_KNOWN = (types.FunctionType, types.MethodType, types.ModuleType, type)
