"""
C{svctree run} and C{svctree start}: from settings to a process that serves.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from svctree.command.errors import CommandError
from svctree.command.whose import requireIdentity
from svctree.settings import Settings

if TYPE_CHECKING:
    from svctree.pool.source import Source
    from svctree.process.runner import Runner
    from svctree.service import MultiService

__all__ = ["makeRunner", "serve", "start"]


def serve(settings: Settings) -> int:
    """
    Serve in this process until it is told to stop.

    @return: the exit status.
    """
    if settings.detach:
        settings = settings.changed(detach=False)
    requireIdentity(settings)
    source = _withoutTree(settings)
    if source is None:
        return makeRunner(settings).run()
    from svctree.command.brief import serveOnce

    return serveOnce(settings, source)


def _withoutTree(settings: Settings) -> Source | None:
    """
    @return: where the one request comes from when it comes from standard input, and
        nobody wants to speak to this process but who has started it.
    """
    protocol, listen = settings.protocol, settings.listen
    if not (protocol == "cgi" or "stdin" in listen):
        return None
    if (
        settings.pidfile is not None
        or settings.controlAddress() is not None
        or settings.statusAddress() is not None
        or "NOTIFY_SOCKET" in os.environ
    ):
        return None
    from svctree.pool.source import Source, sourceOf

    source = sourceOf(protocol, listen, settings.workermodel)
    return source if source in (Source.CGI, Source.CONNECTED) else None


def start(settings: Settings) -> int:
    """
    Serve in the background.

    @return: in the daemon, when it has ended, its exit status.
    @raise SystemExit: in the calling process, with status 0 when the daemon serves,
        else with the reason's status after printing it.
    """
    requireIdentity(settings)
    return makeRunner(settings.changed(detach=True)).run()


def makeRunner(settings: Settings) -> Runner:
    """
    @return: the whole tree of a daemon, with what runs it. Nothing is touched yet.
    """
    from svctree.assemble import makeTree
    from svctree.control import ControlService, StatusService
    from svctree.process import DaemonService
    from svctree.process.notify import notifier, watchdogInterval
    from svctree.process.runner import Runner
    from svctree.service import MultiService

    if "twisted.internet.reactor" in sys.modules and settings.detach:
        # Its descriptors would be closed, or shared with the waiting parent.
        raise CommandError("a process with a reactor cannot go into the background")
    root = MultiService()
    root.setName("svctree")
    daemon = DaemonService(
        pidfile=settings.pidfile,
        errorlog=settings.errorlogPath(),
        user=settings.user,
        group=settings.group,
        chroot=settings.chroot,
        notify=notifier(),
        watchdog=watchdogInterval(),
        where=lambda: _where(root),
        terminal=not settings.detach and sys.stdin is not None and sys.stdin.isatty(),
    )
    # First: a second daemon must fail before it binds anything, and the identity
    # must be given away before anything is spawned.
    daemon.setServiceParent(root)
    for child in list(makeTree(settings)):
        child.setServiceParent(root)
    control = settings.controlAddress()
    if control is not None:
        ControlService(control).setServiceParent(root)
    status = settings.statusAddress()
    if status is not None:
        StatusService(status).setServiceParent(root)
    return Runner(
        root,
        daemon,
        detach=settings.detach,
        basedir=settings.basedir,
        umask=settings.umask,
        loglevel=settings.loglevel,
        stopTimeout=settings.stopTimeout,
        title=_title(settings),
    )


def _title(settings: Settings) -> str | None:
    """
    @return: what C{ps} shows for the master; it is named after its file.
    """
    if not settings.proctitle:
        return None
    name = settings.application
    if settings.file is not None:
        name = os.path.splitext(os.path.basename(settings.file))[0]
    return f"svctree: master [{name}]"


def _where(root: MultiService) -> str:
    """
    @return: where the pools of a tree serve, for people.
    """
    from svctree.interfaces import IScalable
    from svctree.process import eachService

    pools: list[Any] = [one for one in eachService(root) if IScalable.providedBy(one)]
    return " and ".join(url for pool in pools for url in pool.describe()["listeners"])
