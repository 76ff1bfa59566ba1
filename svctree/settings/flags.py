"""
Options as flags of a command line: what C{svctree} and the plugins of C{twistd} have in
common.

Flags and words may come in any order. A boolean option is C{--preload} or
C{--no-preload}, or C{--preload=no}.
"""

from __future__ import annotations

import getopt
from collections.abc import Iterable, Mapping, Sequence

from svctree.settings.kinds import Boolean
from svctree.settings.option import Option
from svctree.settings.problems import BadValue, nearest

__all__ = ["FlagError", "Flags", "longNames", "meaningOf"]

_ARGUMENT = {"application": "the application is the argument MODULE:NAME"}


class FlagError(ValueError):
    """
    A command line that cannot be understood; the message is for people.
    """


def longNames(options: Iterable[Option]) -> list[str]:
    """
    @return: the flags of C{options} as L{getopt} wants them, with C{=} behind those
        that take a value.
    """
    names = []
    for option in options:
        if isinstance(option.kind, Boolean):
            names += [option.name, f"no-{option.name}"]
        else:
            names.append(f"{option.name}=")
    return names


def meaningOf(
    flag: str, text: str, options: Mapping[str, Option]
) -> tuple[str, str] | None:
    """
    @param flag: with its dashes, as L{Flags.split} gives it.
    @param options: by name.
    @return: the name of the option and its text; L{None} for a flag of another kind.
    """
    name = flag[2:]
    option = options.get(name)
    if option is not None:
        return name, "yes" if isinstance(option.kind, Boolean) else text
    option = options.get(name.removeprefix("no-"))
    if option is not None and isinstance(option.kind, Boolean):
        return option.name, "no"
    return None


class Flags:
    """
    The flags that there are.
    """

    def __init__(
        self,
        options: Iterable[Option],
        long: Sequence[str],
        short: str = "",
        instead: Mapping[str, str] | None = None,
    ) -> None:
        """
        @param options: those of the schema among them.
        @param long: all names, as L{getopt} wants them.
        @param short: all letters, likewise.
        @param instead: for names that are no flags here, what to do.
        """
        self._kinds = {"--" + one.name: one.kind for one in options}
        self._long = list(long)
        self._short = short
        self._instead = {**_ARGUMENT, **(instead or {})}

    def split(
        self, arguments: Sequence[str]
    ) -> tuple[list[tuple[str, str]], list[str]]:
        """
        @return: the flags with their values, in full, and the words that remain.
        @raise FlagError: a flag is unknown, or lacks its value.
        """
        ours = _untilDashes(arguments)
        spelled = [self._withoutYes(one) for one in ours]
        try:
            return getopt.gnu_getopt(
                [*spelled, *arguments[len(ours) :]], self._short, self._long
            )
        except getopt.GetoptError as error:
            raise self._explained(error) from None

    def _withoutYes(self, argument: str) -> str:
        """
        @return: C{--name=no} as C{--no-name}, for boolean options.
        """
        name, equals, text = argument.partition("=")
        if not equals or f"no-{name[2:]}" not in self._long:
            return argument
        try:
            return name if Boolean().fromText(text) else f"--no-{name[2:]}"
        except BadValue as error:
            raise FlagError(f"{name}: {error}") from None

    def _explained(self, error: getopt.GetoptError) -> FlagError:
        flag = ("-" if len(error.opt) == 1 else "--") + error.opt
        known = ["--" + one.rstrip("=") for one in self._long]
        if "requires argument" in error.msg:
            kind = self._kinds.get(flag)
            wanted = kind.expected if kind else "a value"
            return FlagError(f"{flag} needs a value: {wanted}")
        if "must not have" in error.msg:
            return FlagError(f"{flag} takes no value")
        if "unique prefix" in error.msg:
            fits = [one for one in known if one.startswith(flag)]
            return FlagError(f"{flag} could be {' or '.join(fits)}")
        instead = self._instead.get(error.opt, "")
        close = nearest(flag, known)
        if instead:
            hint = instead
        elif close:
            hint = f"did you mean {close}?"
        else:
            hint = "--help shows them all"
        return FlagError(f"unknown flag {flag}; {hint}")


def _untilDashes(arguments: Sequence[str]) -> list[str]:
    found = list(arguments)
    return found[: found.index("--")] if "--" in found else found
