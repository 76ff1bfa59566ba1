"""
A worker process, from the fork to its end.

What it serves with is a loop (C{svctree.worker.loops}); this module connects the
loop to the world around it: signals, the channel to the zygote, the end of the
master, the scoreboard, and the operator's hooks.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import gc
import os
import random
import signal
import socket
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from svctree.pool import messages
from svctree.pool.scoreboard import LOGS, STATE, Slot, State
from svctree.worker.application import (
    ApplicationError,
    loadApplication,
    loadCallable,
    shortened,
)
from svctree.worker.channel import Channel
from svctree.worker.config import WorkerConfig
from svctree.worker.limit import OrphanLimit
from svctree.worker.loops import ILoop, makeLoop
from svctree.worker.slices import takeShortSlices
from svctree.worker.strays import Belongings

if TYPE_CHECKING:
    from svctree.worker.accesslog import AccessLog
    from svctree.worker.slowlog import SlowLog

__all__ = ["DUMP_SIGNAL", "Worker", "setTitle"]

DUMP_SIGNAL = signal.SIGUSR2
"""Makes a worker write the stacks of all its threads to descriptor 2, whatever it is
doing: the handler is C code and needs no interpreter."""

_ORPHAN_GRACE = 1.0
_SIGNAL_GRACE = 3.0


class Worker:
    """
    One worker.
    """

    def __init__(
        self,
        boot: messages.Boot,
        slots: Sequence[Slot],
        number: int,
        channel: Channel,
        line: int,
        limit: OrphanLimit,
        sockets: Sequence[socket.socket],
        relay: Sequence[socket.socket],
        application: Callable[..., Any] | None,
        belongings: Belongings,
    ) -> None:
        """
        @param slots: the scoreboard's.
        @param number: which of them is this worker's.
        @param relay: where workers pass connections on; empty where there is one.
        @param line: the read end of the pipe that ends with the master.
        @param limit: of the time that is left then.
        @param application: already imported, or L{None}: import it here.
        @param belongings: what children of the application do not get.
        """
        self._boot = boot
        self._settings = boot.settings
        self._slots = slots
        self._slot = slots[number]
        self._relay = relay
        self._channel = channel
        self._line = line
        self._limit = limit
        self._sockets = sockets
        self._application = application
        self._accessLog: AccessLog | None = None
        self._slowLog: SlowLog | None = None
        self._belongings = belongings

    def run(self) -> int:
        """
        Boot, serve, end.

        @return: the exit status.
        """
        gc.enable()
        random.seed()
        self._slot.begin(os.getpid(), self._boot.generation)
        setTitle(self._boot, f"worker {self._slot.number} [{self._boot.pool}]")
        try:
            self._loop = self._boots()
        except ApplicationError as error:
            self._channel.send(messages.BootFailed(str(error), error.details, 4))
            return 4
        except BaseException as error:
            if hasattr(error, "exitStatus"):
                # Meant for people: it says all there is to say.
                failed = messages.BootFailed(str(error), "", error.exitStatus)
                self._channel.send(failed)
                return int(error.exitStatus)
            line = shortened(traceback.format_exception_only(type(error), error)[-1])
            reason = f"a worker of pool {self._boot.pool!r} failed to boot: {line}"
            details = shortened(traceback.format_exc())
            self._channel.send(messages.BootFailed(reason.strip(), details, 3))
            return 3
        # A child that comes back here must not take part.
        self._belongings.closers.append(self._loop.poller.close)
        self._loop.onRetireWanted = self._retireWanted
        if self._accessLog is not None:
            self._loop.logAccess(self._accessLog)
        self._watchSignals()
        self._belongings.closers.append(self._limit.listen())
        self._loop.watch(self._channel.fileno(), self._fromZygote)
        self._loop.watch(self._line, self._masterGone)
        takeShortSlices()
        self._slot.words[STATE] = State.IDLE
        self._channel.send(messages.Ready())
        self._loop.run()
        self._callHooks("onWorkerStop")
        # The interpreter's own way out would unwind through the zygote's frames.
        atexit._run_exitfuncs()
        return 0

    def _boots(self) -> ILoop:
        application = self._application
        if application is None:
            application = loadApplication(self._settings["application"])
        self._openLogs()
        self._callHooks("onWorkerStart")
        config = WorkerConfig.fromSettings(self._settings)
        loop = makeLoop(application, config, self._sockets, self._slot)
        if self._relay:
            comesOut, goesIn = self._relay
            loop.joinRelay((comesOut, goesIn), self._slots)
        return loop

    def _openLogs(self) -> None:
        # Loaded only where they are wanted.
        settings = self._settings
        if settings.get("accesslog"):
            from svctree.worker.accesslog import AccessLog

            self._accessLog = AccessLog(
                settings["accesslog"],
                settings["accesslogFormat"],
                (self._slot.number, self._boot.generation),
            )
        if settings.get("slowRequest"):
            from svctree.worker.slowlog import SlowLog

            self._slowLog = SlowLog(settings.get("slowlog") or "-")

    def _callHooks(self, option: str) -> None:
        for name in _names(self._settings.get(option)):
            loadCallable(name)()

    def _watchSignals(self) -> None:
        read, write = os.pipe()
        for fd in (read, write):
            os.set_blocking(fd, False)

        def onSignal() -> None:
            with contextlib.suppress(BlockingIOError):
                received = os.read(read, 4096)
                if signal.SIGTERM in received:
                    self._toldToEnd()

        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        self._loop.watch(read, onSignal)
        hooks = _names(self._settings.get("onRequestTimeout"))
        if hooks:
            # The dump goes on to the handler that was there: the hooks run when, and
            # if, the main thread comes back to the interpreter.
            signal.signal(DUMP_SIGNAL, lambda *_: [loadCallable(n)() for n in hooks])
        faulthandler.register(DUMP_SIGNAL, file=2, all_threads=True, chain=bool(hooks))

    def _toldToEnd(self) -> None:
        """
        By an operator: end as for any other reason, when a successor is ready, and
        with the same limit to what is in hand.
        """
        if self._channel.open:
            self._retireWanted("SIGTERM")
        else:
            self._loop.retire(_SIGNAL_GRACE, True)

    def _retireWanted(self, reason: str) -> None:
        self._channel.send(messages.RetireWanted(reason))

    def _fromZygote(self) -> None:
        for message in self._channel.receive():
            if isinstance(message, messages.Retire):
                self._retire(message.grace, message.drain)
            elif isinstance(message, messages.ReopenLog):
                fd = self._channel.takeFd()
                if fd is not None:
                    os.dup2(fd, 2)
                    os.close(fd)
                for log in (self._accessLog, self._slowLog):
                    if log is not None:
                        log.reopen()
                self._slot.words[LOGS] = message.serial
        if not self._channel.open:
            # The zygote is gone. The master makes another generation and ends this
            # one when that is ready (by closing the line); until then, serve.
            self._loop.unwatch(self._channel.fileno())

    def _masterGone(self) -> None:
        if not self._limit.isDue():
            return
        self._loop.unwatch(self._line)
        # A loop of several threads does not look from the one that may set signals.
        os.kill(os.getpid(), signal.SIGIO)
        # What waits in the kernel's queues would be lost if nobody else has them.
        self._retire(_ORPHAN_GRACE, True)

    def _retire(self, grace: float, drain: bool) -> None:
        self._slot.words[STATE] = State.RETIRING
        self._loop.retire(grace, drain)


def _names(value: object) -> list[str]:
    if not value:
        return []
    return [value] if isinstance(value, str) else [str(name) for name in value]  # type: ignore[attr-defined]


def setTitle(boot: messages.Boot, title: str) -> None:
    """
    Show in C{ps} what this process is, where C{setproctitle} is installed.
    """
    if not boot.settings.get("proctitle", True):
        return
    with contextlib.suppress(ImportError):
        from setproctitle import setproctitle

        setproctitle(f"svctree: {title}")
