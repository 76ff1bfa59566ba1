"""
A generation: one zygote, the workers forked from it, and one version of the code.

Its life is one line: it loads the application, starts its workers, is ready, is told
to retire, and is gone. It can fail on the way to being ready, and its zygote can die.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from svctree.pool import messages
from svctree.pool.deadline import Deadline
from svctree.pool.errors import BootError
from svctree.pool.link import ZygoteLink
from svctree.pool.messages import Message
from svctree.pool.roster import Roster
from svctree.pool.shared import Shared

__all__ = ["Generation"]

_log = Logger("svctree.pool")

# What workers of a generation that failed to boot are given; nobody waits for them.
_ABANDON_DEADLINE = 0.2

# How often the workers of a dead zygote are looked for; nobody reports their end.
_ORPHAN_INTERVAL = 0.05

# A zygote does what it is told within milliseconds; one that was stopped, or that
# hangs, is of no use.
_MOST_SILENCE = 5.0

# A zygote kills workers that are late. So much later its master does, and kills it.
_LATE = 0.5

# Besides the time that each worker has to boot: for the forks.
_FORK_TIME = 1.0

# The pings that only look whether the zygote listens; nobody waits for the answer.
_PROBE = 0


class Generation:
    """
    @ivar number: counts from 1 in each pool.
    @ivar roster: its workers.
    @ivar files: the files that the application imported.
    @ivar isReady: the full number of workers was ready once.
    @ivar isGone: no process of it is left.
    @ivar retiring: it was told to end.
    @ivar since: when it began to serve (reactor's seconds).
    """

    def __init__(
        self,
        shared: Shared,
        number: int,
        target: int,
        onDown: Callable[[Generation, str], None],
    ) -> None:
        """
        @param shared: what the pool's generations have in common.
        @param target: how many workers there shall be.
        @param onDown: called when the zygote of a ready generation ends though
            nobody told it to; the workers serve on until L{orphaned}.
        """
        self._shared = shared
        self.number = number
        self._onDown = onDown
        self.files: list[str] = []
        self.since = 0.0
        self.isReady = self.isGone = self.retiring = False
        self._loaded = False
        self._failure: BootError | None = None
        self._readyWaiters: list[Deferred[None]] = []
        self._goneWaiters: list[Deferred[None]] = []
        self._bootLimit: Deadline | None = None
        self._silence: Deadline | None = None
        self._lastResort: Deadline | None = None
        self._nextLook: IDelayedCall | None = None
        self._probes = 0
        self._pings: dict[int, Deferred[None]] = {}
        self._link = ZygoteLink(shared.reactor, self._received, self._zygoteEnded)
        self.roster = Roster(self, shared, target)
        self._handlers: dict[type, Callable[[Any], None]] = {
            **self.roster.handlers,
            messages.Loaded: self._hasLoaded,
            messages.BootFailed: self._bootFailed,
            messages.Notice: self._notice,
            messages.Pong: self._pong,
        }

    @property
    def zygote(self) -> int | None:
        """
        The pid of the zygote, or L{None}.
        """
        return self._link.pid

    # -- towards ready

    def start(self) -> Deferred[None]:
        """
        @return: fires when the full number of workers is ready; fails with
            L{BootError} when they cannot be, and then nothing is left of them.
        """
        waiter: Deferred[None] = Deferred()
        self._readyWaiters.append(waiter)
        try:
            self._link.start(
                self._shared.boot(self.number),
                self._shared.scoreboard.fd,
                [
                    *self._shared.descriptors(),
                    *(end.fileno() for end in self._shared.relay),
                ],
            )
        except OSError as error:
            self._failure = BootError(f"no process for the pool's zygote: {error}")
            self._becomeGone()
        else:
            self._bootLimit = self._deadline(
                self._shared.settings.bootTimeout, self._loadTimedOut
            )
        return waiter

    def _deadline(self, seconds: float, expired: Callable[[], None]) -> Deadline:
        return Deadline(self._shared.reactor, seconds, expired)

    def _received(self, message: Message) -> None:
        self._expectAnswer(0)
        handler = self._handlers.get(type(message))
        if handler is None:
            _log.warn("{pool}: {message}?", pool=self._shared.name, message=message)
        else:
            handler(message)

    def _hasLoaded(self, message: messages.Loaded) -> None:
        self._limitBoot(None)
        self._loaded = True
        self.files = message.files
        if self._shared.settings.preload:
            _log.info(
                "{pool}: imported {application} in {seconds:.2f} s",
                pool=self._shared.name,
                application=self._shared.settings.application,
                seconds=message.seconds,
                generation=self.number,
            )
        self._limitBoot(
            self._deadline(
                self._shared.settings.bootTimeout + _FORK_TIME, self._bootTimedOut
            )
        )
        self.roster.open()

    def enoughWorkers(self) -> None:
        """
        The roster is full.
        """
        if not self.isReady and self._failure is None and not self.retiring:
            self._limitBoot(None)
            self.isReady = True
            self._tell(self._readyWaiters, None)

    def _bootFailed(self, message: messages.BootFailed) -> None:
        if self.isReady:
            _log.error(
                "{pool}: {reason}\n{details}",
                pool=self._shared.name,
                reason=message.reason,
                details=message.details,
            )
        else:
            self.cannotBoot(BootError(message.reason, message.details, message.status))

    def cannotBoot(self, error: BootError) -> None:
        """
        Give up; the first reason counts.
        """
        if self._failure is not None or self.isReady or self.retiring:
            return
        self._failure = error
        self.retire(0.0, False, _ABANDON_DEADLINE)

    def _loadTimedOut(self) -> None:
        self.cannotBoot(
            BootError(
                f"the import of {self._shared.settings.application} took longer than "
                f"boot-timeout = {self._shared.settings.bootTimeout:g} s"
            )
        )

    def _bootTimedOut(self) -> None:
        self.cannotBoot(
            BootError(
                f"{self.roster.readyCount()} of {self.roster.target} workers of pool "
                f"{self._shared.name!r} were ready within boot-timeout = "
                f"{self._shared.settings.bootTimeout:g} s"
            )
        )

    def _limitBoot(self, limit: Deadline | None) -> None:
        if self._bootLimit is not None:
            self._bootLimit.cancel()
        self._bootLimit = limit

    def _notice(self, message: messages.Notice) -> None:
        _log.warn("{pool}: {text}", pool=self._shared.name, text=message.text)

    # -- towards the end

    def retire(self, grace: float, drain: bool, deadline: float) -> Deferred[None]:
        """
        Tell all workers to finish what they have and end.

        @param grace: seconds for an idle keep-alive connection.
        @param drain: also serve what waits in the kernel's queue.
        @param deadline: seconds after which they are killed.
        @return: fires when no process of this generation is left.
        """
        self.retiring = True
        self._limitBoot(None)
        self.roster.retireAll()
        self.send(messages.Retire(0, grace, drain, deadline))
        if not self._loaded:
            # It runs the application's import, and does not read messages.
            self._link.kill(signal.SIGKILL)
        if not self.isGone:
            self._endBy(deadline + _LATE)
        if self._link.ended:
            self.orphaned()
        return self.whenGone()

    def _endBy(self, seconds: float) -> None:
        """
        Kill what is left after so many seconds, or at the earlier time that was set
        before.
        """
        due = self._shared.reactor.seconds() + seconds
        if self._lastResort is not None:
            if self._lastResort.due <= due:
                return
            self._lastResort.cancel()
        self._lastResort = self._deadline(seconds, self._endNow)

    def _endNow(self) -> None:
        """
        The zygote did not do it.
        """
        _log.warn(
            "{pool}: killing what is left of generation {number}: {zygote}{workers} "
            "workers",
            pool=self._shared.name,
            number=self.number,
            zygote="the zygote, " if self.zygote is not None else "",
            workers=len(self.roster.workers),
        )
        # The zygote first: with it gone nobody forks.
        self._link.kill(signal.SIGKILL)
        self.roster.killAll()

    def whenGone(self) -> Deferred[None]:
        """
        @return: fires when no process of this generation is left.
        """
        waiter: Deferred[None] = Deferred()
        if self.isGone:
            waiter.callback(None)
        else:
            self._goneWaiters.append(waiter)
        return waiter

    def _zygoteEnded(self, how: str) -> None:
        self._limitBoot(None)
        self._expectAnswer(-self._probes)
        self.roster.zygoteGone()
        for ping in self._pings.values():
            ping.errback(Failure(ConnectionError(f"the zygote ended with {how}")))
        self._pings.clear()
        if self.isReady and not self.retiring:
            self._onDown(self, how)
            return
        if not self.isReady and not self.retiring:
            self._failure = BootError(
                f"the process that imports {self._shared.settings.application} ended "
                f"with {how} before it was ready"
            )
        self.orphaned()

    def orphaned(self) -> None:
        """
        The zygote is gone: let the workers that it left see the end of the line, and
        wait for them.
        """
        self.retiring = True
        self.roster.retireAll()
        self._link.hangUp()
        if not self.isGone:
            self._endBy(self._shared.settings.gracefulTimeout + _LATE)
            self._lookForOrphans()

    def _lookForOrphans(self) -> None:
        if self._nextLook is not None and self._nextLook.active():
            return
        self.roster.forgetDead()
        if self.roster.workers:
            self._nextLook = self._shared.reactor.callLater(
                _ORPHAN_INTERVAL, self._lookForOrphans
            )
        else:
            self._becomeGone()

    def _becomeGone(self) -> None:
        self.isGone = True
        if self._lastResort is not None:
            self._lastResort.cancel()
        error = self._failure or BootError("stopped before it was ready")
        self._tell(self._readyWaiters, Failure(error))
        self._tell(self._goneWaiters, None)

    def _tell(self, waiters: list[Deferred[None]], result: Failure | None) -> None:
        told = list(waiters)
        waiters.clear()
        for waiter in told:
            waiter.errback(result) if result else waiter.callback(None)

    # -- services to the pool

    def send(self, message: Message) -> None:
        """
        Tell the zygote what to do, and see that it listens.
        """
        self._link.send(message)
        if self._loaded and not self._link.ended:
            self._link.send(messages.Ping(_PROBE))
            self._expectAnswer(1)

    def _expectAnswer(self, more: int) -> None:
        """
        The zygote was asked something, or has answered: its time begins anew.
        """
        self._probes += more
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        if self._probes > 0:
            self._silence = self._deadline(_MOST_SILENCE, self._silentZygote)

    def _silentZygote(self) -> None:
        _log.error(
            "{pool}: the zygote (pid {pid}) has not answered for {seconds:g} s; it is "
            "killed",
            pool=self._shared.name,
            pid=self.zygote,
            seconds=_MOST_SILENCE,
        )
        self._link.kill(signal.SIGKILL)

    def reopenLog(self, serial: int, fd: int) -> None:
        """
        Make C{fd} descriptor 2 of zygote and workers.

        @param serial: see L{svctree.pool.relogging}.
        """
        self._link.send(messages.ReopenLog(serial), fd)

    def ping(self) -> Deferred[None]:
        """
        @return: fires when the zygote has answered.
        """
        waiter: Deferred[None] = Deferred()
        if self._link.ended:
            waiter.errback(Failure(ConnectionError("there is no zygote")))
            return waiter
        serial = max(self._pings, default=0) + 1
        self._pings[serial] = waiter
        self.send(messages.Ping(serial))
        return waiter

    def _pong(self, message: messages.Pong) -> None:
        if message.serial == _PROBE:
            self._expectAnswer(-1)
            return
        waiter = self._pings.pop(message.serial, None)
        if waiter is not None:
            waiter.callback(None)
