"""
The C{svctree} command.

Standard output has results, standard error has everything else; each problem is one
line that begins with C{svctree:}, and details such as a traceback stand below it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from twisted.python import usage

from svctree.command import CommandOptions, asking, serving, stopping
from svctree.command.errors import BAD_USAGE, DONE, INTERRUPTED
from svctree.command.report import (
    checkSettings,
    settingsAsJson,
    settingsAsText,
    summary,
)
from svctree.command.script import withoutQuery
from svctree.command.tables import renderStatus, renderTree
from svctree.settings import Settings, SettingsError

__all__ = ["main", "run"]


# How often top looks, in seconds.
_TOP = 1.0


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
    except usage.UsageError as error:
        complain(str(error))
        return BAD_USAGE
    try:
        return _ACTIONS[options.command](options)
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
    return DONE


def _check(options: CommandOptions) -> int:
    settings = options.settings
    for notice in checkSettings(settings):
        complain(notice)
    say(f"{options.config or 'the settings'}: no problems; {summary(settings)}")
    return DONE


def _run(options: CommandOptions) -> int:
    return serving.serve(options.settings)


def _start(options: CommandOptions) -> int:
    settings = options.settings
    if "detach" in settings.origins and not settings.detach:
        complain(f"staying in the foreground: {settings.origins['detach']} says so")
        return serving.serve(settings)
    return serving.start(settings)


def _stop(options: CommandOptions) -> int:
    settings = _salvaged(options)
    pid = stopping.stop(settings, wait=not options["no-wait"])
    if not pid:
        say("not running")
    elif options["no-wait"]:
        say(f"asked pid {pid} to stop")
    else:
        say(f"stopped (it was pid {pid})")
    return DONE


def _restart(options: CommandOptions) -> int:
    # A broken file must not end a daemon that cannot be started again.
    checkSettings(options.settings)
    stopping.stop(options.settings)
    return _start(options)


def _reload(options: CommandOptions) -> int:
    names = asking.reload(_salvaged(options), options["pool"])
    say(f"reloaded {' and '.join(names)}")
    return DONE


def _logrotate(options: CommandOptions) -> int:
    say(asking.reopenLogs(_salvaged(options)))
    return DONE


def _scale(options: CommandOptions) -> int:
    numbers = asking.scale(_salvaged(options), options.count, options["pool"])
    for name, number in numbers.items():
        say(f"{name}: {number} worker{'s' if number > 1 else ''}")
    return DONE


def _status(options: CommandOptions) -> int:
    status = asking.ask(_salvaged(options), "status", lambda daemon: daemon.status())
    say(_json(status) if options["json"] else renderStatus(status, _width()))
    return DONE


def _tree(options: CommandOptions) -> int:
    tree = asking.ask(_salvaged(options), "tree", lambda daemon: daemon.tree())
    say(_json(tree) if options["json"] else renderTree(tree))
    return DONE


def _top(options: CommandOptions) -> int:
    settings = _salvaged(options)
    # Ctrl-C is how one leaves.
    with contextlib.suppress(KeyboardInterrupt):
        _watch(settings)
    return DONE


def _watch(settings: Settings) -> None:
    while True:
        status = asking.ask(settings, "top", lambda daemon: daemon.status())
        if not sys.stdout.isatty():
            say(renderStatus(status, _width()))
            return
        # Home, the text, and erase what is left of the last one: no flicker.
        lines = renderStatus(status, _width()).replace("\n", "\x1b[K\n")
        say(f"\x1b[H{lines}\x1b[K\n\x1b[J\nCtrl-C ends this\x1b[K")
        sys.stdout.flush()
        time.sleep(_TOP)


def _salvaged(options: CommandOptions) -> Settings:
    settings, error = options.salvagedSettings
    if error is not None:
        complain(f"{error}\ngoing on without what is wrong")
    return settings


def _json(data: object) -> str:
    return json.dumps(data, indent=2)


def _width() -> int:
    if not sys.stdout.isatty():
        return 10_000
    return shutil.get_terminal_size().columns


_ACTIONS: dict[str, Callable[[CommandOptions], int]] = {
    "check": _check,
    "logreopen": _logrotate,
    "logrotate": _logrotate,
    "reload": _reload,
    "restart": _restart,
    "run": _run,
    "scale": _scale,
    "settings": _settings,
    "start": _start,
    "status": _status,
    "stop": _stop,
    "top": _top,
    "tree": _tree,
}
