"""
svctree's own runner: from a tree to a process with an exit status.

Twisted's runner tells the waiting parent "started" before anything serves, and
cannot end with a status of its own. This one keeps the order of a privileged start:

 1. the caller has read and checked everything; nothing has been touched
 2. detach, with a parent that waits
 3. C{basedir} and C{umask}
 4. the privileged phase of the whole tree
 5. root directory and identity
 6. the start phase of the whole tree
 7. ready: the pid is written, systemd and the parent are told

Whatever fails on the way is told in one line, when nothing is left behind.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ReactorNotRunning
from twisted.logger import LogEvent, Logger
from twisted.python.failure import Failure
from twisted.python.reflect import safe_str

from svctree.interfaces import IListener
from svctree.listen import DescriptorAddress
from svctree.process.daemon import DaemonService
from svctree.process.detach import detachProcess
from svctree.process.logs import startLogging
from svctree.process.signals import eachService
from svctree.process.status import Foreground
from svctree.process.surroundings import changeDirectory, setUmask
from svctree.tree.paths import pathOf
from svctree.tree.root import leaveBehind, unstopped

__all__ = ["Runner"]

# What is left of stopTimeout's children after they were told to hurry, in seconds.
_LAST_GRACE = 5.0

# How often the waiting parent hears what the start waits for, in seconds.
_PROGRESS = 1.0


class Runner:
    """
    Runs one tree, from start to end.

    @ivar exitStatus: what the process should end with.
    """

    _log = Logger()

    def __init__(
        self,
        root: Any,
        daemon: DaemonService,
        *,
        detach: bool = False,
        basedir: str | None = None,
        umask: int | None = None,
        loglevel: str = "info",
        stopTimeout: float = 60.0,
        title: str | None = None,
        reactor: Any = None,
    ) -> None:
        """
        @param root: the tree, complete and not started.
        @param daemon: the leaf of it that makes it a daemon.
        @param detach: go into the background.
        @param basedir: the working directory; L{None} stays.
        @param umask: L{None} keeps the caller's.
        @param stopTimeout: seconds until a stop becomes a fast one.
        @param title: what C{ps} shows for this process, where C{setproctitle} is
            installed; L{None} leaves it.
        """
        self.exitStatus = 0
        self._root = root
        self._daemon = daemon
        self._detach = detach
        self._basedir = basedir
        self._umask = umask
        self._loglevel = loglevel
        self._stopTimeout = stopTimeout
        self._title = title
        self._reactor = reactor
        self._failure: BaseException | None = None
        self._sockets: list[str] = []
        self._stopped = self._wasReady = False
        self._since = 0.0

    @property
    def reactor(self) -> Any:
        if self._reactor is None:
            from twisted.internet import reactor

            self._reactor = reactor
        return self._reactor

    def run(self) -> int:
        """
        @return: the exit status, when everything has ended.
        @raise SystemExit: in the parent of a detached process.
        """
        daemon = self._daemon
        daemon.isDriven = True
        if self._detach:
            daemon.status = detachProcess(_descriptors(self._root))
        else:
            daemon.status = Foreground()
        if self._title is not None:
            _showTitle(self._title)
        self._start()
        # After those of the services: they know that the process ends when the tree
        # is stopped.
        self.reactor.addSystemEventTrigger("before", "shutdown", self._stopTree)
        self.reactor.run()
        daemon.release()
        self._report()
        daemon.status.close()
        return self.exitStatus

    def _start(self) -> None:
        """
        Steps 3 to 6. The reactor runs in any case: whatever a failure leaves behind
        may need it to stop.
        """
        self._since = self.reactor.seconds()
        try:
            changeDirectory(self._basedir)
            setUmask(self._umask)
            try:
                self._root.privilegedStartService()
            finally:
                self._beginLogging()
            self._sockets = _socketFiles(self._root)
            self._daemon.becomeOrdinary()
            # A supervisor at the top that gives up ends the process.
            self._root.onDown = self._failed
            started = self._root.startService()
        except BaseException:
            self._failed(Failure())
            return
        if isinstance(started, Deferred):
            self.reactor.callWhenRunning(self._showProgress)
            started.addCallbacks(self._ready, self._failed)
        else:
            self._ready(None)

    def _beginLogging(self) -> None:
        """
        What was logged up to now was kept, and is written now; in the background
        only when there is an error log: the terminal gets one line.
        """
        if not self._detach or self._daemon.errorLog.attached:
            startLogging(self._loglevel, self._isToldAnyhow)

    def _isToldAnyhow(self, event: LogEvent) -> bool:
        """
        @return: whether the event is the failure of a start on its way up the tree,
            container by container: it ends as the one line that people get.
        """
        return (
            not self._wasReady
            and self._loglevel != "debug"
            and event.get("log_namespace") == "svctree.tree"
            and event.get("old") == "starting"
        )

    def _ready(self, _: object) -> None:
        if self._stopped or self._failure is not None:
            return
        try:
            self._daemon.ready()
        except Exception:
            self._failed(Failure())
        else:
            self._wasReady = True

    def _failed(self, failure: Failure) -> None:
        """
        End the process because of this; the first failure is the reason.
        """
        if self._failure is None and not self._stopped:
            self._failure = failure.value
            self.exitStatus = int(getattr(failure.value, "exitStatus", 1))
            if not hasattr(failure.value, "exitStatus"):
                # Nobody meant this one for people's eyes.
                self._log.failure("something unexpected happened", failure)
        self.reactor.callWhenRunning(self._end)

    def _end(self) -> None:
        with contextlib.suppress(ReactorNotRunning):
            self.reactor.stop()

    def _report(self) -> None:
        """
        Tell why the process ends, now that nothing of it is left.
        """
        error = self._failure
        if error is None and self._wasReady:
            return
        if error is None:
            status, message, details = 1, "was told to stop before it was ready", ""
        else:
            status = self.exitStatus
            message = " ".join(safe_str(error).split()) or type(error).__name__
            details = str(getattr(error, "details", "") or "")
        # Before that the log is the terminal, where the parent tells it too.
        if self._daemon.errorLog.attached:
            what = "ended" if self._wasReady else "the start failed"
            self._log.error("{what}: {message}", what=what, message=message)
        self._daemon.status.failed(
            message,
            status,
            details,
            *_left(self._daemon.pidFile.path, self._sockets),
        )

    def _stopTree(self) -> Deferred[object]:
        """
        Stop everything, and wait no longer than C{stopTimeout}.

        @return: fires when all is down or was given up.
        """
        self._stopped = True
        done: Deferred[object] = Deferred()
        later = self.reactor.callLater(self._stopTimeout, self._hurry, done)

        def stopped(result: object) -> None:
            if isinstance(result, Failure):
                self._log.failure("while stopping", result)
            if later.active():
                later.cancel()
            if not done.called:
                done.callback(None)

        maybeDeferred(self._root.stopService).addBoth(stopped)
        return done

    def _hurry(self, done: Deferred[object]) -> None:
        self._log.warn(
            "not down after {seconds} s: not waiting for what is in hand",
            seconds=self._stopTimeout,
        )
        self._daemon.operations.hurry()
        self.reactor.callLater(_LAST_GRACE, self._giveUp, done)

    def _giveUp(self, done: Deferred[object]) -> None:
        if done.called:
            return
        paths = ", ".join(pathOf(stop.service) for stop in unstopped(self._root))
        self._log.error(
            "leaving without what does not stop: {paths}", paths=paths or "unknown"
        )
        self.exitStatus = self.exitStatus or 1
        leaveBehind(self._root, self._stopTimeout + _LAST_GRACE)
        # Usually that was the end of it.
        if not done.called:
            done.callback(None)

    def _showProgress(self) -> None:
        if self._daemon.isReady or self._stopped:
            return
        waiting = [
            str(one.name)
            for one in eachService(self._root)
            if getattr(one, "state", "") == "starting" and not hasattr(one, "services")
        ]
        passed = self.reactor.seconds() - self._since
        what = ", ".join(waiting) or "the tree"
        self._daemon.status.progress(f"waiting for {what} to start ({passed:.0f} s)")
        self.reactor.callLater(_PROGRESS, self._showProgress)


def _showTitle(title: str) -> None:
    with contextlib.suppress(ImportError):
        from setproctitle import setproctitle

        setproctitle(title)


def _left(pidfile: str, sockets: list[str]) -> tuple[str | None, list[str]]:
    """
    @return: what could not be removed.
    """
    return (
        pidfile if pidfile and os.path.lexists(pidfile) else None,
        [path for path in sockets if os.path.lexists(path)],
    )


def _descriptors(root: Any) -> list[int]:
    """
    @return: the inherited descriptors that listeners of the tree ask for by number.
    """
    return [
        address.fd
        for service in eachService(root)
        if IListener.providedBy(service)
        for address in getattr(service, "addresses", ())
        if isinstance(address, DescriptorAddress)
    ]


def _socketFiles(root: Any) -> list[str]:
    """
    @return: the paths of all listening unix sockets in the tree.
    """
    found = []
    for service in eachService(root):
        if not IListener.providedBy(service):
            continue
        for sock in service.sockets():
            if sock.family == socket.AF_UNIX:
                path = sock.getsockname()
                if isinstance(path, str) and path.startswith("/"):
                    found.append(path)
    return found
