"""
What the commands do, but for C{run}, which serves and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import time
from collections.abc import Callable

from svctree.command import CommandOptions, asking, serving, stopping
from svctree.command.errors import DONE
from svctree.command.report import (
    checkSettings,
    settingsAsJson,
    settingsAsText,
    summary,
)
from svctree.command.speech import complain, say
from svctree.command.tables import renderStatus, renderTree
from svctree.settings import Settings

__all__ = ["ACTIONS"]

# How often top looks, in seconds.
_TOP = 1.0


def _settings(options: CommandOptions) -> int:
    settings = options.settings
    say(settingsAsJson(settings) if options.json else settingsAsText(settings))
    return DONE


def _check(options: CommandOptions) -> int:
    settings = options.settings
    for notice in checkSettings(settings):
        complain(notice)
    say(f"{options.config or 'the settings'}: no problems; {summary(settings)}")
    return DONE


def _start(options: CommandOptions) -> int:
    settings = options.settings
    if "detach" in settings.origins and not settings.detach:
        complain(f"staying in the foreground: {settings.origins['detach']} says so")
        return serving.serve(settings)
    return serving.start(settings)


def _stop(options: CommandOptions) -> int:
    settings = _salvaged(options)
    pid = stopping.stop(settings, wait=not options.noWait)
    if not pid:
        say("not running")
    elif options.noWait:
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
    names = asking.reload(_salvaged(options), options.pool)
    say(f"reloaded {' and '.join(names)}")
    return DONE


def _logrotate(options: CommandOptions) -> int:
    say(asking.reopenLogs(_salvaged(options)))
    return DONE


def _scale(options: CommandOptions) -> int:
    numbers = asking.scale(_salvaged(options), options.count, options.pool)
    for name, number in numbers.items():
        say(f"{name}: {number} worker{'s' if number > 1 else ''}")
    return DONE


def _status(options: CommandOptions) -> int:
    status = asking.ask(_salvaged(options), "status", lambda daemon: daemon.status())
    say(_json(status) if options.json else renderStatus(status, _width()))
    return DONE


def _tree(options: CommandOptions) -> int:
    tree = asking.ask(_salvaged(options), "tree", lambda daemon: daemon.tree())
    say(_json(tree) if options.json else renderTree(tree))
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


ACTIONS: dict[str, Callable[[CommandOptions], int]] = {
    "check": _check,
    "logreopen": _logrotate,
    "logrotate": _logrotate,
    "reload": _reload,
    "restart": _restart,
    "scale": _scale,
    "settings": _settings,
    "start": _start,
    "status": _status,
    "stop": _stop,
    "top": _top,
    "tree": _tree,
}
"""What each command does; it returns the exit status."""
