"""
How a service says what it is made of: its class by dotted name, and the keywords
that make another one like it, as plain data.

Plain data is C{None}, C{bool}, C{int}, C{float}, C{str}, C{bytes}, and C{list},
C{tuple} and C{dict} (with C{str} keys) of these. A class or a function that a module
exports may stand among it: it is written as its dotted name, a L{Reference}.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping

from twisted.python.reflect import namedAny

from svctree.interfaces import IDescribable

__all__ = ["Reference", "dottedName", "madeOf", "plain"]

_BOOKKEEPING = frozenset(
    {"name", "parent", "running", "services", "namedServices", "keepGoing"}
)
"""What every service carries whatever its settings are."""


class Reference(str):
    """
    The dotted name of an object that a module exports.

    A string, so that it is plain data for everyone (JSON, logs); a class of its own,
    so that a saved application can tell it from a string.
    """

    __slots__ = ()

    def resolve(self) -> object:
        """
        Import it.

        @raise ValueError: there is no such object.
        """
        try:
            return namedAny(str(self))
        except Exception as reason:
            # Importing runs the module: whatever that raises makes the name bad.
            raise ValueError(f"cannot import {str(self)!r}: {reason}") from reason


def dottedName(
    thing: type | types.FunctionType | types.BuiltinFunctionType,
) -> Reference:
    """
    @return: the shortest name under which C{thing} can be imported: a class that its
        package exports is named as exported, since private modules come and go.
    @raise ValueError: C{thing} cannot be imported by any name; the message says why.
    """
    module, name = thing.__module__, thing.__qualname__
    if module == "__main__":
        raise ValueError(
            f"{name} lives in the program's main file, which another process cannot "
            "import: move it into a module"
        )
    if "<" in name:
        raise ValueError(f"{module}.{name} is made inside a function: move it out")
    parts = (module or "").split(".")
    homes = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
    # svctree.service is the door for everything of svctree.tree.
    for home in ["svctree.service", *homes]:
        found: object = sys.modules.get(home)
        for attribute in name.split("."):
            found = getattr(found, attribute, None)
        if found is thing:
            return Reference(f"{home}.{name}")
    raise ValueError(f"{module}.{name} is not what that name imports")


def plain(value: object) -> object:
    """
    @return: C{value} as plain data: exported classes and functions have become
        L{Reference}s, subclasses of the plain types are refused.
    @raise ValueError: C{value}, or something in it, is not plain; the message says
        what.
    """
    if value is None or type(value) in (bool, int, float, str, bytes, Reference):
        return value
    if type(value) in (list, tuple):
        assert isinstance(value, (list, tuple))
        return type(value)(plain(item) for item in value)
    if type(value) is dict:
        for key in value:
            if type(key) is not str:
                raise ValueError(f"the key {key!r} of a dict is not a str")
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
        return dottedName(value)
    raise ValueError(
        f"a {type(value).__module__}.{type(value).__qualname__} is not plain data"
    )


def madeOf(service: object) -> tuple[Reference, dict[str, object]]:
    """
    @param service: an C{IService} provider.
    @return: its class, and the keywords to call it with.
    @raise ValueError: there is no saying; the message says why.
    """
    kind = dottedName(type(service))
    describable = IDescribable(service, None)
    if describable is not None:
        settings = describable.settings()
        if not isinstance(settings, Mapping):
            raise ValueError(f"settings() of {kind} returned {settings!r}, no mapping")
        made = {}
        for keyword, value in settings.items():
            try:
                made[keyword] = plain(value)
            except ValueError as problem:
                raise ValueError(f"its setting {keyword}: {problem}") from None
        return kind, made
    if _needsNothing(service):
        # Only our containers have settings without saying so: a subclass with a
        # constructor of its own would be wrong to inherit the promise.
        settings = getattr(service, "settings", dict)()
        return kind, dict(settings)
    raise ValueError(
        f"{kind} does not say what its settings are; "
        "expected a method settings() (svctree.interfaces.IDescribable)"
    )


def _needsNothing(service: object) -> bool:
    """
    @return: whether the class alone makes a service like this one: nothing can be
        passed to it, and nothing was set on it.
    """
    for parent in type(service).__mro__:
        if "__init__" in vars(parent):
            if not _isOurs(parent):
                return False
            break
    return all(
        name in _BOOKKEEPING or name.startswith("_")
        for name in getattr(service, "__dict__", {})
    )


def _isOurs(parent: type) -> bool:
    # The containers' constructors take nothing in Twisted; ours tell their settings.
    ours = ("twisted.application.service", "svctree.tree.books")
    return parent is object or parent.__module__ in ours
