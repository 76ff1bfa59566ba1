"""
What is wrong with settings, and where: every problem at once, for people.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["BAD_CONFIGURATION", "BadValue", "Problem", "SettingsError", "nearest"]

# EX_CONFIG of sysexits.h, as OpenBSD and php-fpm use it.
BAD_CONFIGURATION = 78


def nearest(name: str, known: Iterable[str], closeness: float = 0.6) -> str | None:
    """
    @param closeness: from 0.0 (anything will do) to 1.0 (only the name itself).
    @return: the known name that C{name} was probably meant to be.
    """
    import difflib

    found = difflib.get_close_matches(name, list(known), n=1, cutoff=closeness)
    return found[0] if found else None


class BadValue(ValueError):
    """
    A value that an option does not take; the message says what is expected.
    """


class Problem:
    """
    One thing that is wrong.

    @ivar place: where it stands, e.g. C{/etc/app.ini:7}, C{--workers},
        C{SVCTREE_WORKERS}, C{keyword maxRequests}.
    @ivar message: what was found, what was expected.
    """

    __slots__ = ("message", "place")

    def __init__(self, place: str, message: str) -> None:
        self.place = place
        self.message = message

    def __repr__(self) -> str:
        return f"<Problem {self}>"

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class SettingsError(ValueError):
    """
    Settings that cannot be used.

    @ivar problems: all of them, in the order in which they were found.
    @ivar exitStatus: what the process ends with.
    @ivar salvaged: the L{svctree.settings.Settings} without what is wrong, for
        those who only want to find a running daemon; L{None} when there are none.
    """

    exitStatus = BAD_CONFIGURATION
    salvaged: Any = None

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
