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

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from twisted.python import usage

from svctree.settings.flaghelp import describeFlag, describeOptions
from svctree.settings.flags import FlagError, Flags, longNames
from svctree.settings.kinds import Boolean
from svctree.settings.option import Option, optionsOf
from svctree.settings.problems import SettingsError
from svctree.settings.schema import Settings
from svctree.settings.sources import loadSettings

__all__ = ["SettingsOptions"]


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
        except (FlagError, usage.UsageError) as error:
            self._failed = True
            raise usage.UsageError(str(error)) from None

    def normalised(self, arguments: Sequence[str]) -> list[str]:
        """
        @return: C{arguments} with the flags first and in their long form.
        @raise FlagError: a flag is unknown, or lacks its value.
        """
        known = Flags(self.options(), self.longOpt, self.shortOpt, self.notHere)
        flags, others = known.split(arguments)
        found = []
        for flag, value in flags:
            takesValue = flag[2:] + "=" in self.longOpt
            found.append(f"{flag}={value}" if takesValue else flag)
            if not flag.startswith("--") and value:
                found[-1] = flag + value
        return [*found, "--", *others]

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
        shown = set(longNames(ours))
        return (
            describeOptions(ours, width)
            + "\nOther:\n"
            + "".join(
                describeFlag(f"--{one}", self.docs.get(one.rstrip("=")) or "", width)
                for one in self.longOpt
                if one not in shown
            )
            + self.longdesc
        )


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
