"""
What a supervisor knows about a child beforehand.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from svctree.tree.errors import UnknownOption
from svctree.tree.health import HealthCheck


class Restart(str, enum.Enum):
    """
    Whether a child that went down is started again.
    """

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    TEMPORARY = "temporary"

    def __str__(self) -> str:
        return self.value


class Strategy(str, enum.Enum):
    """
    Who is restarted with a child that went down.
    """

    ONE_FOR_ONE = "oneForOne"
    ONE_FOR_ALL = "oneForAll"
    REST_FOR_ONE = "restForOne"

    def __str__(self) -> str:
        return self.value


class AutoShutdown(str, enum.Enum):
    """
    When a supervisor goes down because significant children have ended.
    """

    NEVER = "never"
    ANY_SIGNIFICANT = "anySignificant"
    ALL_SIGNIFICANT = "allSignificant"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class ChildSpec:
    """
    How a child is started, stopped and restarted.

    @ivar factory: makes a fresh instance for each restart; without one the same
        object is started again.
    @ivar restart: C{permanent} (always), C{transient} (after an error) or
        C{temporary} (never: it is dropped when it goes down).
    @ivar startTimeout: seconds to be up in, L{None} for any time.
    @ivar stopTimeout: seconds to stop in, L{None} for any time, 0 to kill at once.
    @ivar significant: its end may end the supervisor, see L{AutoShutdown}.
    @ivar after: names of siblings that have to be up (or to have failed) before.
    @ivar requires: names of siblings that have to be up before.
    @ivar health: a check that is made while the child is up.
    """

    factory: Callable[[], Any] | None = None
    restart: Restart = Restart.PERMANENT
    startTimeout: float | None = None
    stopTimeout: float | None = None
    significant: bool = False
    after: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    health: HealthCheck | None = None

    def changed(self, path: str, options: Mapping[str, Any]) -> ChildSpec:
        """
        @return: this spec with C{options} in it.
        @raise UnknownOption: there is no such option, or its value makes no sense.
        """
        known = [field.name for field in fields(self)]
        checkKnown(path, options, known)
        values = dict(options)
        if "restart" in values:
            values["restart"] = oneOf(Restart, values["restart"], path, "restart")
        for name in ("after", "requires"):
            if name in values:
                values[name] = namesOf(path, name, values[name])
        for name in ("startTimeout", "stopTimeout"):
            seconds = values.get(name)
            if seconds is not None:
                checkNumber(path, name, seconds, 0, "seconds or None")
        if not callable(values.get("factory", dict)):
            raise UnknownOption(path, "factory", values["factory"], "a callable")
        if not isinstance(values.get("health"), HealthCheck | None):
            raise UnknownOption(path, "health", values["health"], "a HealthCheck")
        return replace(self, **values)

    def options(self, defaults: ChildSpec) -> dict[str, object]:
        """
        @return: what differs from C{defaults}, as plain data.
        """
        found: dict[str, object] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value != getattr(defaults, field.name):
                found[field.name] = str(value) if isinstance(value, Restart) else value
        return found


def oneOf(kind: type[enum.Enum], value: object, path: str, name: str) -> Any:
    """
    @return: the member of C{kind} that C{value} is or names.
    @raise UnknownOption: there is none.
    """
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(repr(member.value) for member in kind)
        raise UnknownOption(path, name, value, f"one of {known}") from None


def checkKnown(path: str, options: Iterable[str], known: Iterable[str]) -> None:
    """
    @raise UnknownOption: one of C{options} is none of the C{known} ones.
    """
    for name in options:
        if name not in known:
            raise UnknownOption(path, "an option", name, f"one of {', '.join(known)}")


def checkNumber(
    path: str,
    name: str,
    value: Any,
    least: float,
    expected: str,
    *,
    whole: bool = False,
) -> None:
    """
    @raise UnknownOption: C{value} is no number, no whole one where it has to be, or
        less than C{least}.
    """
    kinds = int if whole else (int, float)
    if not isinstance(value, kinds) or not value >= least:
        raise UnknownOption(path, name, value, expected)


def namesOf(path: str, name: str, given: Any) -> tuple[str, ...]:
    """
    @param given: names, or a single one, which is easily forgotten to be put in a list.
    @raise UnknownOption: it is something else.
    """
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, Iterable) or not all(isinstance(n, str) for n in names):
        raise UnknownOption(path, name, given, "names of siblings")
    return tuple(names)


__all__ = [
    "AutoShutdown",
    "ChildSpec",
    "Restart",
    "Strategy",
    "checkKnown",
    "checkNumber",
    "namesOf",
    "oneOf",
]
