"""
One schema for every option; the file format; the flags.

Nothing here imports Twisted but L{svctree.settings.usageflags}. Names that not every
program needs are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from svctree.lazy import lazyNames
from svctree.settings.inifile import IniFile, parseIni, readIni
from svctree.settings.names import addNames
from svctree.settings.option import Group, Option, optionsOf
from svctree.settings.problems import BadValue, Problem, SettingsError, nearest
from svctree.settings.schema import (
    DEMO,
    ApplicationSettings,
    ListenSettings,
    PoolSettings,
    ProcessSettings,
    RequestSettings,
    Settings,
    WatchSettings,
    WorkerSettings,
)
from svctree.settings.sources import loadSettings

if TYPE_CHECKING:
    from svctree.settings.configuration import Configuration, readConfiguration
    from svctree.settings.machine import usableProcessors, workerRange

__all__ = [
    "DEMO",
    "ApplicationSettings",
    "BadValue",
    "Configuration",
    "Group",
    "IniFile",
    "ListenSettings",
    "Option",
    "PoolSettings",
    "Problem",
    "ProcessSettings",
    "RequestSettings",
    "Settings",
    "SettingsError",
    "WatchSettings",
    "WorkerSettings",
    "addNames",
    "loadSettings",
    "nearest",
    "optionsOf",
    "parseIni",
    "readConfiguration",
    "readIni",
    "usableProcessors",
    "workerRange",
]

_HOMES = {
    "Configuration": "configuration",
    "readConfiguration": "configuration",
    "usableProcessors": "machine",
    "workerRange": "machine",
}

__getattr__ = lazyNames(__name__, _HOMES)
