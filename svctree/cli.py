"""
The C{svctree} command.

Standard output has results, standard error has everything else; each problem is one
line that begins with C{svctree:}, and details such as a traceback stand below it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from twisted.python import usage

from svctree.command import CommandOptions
from svctree.command.errors import BAD_USAGE
from svctree.command.report import (
    checkSettings,
    settingsAsJson,
    settingsAsText,
    summary,
)
from svctree.settings import SettingsError

__all__ = ["main", "run"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """
    Run the command and exit with its status.

    @param arguments: without the program's name; those of the process by default.
    """
    try:
        status = run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:
        # Whoever read our output (head, less) has seen enough.
        sys.stderr.close()
        status = 0
    raise SystemExit(status)


def run(arguments: Sequence[str]) -> int:
    """
    @return: the exit status.
    """
    options = CommandOptions()
    try:
        options.parseOptions(arguments)
    except usage.UsageError as error:
        complain(str(error))
        return BAD_USAGE
    try:
        return _ACTIONS[options.command](options)
    except SettingsError as error:
        complain(str(error))
        # A flag was mistyped just now; a file is wrong until it is edited.
        mistyped = all(one.place.startswith("--") for one in error.problems)
        return BAD_USAGE if mistyped else error.exitStatus
    except Exception as error:
        status = getattr(error, "exitStatus", None)
        if status is None:
            raise
        complain(str(error), getattr(error, "details", ""))
        return int(status)


def say(text: str) -> None:
    """
    Print a result.
    """
    sys.stdout.write(text + "\n")


def complain(message: str, details: str = "") -> None:
    """
    Print a problem; one line each where there are several.
    """
    for line in message.splitlines():
        sys.stderr.write(f"svctree: {line}\n")
    if details.strip():
        sys.stderr.write(details.rstrip() + "\n")
    sys.stderr.flush()


def _settings(options: CommandOptions) -> int:
    settings = options.settings
    say(settingsAsJson(settings) if options["json"] else settingsAsText(settings))
    return 0


def _check(options: CommandOptions) -> int:
    settings = options.settings
    for notice in checkSettings(settings):
        complain(notice)
    say(f"{options.config or 'the settings'}: no problems; {summary(settings)}")
    return 0


_ACTIONS: dict[str, Callable[[CommandOptions], int]] = {
    "check": _check,
    "settings": _settings,
}
