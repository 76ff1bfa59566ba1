"""
C{svctree run} and C{svctree start}: from settings to a process that serves.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from svctree.command.errors import CommandError
from svctree.settings import Settings

if TYPE_CHECKING:
    from svctree.process.runner import Runner

__all__ = ["makeRunner", "serve", "start"]


def serve(settings: Settings) -> int:
    """
    Serve in this process until it is told to stop.

    @return: the exit status.
    """
    return makeRunner(settings.changed(detach=False)).run()


def start(settings: Settings) -> int:
    """
    Serve in the background.

    @return: in the daemon, when it has ended, its exit status.
    @raise SystemExit: in the calling process, with status 0 when the daemon serves,
        else with the reason's status after printing it.
    """
    return makeRunner(settings.changed(detach=True)).run()


def makeRunner(settings: Settings) -> Runner:
    """
    @return: the whole tree of a daemon, with what runs it. Nothing is touched yet.
    """
    from svctree.assemble import makeTree
    from svctree.control import ControlService
    from svctree.process import DaemonService
    from svctree.process.notify import notifier, watchdogInterval
    from svctree.process.runner import Runner
    from svctree.service import MultiService

    if "twisted.internet.reactor" in sys.modules and settings.detach:
        # Its descriptors would be closed, or shared with the waiting parent.
        raise CommandError("a process with a reactor cannot go into the background")
    daemon = DaemonService(
        pidfile=settings.pidfile,
        errorlog=settings.errorlogPath(),
        user=settings.user,
        group=settings.group,
        chroot=settings.chroot,
        notify=notifier(),
        watchdog=watchdogInterval(),
        terminal=not settings.detach and sys.stdin is not None and sys.stdin.isatty(),
    )
    root = MultiService()
    root.setName("svctree")
    # First: a second daemon must fail before it binds anything, and the identity
    # must be given away before anything is spawned.
    daemon.setServiceParent(root)
    for child in list(makeTree(settings)):
        child.setServiceParent(root)
    control = settings.controlAddress()
    if control is not None:
        ControlService(control).setServiceParent(root)
    return Runner(
        root,
        daemon,
        detach=settings.detach,
        basedir=settings.basedir,
        umask=settings.umask,
        loglevel=settings.loglevel,
        stopTimeout=settings.stopTimeout,
    )
