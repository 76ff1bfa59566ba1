"""
OS process integration.

The names are loaded when they are first used: a command that only looks for a
daemon, or a parent that waits for one, needs no reactor and no Twisted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from svctree.lazy import lazyNames

if TYPE_CHECKING:
    from svctree.process.daemon import DaemonService, rootOf
    from svctree.process.detach import StatusPipe, detachProcess
    from svctree.process.errorlog import ErrorLog, ErrorLogError
    from svctree.process.exitstatus import endInOrder
    from svctree.process.holder import Holder
    from svctree.process.identity import Identity, IdentityError
    from svctree.process.leftovers import sweepLeftovers, sweepSocket
    from svctree.process.logs import startLogging
    from svctree.process.notify import (
        NoNotify,
        Notify,
        WatchdogService,
        notifier,
        watchdogInterval,
    )
    from svctree.process.operations import (
        OperationError,
        Operations,
        hasTerminal,
        signalActions,
    )
    from svctree.process.pidfile import AlreadyRunning, NoPidFile, PidFile, PidFileError
    from svctree.process.reaper import ReaperService
    from svctree.process.runner import Runner
    from svctree.process.signals import (
        Action,
        SignalService,
        Stopper,
        eachService,
        hurryTree,
    )
    from svctree.process.status import Foreground, IStatus, NoStatus
    from svctree.process.surroundings import (
        SurroundingsError,
        changeDirectory,
        changeRoot,
        setUmask,
    )

__all__ = [
    "Action",
    "AlreadyRunning",
    "DaemonService",
    "ErrorLog",
    "ErrorLogError",
    "Foreground",
    "Holder",
    "IStatus",
    "Identity",
    "IdentityError",
    "NoNotify",
    "NoPidFile",
    "NoStatus",
    "Notify",
    "OperationError",
    "Operations",
    "PidFile",
    "PidFileError",
    "ReaperService",
    "Runner",
    "SignalService",
    "StatusPipe",
    "Stopper",
    "SurroundingsError",
    "WatchdogService",
    "changeDirectory",
    "changeRoot",
    "detachProcess",
    "eachService",
    "endInOrder",
    "hasTerminal",
    "hurryTree",
    "notifier",
    "rootOf",
    "setUmask",
    "signalActions",
    "startLogging",
    "sweepLeftovers",
    "sweepSocket",
    "watchdogInterval",
]

_HOMES = {
    "Action": "signals",
    "AlreadyRunning": "pidfile",
    "DaemonService": "daemon",
    "ErrorLog": "errorlog",
    "ErrorLogError": "errorlog",
    "Foreground": "status",
    "Holder": "holder",
    "IStatus": "status",
    "Identity": "identity",
    "IdentityError": "identity",
    "NoNotify": "notify",
    "NoPidFile": "pidfile",
    "NoStatus": "status",
    "Notify": "notify",
    "OperationError": "operations",
    "Operations": "operations",
    "PidFile": "pidfile",
    "PidFileError": "pidfile",
    "ReaperService": "reaper",
    "Runner": "runner",
    "SignalService": "signals",
    "StatusPipe": "detach",
    "Stopper": "signals",
    "SurroundingsError": "surroundings",
    "WatchdogService": "notify",
    "changeDirectory": "surroundings",
    "changeRoot": "surroundings",
    "detachProcess": "detach",
    "eachService": "signals",
    "endInOrder": "exitstatus",
    "hasTerminal": "operations",
    "hurryTree": "signals",
    "notifier": "notify",
    "rootOf": "daemon",
    "setUmask": "surroundings",
    "signalActions": "operations",
    "startLogging": "logs",
    "sweepLeftovers": "leftovers",
    "sweepSocket": "leftovers",
    "watchdogInterval": "notify",
}

__getattr__ = lazyNames(__name__, _HOMES)
