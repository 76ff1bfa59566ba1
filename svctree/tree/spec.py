"""
What a supervisor knows about a child beforehand.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
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
        for name in options:
            if name not in known:
                raise UnknownOption(
                    f"{path}: {name!r} is no option of a child, expected one of "
                    f"{', '.join(known)}",
                    path,
                )
        values = dict(options)
        if "restart" in values:
            values["restart"] = oneOf(Restart, values["restart"], path, "restart")
        for name in ("after", "requires"):
            if name in values:
                given = values[name]
                values[name] = (given,) if isinstance(given, str) else tuple(given)
        for name in ("startTimeout", "stopTimeout"):
            seconds = values.get(name)
            if seconds is not None and seconds < 0:
                raise UnknownOption(
                    f"{path}: {name} is {seconds!r}, expected seconds or None", path
                )
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
        raise UnknownOption(
            f"{path}: {name} is {value!r}, expected one of {known}", path
        ) from None


__all__ = ["AutoShutdown", "ChildSpec", "Restart", "Strategy", "oneOf"]
