"""
The command line of C{svctree}: a command, its argument, and flags anywhere.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import NamedTuple

from svctree import __version__
from svctree.settings import Settings, SettingsError, loadSettings, nearest, optionsOf
from svctree.settings.flags import FlagError, Flags, longNames, meaningOf

__all__ = ["COMMANDS", "Command", "CommandOptions", "usage"]


class Command(NamedTuple):
    """
    A word on the command line.

    @ivar argument: the placeholder for what may follow it, or C{""}.
    """

    argument: str
    doc: str


COMMANDS = {
    "run": Command("[MODULE:NAME]", "serve in the foreground"),
    "start": Command("[MODULE:NAME]", "start the daemon; returns when it serves"),
    "stop": Command("", "stop the daemon; returns when it is gone"),
    "restart": Command("", "stop, then start"),
    "reload": Command("", "replace the workers by new ones with fresh code"),
    "logrotate": Command("", "reopen the log files"),
    "logreopen": Command("", "the same"),
    "status": Command("", "show pools and workers"),
    "tree": Command("", "show the tree of services"),
    "top": Command("", "show the workers at work, again and again"),
    "scale": Command("N", "have N workers"),
    "check": Command("", "read and check the configuration, touch nothing"),
    "settings": Command("", "show every setting and where it comes from"),
}

# As getopt wants them, with what they do.
_OURS = {
    "json": "status, tree, settings: print JSON",
    "no-wait": "stop, restart: do not wait for the end of the daemon",
    "config=": "the configuration file",
    "pool=": "reload, scale: the pool, where there are several",
    "help": "Display this help and exit.",
    "version": "Display the version and exit.",
}
_LETTERS = "c:h"

_SERVING = ("run", "start", "check", "settings", "restart")


class CommandOptions:
    """
    What was asked for.

    @ivar command: the name of the command.
    @ivar count: the number after C{scale}.
    @ivar config: the path of the configuration file, or L{None}.
    @ivar pool: whom C{scale} and C{reload} are about; L{None} for the only one.
    @ivar json: print results as JSON.
    @ivar noWait: do not wait for the end of a daemon.
    """

    def __init__(self) -> None:
        self.command = ""
        self.count = 0
        self.config: str | None = None
        self.pool: str | None = None
        self.json = self.noWait = False
        self._given: list[tuple[str, str]] = []
        self._settings: Settings | None = None

    def parseOptions(self, arguments: Sequence[str]) -> None:
        """
        @param arguments: of the process, without its name.
        @raise FlagError: they make no sense.
        @raise SystemExit: help or the version was asked for, and printed.
        """
        options = {
            one.name: one for one in optionsOf(Settings) if one.name != "application"
        }
        known = Flags(
            options.values(), [*_OURS, *longNames(options.values())], _LETTERS
        )
        flags, words = known.split(arguments)
        for flag, text in flags:
            meant = meaningOf(flag, text, options)
            if meant is None:
                self._takeOurs(flag, text)
            else:
                self._given.append(meant)
        self._takeWords(words)

    def _takeOurs(self, flag: str, text: str) -> None:
        if flag in ("--help", "-h"):
            sys.stdout.write(usage() + "\n")
            raise SystemExit(0)
        if flag == "--version":
            sys.stdout.write(f"svctree {__version__}\n")
            raise SystemExit(0)
        if flag in ("--config", "-c"):
            self.config = text
        elif flag == "--pool":
            self.pool = text
        elif flag == "--json":
            self.json = True
        else:
            assert flag == "--no-wait"
            self.noWait = True

    def _takeWords(self, words: Sequence[str]) -> None:
        if not words:
            raise FlagError(
                "a command is missing; svctree --help shows them, svctree run serves "
                "a demonstration"
            )
        self.command, *rest = words
        if self.command not in COMMANDS:
            raise FlagError(_unknown(self.command))
        if self.command == "scale":
            self._takeCount(rest)
        elif self.command in _SERVING:
            if len(rest) > 1:
                raise FlagError(
                    f"got {' '.join(rest)!r}, expected one application as MODULE:NAME"
                )
            self._given += [("application", name) for name in rest]
        elif rest:
            raise FlagError(f"{self.command} takes no argument, got {' '.join(rest)!r}")

    def _takeCount(self, words: Sequence[str]) -> None:
        if len(words) != 1 or not re.fullmatch("[0-9]{1,6}", words[0]):
            raise FlagError(
                "scale needs a number of workers, such as: svctree -c FILE scale 4"
            )
        self.count = int(words[0])

    @property
    def settings(self) -> Settings:
        """
        The settings. They are read when they are first asked for, since some commands
        can do with a broken file.

        @raise SettingsError: they cannot be used.
        """
        if self._settings is None:
            self._settings = loadSettings(self.config, flags=self._given)
        return self._settings

    @property
    def salvagedSettings(self) -> tuple[Settings, SettingsError | None]:
        """
        The settings as far as they can be used, and what is wrong with them.

        @raise SettingsError: nothing can be used.
        """
        try:
            return self.settings, None
        except SettingsError as error:
            if error.salvaged is None:
                raise
            return error.salvaged, error


def usage(width: int | None = None) -> str:
    """
    @param width: of the terminal; L{None} to find out.
    @return: what C{--help} shows.
    """
    from svctree.settings.flaghelp import describeFlag, describeOptions

    lines = ["Usage: svctree [options] COMMAND [argument]", "", "Commands:"]
    for name, command in COMMANDS.items():
        head = f"  {name} {command.argument}"
        lines.append(f"{head:<30}{command.doc}")
    options = [one for one in optionsOf(Settings) if one.name != "application"]
    ours = [describeFlag(f"--{flag}", doc, width) for flag, doc in _OURS.items()]
    return (
        "\n".join(lines)
        + "\n"
        + describeOptions(options, width)
        + "\nOther:\n"
        + "".join(ours)
    )


def _unknown(word: str) -> str:
    close = nearest(word, COMMANDS)
    if close:
        return f"unknown command {word}; did you mean {close}?"
    if ":" in word or "." in word:
        return f"unknown command {word}; to serve it: svctree run {word}"
    return f"unknown command {word}, expected one of {', '.join(COMMANDS)}"
