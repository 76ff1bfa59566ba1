"""
The daemon as a leaf of the tree.

It holds what a daemon has: the lock on its pidfile, its error log, its identity, its
signals and the ear of systemd. Put it first: in the privileged phase a second daemon
then fails before it binds a socket, and in the start phase the identity is given away
before anything is spawned.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from svctree.interfaces import IDescribable, IServiceState
from svctree.process.errorlog import ErrorLog
from svctree.process.identity import Identity, IdentityError
from svctree.process.notify import NoNotify, Notify, WatchdogService
from svctree.process.operations import Operations, signalActions
from svctree.process.pidfile import NoPidFile, PidFile
from svctree.process.reaper import ReaperService
from svctree.process.signals import Action, SignalService, Stopper
from svctree.process.status import IStatus, NoStatus
from svctree.process.surroundings import changeRoot
from svctree.service import Service

__all__ = ["DaemonService", "rootOf"]


def nowhere() -> str:
    """
    What a daemon tells that serves at no address.
    """
    return ""


_USUAL = {"watchdog": 0.0, "terminal": False, "where": nowhere}


@implementer(IDescribable)
class DaemonService(Service):
    """
    Makes the process that its tree lives in a daemon.

    @ivar pidFile: the pidfile, locked from the privileged phase to the end.
    @ivar errorLog: the error log, on descriptor 2 from the privileged phase on.
    @ivar identity: who the process is from the start phase on.
    @ivar operations: what signals and commands ask for.
    @ivar stopper: ends the process.
    @ivar status: whom the start is reported to.
    @ivar isReady: whether the tree serves.
    @ivar isDriven: a runner, which knows best, calls C{ready} when the tree serves
        and C{release} when all of it is down.
    """

    _log = Logger()
    name = "daemon"

    def __init__(
        self,
        *,
        pidfile: str | os.PathLike[str] | None = None,
        errorlog: str | None = None,
        user: str | int | None = None,
        group: str | int | None = None,
        chroot: str | None = None,
        notify: Notify | NoNotify | None = None,
        watchdog: float = 0.0,
        terminal: bool = False,
        where: Callable[[], str] = nowhere,
        name: str | None = None,
        reactor: Any = None,
    ) -> None:
        """
        @param pidfile: its path; none when omitted.
        @param errorlog: its path; descriptor 2 stays when omitted.
        @param user: name or id of who to become; ignored when not root.
        @param group: likewise; the user's own when omitted.
        @param chroot: the new root directory.
        @param notify: where to report to (L{svctree.process.notifier}).
        @param watchdog: systemd's period in seconds, 0 for none.
        @param terminal: the operator sits at it: HUP ends the process, not reloads.
        @param where: tells people and systemd where the tree serves, e.g.
            C{http://127.0.0.1:8080/}.
        @param reactor: the global one when omitted.
        @raise IdentityError: there is no such user or group.
        """
        if name is not None:
            self.name = name
        self._settings: dict[str, object] = {
            "pidfile": None if pidfile is None else os.fspath(pidfile),
            "errorlog": errorlog,
            "user": user,
            "group": group,
            "chroot": chroot,
            "watchdog": watchdog,
            "terminal": terminal,
            "where": where,
        }
        self.pidFile = NoPidFile() if pidfile is None else PidFile(pidfile)
        self.errorLog = ErrorLog(errorlog)
        self.identity = Identity.resolve(user, group)
        self.status: IStatus = NoStatus()
        self.isReady = False
        self.isDriven = False
        self.readySince = 0.0
        self._chroot = chroot
        self._terminal = terminal
        self._where = where
        self._watchdogPeriod = watchdog
        self._watchdog: WatchdogService | None = None
        self._reaper: ReaperService | None = None
        self._signals: SignalService | None = None
        self._reactor = reactor
        self._triggers: list[object] = []
        self._ending = False
        self._startedAs = os.geteuid()
        self._isPrivileged = self._isOrdinary = False
        self.operations = Operations(
            self, self.errorLog, NoNotify() if notify is None else notify, self._summary
        )
        self.stopper = Stopper(self.operations.hurry, reactor)

    def settings(self) -> dict[str, object]:
        """
        @return: the keywords that make an equal daemon, except those that are as
            usual.
        @raise ValueError: it reports to systemd by a socket that only this process
            has.
        """
        if not isinstance(self.operations.notify, NoNotify):
            raise ValueError("its socket to systemd belongs to this process")
        return {
            keyword: value
            for keyword, value in self._settings.items()
            if value != _USUAL.get(keyword)
        }

    def __getstate__(self) -> dict[str, Any]:
        # What it holds belongs to this process.
        return {"settings": self.settings(), "name": self.name, "parent": self.parent}

    def __setstate__(self, state: dict[str, Any]) -> None:
        DaemonService.__init__(self, name=state["name"], **state["settings"])
        self.parent = state["parent"]

    @property
    def reactor(self) -> Any:
        if self._reactor is None:
            from twisted.internet import reactor

            self._reactor = reactor
        return self._reactor

    def privilegedStartService(self) -> None:
        """
        Lock the pidfile, open the error log.

        @raise AlreadyRunning: there is a daemon on that pidfile.
        @raise PidFileError: the pidfile cannot be used.
        @raise ErrorLogError: the error log cannot be opened.
        """
        super().privilegedStartService()
        self._startedAs = os.geteuid()
        self._isPrivileged = True
        self.pidFile.acquire()
        try:
            self.errorLog.open(self.identity)
        except BaseException:
            self.pidFile.release()
            raise
        for remark in self.pidFile.remarks:
            self._log.warn("{remark}", remark=remark)

    def startService(self) -> None:
        """
        Give away the root directory and the identity, listen to signals.

        @raise IdentityError: it did not work; the process must end.
        @raise SurroundingsError: the root directory cannot be entered.
        """
        if not self._isPrivileged:
            self.privilegedStartService()
        super().startService()
        self.becomeOrdinary()
        root = rootOf(self)
        self.operations.root = root
        self._signals = SignalService(self._actions(), self.reactor)
        self._signals.startService()
        self._watchdog = WatchdogService(
            self.operations.notify, self._watchdogPeriod, root, self.reactor
        )
        if os.getpid() == 1:
            self._reaper = ReaperService(reactor=self.reactor)
            self._reaper.startService()
        if not self._triggers:
            add = self.reactor.addSystemEventTrigger
            self._triggers = [
                add("before", "shutdown", self._processEnds),
                # The lock is given up when everything else is down.
                add("after", "shutdown", self.release),
            ]
        if not self.isDriven:
            self.reactor.callWhenRunning(self._awaitReady)

    def becomeOrdinary(self) -> None:
        """
        Enter the C{chroot} and assume the identity. Doing it twice does nothing.

        Under C{twistd} the identity may have changed already, because of its
        C{--uid} or of C{Application(uid, gid)}; then both have to mean the same.
        """
        if self._isOrdinary:
            return
        self._isOrdinary = True
        now = os.geteuid()
        if self._startedAs == 0 != now and not self.identity.isCurrent():
            raise IdentityError(
                f"user and group say {self.identity}, but the process has become "
                f"uid {now} already (twistd --uid, or Application(uid=...)); let "
                "them agree, or leave one out"
            )
        for level, remark in self.identity.remarks():
            emit = self._log.warn if level == "warning" else self._log.info
            emit("{remark}", remark=remark)
        chroot, self._chroot = self._chroot, None
        if changeRoot(chroot):
            self._log.info("the root directory is {path} now", path=chroot)
        if self.identity.assume():
            os.environ.update(self.identity.environment())
            self._log.info("going on as {identity}", identity=str(self.identity))

    def ready(self) -> None:
        """
        The tree serves: write the pid, tell systemd and whoever waits.

        @raise PidFileError: the pid cannot be written.
        """
        self.pidFile.write()
        self.isReady = True
        self.readySince = time.time()
        self.operations.notify.ready(self._summary())
        if self._watchdog is not None:
            self._watchdog.startService()
        self.status.ready(self._summary())
        self._log.info("ready, pid {pid}", pid=os.getpid())

    def stopService(self) -> None:
        """
        Stop the watchdog and, unless the reactor ends and others may still be
        stopping, give up the pidfile.
        """
        super().stopService()
        self._stopping()
        if self._watchdog is not None and self._watchdog.running:
            self._watchdog.stopService()
        for helper in (self._signals, self._reaper):
            if helper is not None and helper.running:
                helper.stopService()
        if not self._ending:
            self._forgetTriggers()
            if not self.isDriven:
                self.release()

    def release(self) -> None:
        """
        Remove the pidfile and give up its lock.
        """
        if self.pidFile.held and not self.pidFile.release():
            self._log.info(
                "pidfile {path}: emptied, since it could not be removed as {who}",
                path=self.pidFile.path,
                who=str(self.identity),
            )
        self.errorLog.close()
        self._isPrivileged = self._isOrdinary = False

    def describe(self) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "pidfile": self.pidFile.path or None,
            "errorlog": self.errorLog.path,
            "uid": os.geteuid(),
            "gid": os.getegid(),
            "ready": self.isReady,
            "readySince": self.readySince,
            "stopping": self.stopper.stopping,
            "lastReload": self.operations.lastReload,
        }

    def _actions(self) -> dict[int, Action]:
        actions = signalActions(self.operations, self.stopper)
        if self._terminal:
            # The terminal went away, and with it whoever looked at this.
            actions[signal.SIGHUP] = self.stopper.graceful
        return actions

    def _awaitReady(self) -> None:
        """
        Find out by ourselves when the tree is up.
        """
        root = rootOf(self)
        # Asked to start while it does so, one of ours returns what is pending; any
        # other cannot tell, and counts as up when the reactor runs.
        ours = root is not self and IServiceState.providedBy(root)
        pending = root.startService() if ours else None  # type: ignore[attr-defined]
        if isinstance(pending, Deferred):
            # The failure of a start is the root's to report.
            pending.addCallbacks(self._becomeReady, lambda failure: None)
        else:
            self._becomeReady(None)

    def _becomeReady(self, _: object) -> None:
        if self.running and not self.isReady:
            self.ready()

    def _processEnds(self) -> None:
        self._ending = True
        self._stopping()

    def _stopping(self) -> None:
        if self.isReady:
            self.isReady = False
            self.operations.notify.stopping()

    def _forgetTriggers(self) -> None:
        triggers, self._triggers = self._triggers, []
        for trigger in triggers:
            self.reactor.removeSystemEventTrigger(trigger)

    def _summary(self) -> str:
        where = self._where()
        return f"serving{' at ' if where else ''}{where} (pid {os.getpid()})"


def rootOf(service: Any) -> Any:
    """
    @return: the top of the tree that C{service} is in.
    """
    top = service
    while getattr(top, "parent", None) is not None:
        top = top.parent
    return top
