"""
The command line of C{svctree}: a command, its argument, and flags anywhere.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from twisted.python import usage

from svctree.settings import Settings, SettingsError, nearest
from svctree.settings.usageflags import SettingsOptions

__all__ = ["COMMANDS", "Command", "CommandOptions"]


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

_SERVING = ("run", "start", "check", "settings", "restart")


class CommandOptions(SettingsOptions):
    """
    What was asked for.

    @ivar command: the name of the command.
    @ivar count: the number after C{scale}.
    @ivar pool: whom C{scale} and C{reload} are about; L{None} for the only one.
    """

    synopsis = "Usage: svctree [options] COMMAND [argument]"
    optFlags = [
        ["json", None, "status, tree, settings: print JSON"],
        ["no-wait", None, "stop, restart: do not wait for the end of the daemon"],
    ]
    optParameters = [
        ["config", "c", None, "the configuration file"],
        ["pool", None, None, "reload, scale: the pool, where there are several"],
    ]

    def __init__(self) -> None:
        super().__init__()
        self.command = ""
        self.count = 0

    @property
    def config(self) -> str | None:
        """
        The path of the configuration file.
        """
        found: str | None = self["config"]
        return found

    def opt_h(self) -> None:
        """
        Display this help and exit.
        """
        self.opt_help()  # type: ignore[no-untyped-call]

    def parseArgs(self, *words: str) -> None:
        if not words:
            raise usage.UsageError(
                "a command is missing; svctree --help shows them, svctree run serves "
                "a demonstration"
            )
        self.command, *rest = words
        if self.command not in COMMANDS:
            raise usage.UsageError(_unknown(self.command))
        if self.command == "scale":
            self._parseCount(rest)
        elif self.command in _SERVING:
            super().parseArgs(*rest)
        elif rest:
            raise usage.UsageError(
                f"{self.command} takes no argument, got {' '.join(rest)!r}"
            )

    def _parseCount(self, words: list[str]) -> None:
        if len(words) != 1 or not re.fullmatch("[0-9]{1,6}", words[0]):
            raise usage.UsageError(
                "scale needs a number of workers, such as: svctree -c FILE scale 4"
            )
        self.count = int(words[0])

    def postOptions(self) -> None:
        """
        The settings are read by the command: some can do with a broken file.
        """

    @property
    def settings(self) -> Settings:
        """
        @raise SettingsError: they cannot be used.
        """
        if self._settings is None:
            self._settings = self.loadSettings(self.config)
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

    def getSynopsis(self) -> str:
        return self.synopsis

    def getUsage(self, width: int | None = None) -> str:
        if self._failed:
            return super().getUsage(width)
        return _commands() + super().getUsage(width)


def _commands() -> str:
    lines = ["", "Commands:"]
    for name, command in COMMANDS.items():
        head = f"  {name} {command.argument}"
        lines.append(f"{head:<30}{command.doc}")
    return "\n".join(lines) + "\n"


def _unknown(word: str) -> str:
    close = nearest(word, COMMANDS)
    if close:
        return f"unknown command {word}; did you mean {close}?"
    if ":" in word or "." in word:
        return f"unknown command {word}; to serve it: svctree run {word}"
    return f"unknown command {word}, expected one of {', '.join(COMMANDS)}"
