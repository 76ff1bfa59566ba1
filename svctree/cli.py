"""
The C{svctree} command.

Standard output has results, standard error has everything else; each problem is one
line that begins with C{svctree:}, and details such as a traceback stand below it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from svctree.command import CommandOptions, serving
from svctree.command.errors import BAD_USAGE, INTERRUPTED
from svctree.command.script import withoutQuery
from svctree.command.speech import complain
from svctree.settings import SettingsError
from svctree.settings.flags import FlagError

__all__ = ["main", "run"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """
    Run the command and exit with its status.

    @param arguments: without the program's name; those of the process by default.
    """
    try:
        status = run(
            withoutQuery(sys.argv[1:], os.environ) if arguments is None else arguments
        )
        sys.stdout.flush()
    except KeyboardInterrupt:
        status = INTERRUPTED
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
    except FlagError as error:
        complain(str(error))
        return BAD_USAGE
    try:
        return _act(options)
    except SettingsError as error:
        complain(str(error))
        # A flag was mistyped just now; a file is wrong until it is edited.
        mistyped = all(
            one.place.startswith("--") or one.place == "application"
            for one in error.problems
        )
        return BAD_USAGE if mistyped else error.exitStatus
    except Exception as error:
        status = getattr(error, "exitStatus", None)
        if status is None:
            raise
        complain(str(error), getattr(error, "details", ""))
        return int(status)


def _act(options: CommandOptions) -> int:
    if options.command == "run":
        return serving.serve(options.settings)
    # A CGI script, which has to be quick, needs none of what the others load.
    from svctree.command.actions import ACTIONS

    return ACTIONS[options.command](options)
