"""
The schema as command-line flags, for L{twisted.python.usage}.

A plugin of one's own takes a dozen lines::

    class Options(SettingsOptions):
        optParameters = [["colour", None, "blue", "of the shed"]]

    def makeService(options):
        return makeTree(options.settings)

The only module of this package that imports Twisted.
"""

from __future__ import annotations

import getopt
import shutil
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from twisted.python import usage

from svctree.settings.kinds import Boolean
from svctree.settings.option import Option, optionsOf
from svctree.settings.problems import BadValue, SettingsError, nearest
from svctree.settings.schema import Settings
from svctree.settings.sources import loadSettings

__all__ = ["SettingsOptions", "UnknownFlag", "describeOptions"]

_COLUMN = 30

_ARGUMENT = {"application": "the application is the argument MODULE:NAME"}


class UnknownFlag(usage.UsageError):
    """
    A flag that does not exist.
    """

    def __init__(self, flag: str, known: Iterable[str], instead: str = "") -> None:
        """
        @param flag: as it was given, with its dashes.
        @param instead: what to do, where it is not just a slip of the pen.
        """
        close = nearest(flag, known)
        if instead:
            hint = f"; {instead}"
        elif close:
            hint = f"; did you mean {close}?"
        else:
            hint = "; --help shows them all"
        super().__init__(f"unknown flag {flag}{hint}")


class SettingsOptions(usage.Options):
    """
    A base class whose subclasses have a flag for each option of L{Settings}, and the
    application as the argument. Options of one's own are added as to any
    L{usage.Options}.

    Flags and the argument may come in any order. A boolean option is C{--preload} or
    C{--no-preload}, or C{--preload=no}. Repeatable flags add up.

    @cvar notHere: options without a flag; each with the hint for somebody who tries,
        or C{""}.
    @cvar application: what is served when no argument names another application;
        by default the embedded demo.
    """

    notHere: ClassVar[Mapping[str, str]] = {}
    application: ClassVar[str | None] = None
    synopsis = "[options] [MODULE:NAME]"
    longdesc = ""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for option in cls.options():
            attribute = "opt_" + option.name.replace("-", "_")
            if hasattr(cls, attribute):
                continue
            if isinstance(option.kind, Boolean):
                setattr(cls, attribute, _flag(option, "yes"))
                setattr(cls, attribute.replace("_", "_no_", 1), _flag(option, "no"))
            else:
                setattr(cls, attribute, _parameter(option))

    def __init__(self) -> None:
        super().__init__()
        self.given: list[tuple[str, str]] = []
        self._settings: Settings | None = None
        self._failed = False

    @classmethod
    def options(cls) -> list[Option]:
        """
        @return: the options that have a flag here.
        """
        return [
            one
            for one in optionsOf(Settings)
            if one.name != "application" and one.name not in cls.notHere
        ]

    @property
    def settings(self) -> Settings:
        """
        The settings from the environment and the flags.

        @raise SettingsError: they cannot be used; when the flags were parsed by
            L{parseOptions}, that has raised C{UsageError} already.
        """
        if self._settings is None:
            self._settings = self.loadSettings()
        return self._settings

    def loadSettings(self, path: str | None = None) -> Settings:
        """
        @param path: a configuration file to go below the environment and the flags.
        """
        given = list(self.given)
        if self.application and "application" not in dict(given):
            given.append(("application", self.application))
        return loadSettings(path, flags=given)

    def take(self, option: Option, text: str) -> None:
        """
        One flag was met.
        """
        self.given.append((option.name, text))
        if option.kind.repeatable:
            self[option.name] = [*self.get(option.name, ()), text]
        else:
            self[option.name] = text

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        if options is None or "--_shell-completion" in options:
            super().parseOptions(options)
            return
        try:
            super().parseOptions(self.normalised(options))
        except usage.UsageError:
            self._failed = True
            raise

    def normalised(self, arguments: Sequence[str]) -> list[str]:
        """
        @return: C{arguments} with the flags first and in their long form.
        @raise usage.UsageError: a flag is unknown, or lacks its value.
        """
        spelled = [self._withoutYes(one) for one in _untilDashes(arguments)]
        spelled += arguments[len(spelled) :]
        try:
            flags, others = self.split(spelled)
        except getopt.GetoptError as error:
            raise self._explained(error) from None
        found = []
        for flag, value in flags:
            takesValue = flag[2:] + "=" in self.longOpt
            found.append(f"{flag}={value}" if takesValue else flag)
            if not flag.startswith("--") and value:
                found[-1] = flag + value
        return [*found, "--", *others]

    def split(
        self, arguments: Sequence[str]
    ) -> tuple[list[tuple[str, str]], list[str]]:
        """
        @return: the flags, and what remains; by default flags may stand anywhere.
        """
        return getopt.gnu_getopt(arguments, self.shortOpt, self.longOpt)

    def _withoutYes(self, argument: str) -> str:
        """
        @return: C{--name=no} as C{--no-name}, for boolean options.
        """
        name, equals, text = argument.partition("=")
        if not equals or f"no-{name[2:]}" not in self.longOpt:
            return argument
        try:
            return name if Boolean().fromText(text) else f"--no-{name[2:]}"
        except BadValue as error:
            raise usage.UsageError(f"{name}: {error}") from None

    def _explained(self, error: getopt.GetoptError) -> usage.UsageError:
        dashes = "-" if len(error.opt) == 1 else "--"
        flag = dashes + error.opt
        known = ["--" + one.rstrip("=") for one in self.longOpt]
        if "requires argument" in error.msg:
            kinds = {"--" + one.name: one.kind for one in self.options()}
            kind = kinds.get(flag)
            wanted = kind.expected if kind else "a value"
            return usage.UsageError(f"{flag} needs a value: {wanted}")
        if "must not have" in error.msg:
            return usage.UsageError(f"{flag} takes no value")
        if "unique prefix" in error.msg:
            fits = [one for one in known if one.startswith(flag)]
            return usage.UsageError(f"{flag} could be {' or '.join(fits)}")
        instead = {**_ARGUMENT, **self.notHere}.get(error.opt, "")
        return UnknownFlag(flag, known, instead)

    def parseArgs(self, *names: str) -> None:
        if len(names) > 1:
            raise usage.UsageError(
                f"got {' '.join(names)!r}, expected one application as MODULE:NAME"
            )
        for name in names:
            self["application"] = name
            self.given.append(("application", name))

    def postOptions(self) -> None:
        """
        Check the settings while there is somebody to tell.
        """
        try:
            _ = self.settings
        except SettingsError as error:
            raise usage.UsageError(str(error)) from None

    def opt_version(self) -> None:
        """
        Display the version and exit.
        """
        from svctree import __version__

        print(f"svctree {__version__}")  # noqa: T201
        raise SystemExit(0)

    def getUsage(self, width: int | None = None) -> str:
        if self._failed:
            # twistd prints this above the error, which must not scroll away.
            return "--help shows the options\n"
        ours = self.options()
        names = {one.name for one in ours}
        text = describeOptions(ours, width)
        others = []
        for one in self.longOpt:
            name = one.rstrip("=")
            if name not in names and name.removeprefix("no-") not in names:
                others.append(_described(f"--{one}", self.docs.get(name) or "", width))
        return text + "\nOther:\n" + "".join(others) + self.longdesc


