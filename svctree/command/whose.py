"""
Whether the user and the group of the settings exist.
"""

from __future__ import annotations

from collections.abc import Iterator

from svctree.process.identity import Identity, IdentityError
from svctree.settings import Problem, Settings, SettingsError

__all__ = ["identityFindings", "refuse", "requireIdentity"]


def requireIdentity(settings: Settings) -> None:
    """
    @raise SettingsError: the user or the group does not exist.
    """
    refuse(settings, identityFindings(settings))


def refuse(settings: Settings, findings: Iterator[tuple[str, str]]) -> None:
    """
    @param findings: names of options, and what is wrong with them.
    @raise SettingsError: there are some.
    """
    problems = []
    for option, message in findings:
        origin = settings.origins.get(option, "")
        named = message if origin.startswith("--") else f"{option}: {message}"
        problems.append(Problem(origin, named))
    if problems:
        raise SettingsError(problems)


def identityFindings(settings: Settings) -> Iterator[tuple[str, str]]:
    """
    @return: as L{refuse} takes them.
    """
    try:
        Identity.resolve(settings.user)
    except IdentityError as error:
        yield "user", _withoutName(error)
    try:
        Identity.resolve(None, settings.group)
    except IdentityError as error:
        yield "group", _withoutName(error)


def _withoutName(error: Exception) -> str:
    return str(error).partition(": ")[2]
