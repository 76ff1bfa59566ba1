"""
C{svctree settings} and C{svctree check}: what would be done, and with what.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from svctree.command.whose import identityFindings, refuse
from svctree.listen import UnixAddress, parseAddress
from svctree.process.identity import Identity
from svctree.settings import Option, Settings, optionsOf, usableProcessors

__all__ = [
    "checkSettings",
    "settingsAsJson",
    "settingsAsText",
    "summary",
]


def settingsAsText(settings: Settings) -> str:
    """
    @return: every option with its value and the place that it comes from, for
        people; by group, in columns.
    """
    rows = [
        (one, _shown(one, settings), settings.origins.get(one.keyword, "default"))
        for one in optionsOf(Settings)
    ]
    names = max(len(one.name) for one, _, _ in rows)
    # One long value must not push the origins out of sight.
    values = min(40, max(len(text) for _, text, _ in rows))
    lines = []
    group = ""
    for option, text, origin in rows:
        if option.group != group:
            lines += [""] if group else []
            group = option.group
            lines.append(f"# {group}")
        first, *others = text.split("\n")
        lines.append(f"{option.name:<{names}} = {first:<{values}}  ({origin})")
        lines += [" " * (names + 3) + other for other in others]
    return "\n".join(lines)


def settingsAsJson(settings: Settings) -> str:
    """
    @return: for each option its C{value} and C{origin}.
    """
    table = {
        one.name: {
            "value": getattr(settings, one.keyword),
            "origin": settings.origins.get(one.keyword, "default"),
        }
        for one in optionsOf(Settings)
    }
    return json.dumps(table, indent=2)


def _shown(option: Option, settings: Settings) -> str:
    value = getattr(settings, option.keyword)
    if option.keyword == "control":
        return settings.controlAddress() or "none"
    if option.keyword == "errorlog":
        return settings.errorlogPath() or "-"
    if option.keyword == "workers" and value is None:
        return f"{usableProcessors()}"
    if option.keyword == "listen":
        return "\n".join(value)
    return option.render(value) or ("" if value == "" else "none")


def checkSettings(settings: Settings) -> list[str]:
    """
    Look at what the settings speak of, and touch nothing.

    @return: notices, one line each.
    @raise SettingsError: a start would fail for sure.
    """
    refuse(settings, _findings(settings))
    identity = Identity.resolve(settings.user, settings.group)
    return [sentence for _level, sentence in identity.remarks()]


def _findings(settings: Settings) -> Iterator[tuple[str, str]]:
    yield from identityFindings(settings)
    yield from _pathFindings(settings)


def _pathFindings(settings: Settings) -> Iterator[tuple[str, str]]:
    for keyword in ("basedir", "chroot"):
        path = getattr(settings, keyword)
        if path is not None and not os.path.isdir(path):
            yield keyword, f"there is no folder {path}"
    for keyword in ("pidfile", "errorlog", "accesslog", "slowlog"):
        path = getattr(settings, keyword)
        if path is not None and path != "-":
            yield from _folderFinding(keyword, path)
    addresses = [("listen", one) for one in settings.listen]
    addresses += [("control", settings.controlAddress() or "none")]
    addresses += [("status", settings.statusAddress() or "none")]
    for keyword, text in addresses:
        address = None if text == "none" else parseAddress(text)
        # Where the pidfile cannot be, the control socket beside it cannot either.
        if isinstance(address, UnixAddress) and getattr(settings, keyword):
            yield from _folderFinding(keyword, address.path)
    for folder in settings.pythonpath:
        if not os.path.isdir(folder):
            yield "pythonpath", f"there is no folder {folder}"


def _folderFinding(keyword: str, path: str) -> Iterator[tuple[str, str]]:
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        yield keyword, f"there is no folder {folder} for {path}"
    elif os.path.isdir(path):
        yield keyword, f"{path} is a folder, expected a path for a file"
    elif not os.path.exists(path) and not os.access(folder, os.W_OK):
        yield keyword, f"the folder {folder} cannot be written to"


def summary(settings: Settings) -> str:
    """
    @return: in one sentence what a start would do.
    """
    model = settings.workermodel
    if model == "prefork":
        least, most = settings.workers or (usableProcessors(), usableProcessors())
        count = str(least) if least == most else f"{least} to {most}"
        how = f"{count} prefork worker{'s' if most > 1 else ''}"
        if settings.threads > 1:
            how += f" of {settings.threads} threads"
    else:
        how = f"the worker model {model}"
    addresses = " and ".join(settings.listen)
    return (
        f"would serve {settings.application} over {settings.protocol} at {addresses}, "
        f"with {how}"
    )
