"""
Names that a package loads when they are first used (PEP 562).

What a worker, or a command that waits for a daemon, imports of a package must not
bring in Twisted with the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

__all__ = ["lazyNames"]


def lazyNames(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """
    @param package: the C{__name__} of the package.
    @param homes: for each public name the module inside the package that has it.
    @return: the package's C{__getattr__}.
    """

    def find(name: str) -> object:
        try:
            home = homes[name]
        except KeyError:
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message) from None
        return getattr(import_module(f"{package}.{home}"), name)

    return find