def describeOptions(options: Iterable[Option], width: int | None = None) -> str:
    """
    @param width: of the terminal; L{None} to find out.
    @return: the flags, by group, as C{--help} shows them.
    """
    chunks = []
    group = ""
    for option in options:
        if option.group != group:
            group = option.group
            chunks.append(f"\n{group}:\n")
        chunks.append(_described(_spelled(option), _documented(option), width))
    return "".join(chunks)


def _spelled(option: Option) -> str:
    if isinstance(option.kind, Boolean):
        return f"--[no-]{option.name}"
    return f"--{option.name}={option.kind.metavar}"


def _documented(option: Option) -> str:
    default = option.shown or option.render(option.default)
    again = "; repeatable" if option.kind.repeatable else ""
    return option.doc + again + (f" [{default}]" if default else "")


def _described(flag: str, doc: str, width: int | None) -> str:
    if width is None:
        width = min(shutil.get_terminal_size().columns, 100)
    lines = textwrap.wrap(" ".join(doc.split()), max(width - _COLUMN, 30)) or [""]
    head = f"  {flag}"
    if len(head) > _COLUMN - 2:
        lines.insert(0, head)
    else:
        lines[0] = f"{head:<{_COLUMN}}{lines[0]}"
    return ("\n" + " " * _COLUMN).join(lines).rstrip() + "\n"


def _untilDashes(arguments: Sequence[str]) -> list[str]:
    found = list(arguments)
    return found[: found.index("--")] if "--" in found else found


def _flag(option: Option, text: str) -> Callable[[SettingsOptions], None]:
    def handler(self: SettingsOptions) -> None:
        self.take(option, text)

    handler.__doc__ = option.doc
    return handler


def _parameter(option: Option) -> Callable[[SettingsOptions, str], None]:
    def handler(self: SettingsOptions, value: str) -> None:
        self.take(option, value)

    handler.__doc__ = option.doc
    return handler
