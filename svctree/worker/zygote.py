"""
The zygote: imports the application once, then forks workers on request.

Plain Python, one thread, no reactor, so that forking is safe. It only does what it
is told (fork, signal, reap, report); how many workers there are, and when, is the
master's to decide.

It ends with its master: descriptor L{LINE} is the read end of a pipe whose other end
only the master holds. Its workers hold the same pipe, so that they notice even when
the zygote is gone.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from svctree.pool import messages
from svctree.pool.messages import Message
from svctree.pool.scoreboard import Scoreboard
from svctree.wire.registry import codecs
from svctree.worker.application import ApplicationError, loadApplication
from svctree.worker.channel import Channel
from svctree.worker.children import Child, Children
from svctree.worker.imported import (
    endingWith,
    filesOf,
    leave,
    standUp,
    takeBack,
    threads,
)
from svctree.worker.limit import OrphanLimit
from svctree.worker.process import Worker, setTitle
from svctree.worker.strays import Belongings

__all__ = ["CONTROL", "LINE", "SCOREBOARD", "SOCKETS", "Zygote", "main"]

# The descriptors that the master hands over.
CONTROL, LINE, SCOREBOARD, SOCKETS = 3, 4, 5, 6


class Zygote:
    """
    One generation's parent of workers.
    """

    def __init__(self, control: Channel, boot: messages.Boot) -> None:
        self._control = control
        self._boot = boot
        self._board = Scoreboard(SCOREBOARD, boot.slots, boot.cells)
        self._board.close()  # the mapping remains
        self._sockets = [
            socket.socket(fileno=SOCKETS + index) for index in range(boot.sockets)
        ]
        after = SOCKETS + boot.sockets
        self._relay = [
            socket.socket(fileno=after + index) for index in range(2 * boot.relay)
        ]
        self._belongings = Belongings()
        self._belongings.closers += [
            control.close,
            lambda: os.close(LINE),
            *(sock.close for sock in (*self._sockets, *self._relay)),
        ]
        self._limit = OrphanLimit(LINE, float(boot.settings["gracefulTimeout"]))
        self._application: object | None = None
        self._children = Children()
        self._channels: dict[int, int] = {}
        self._ending = False
        self._handlers: dict[type, Callable[[Any], None]] = {
            messages.Spawn: self._spawn,
            messages.Retire: self._retire,
            messages.Kill: lambda order: self._children.kill(order.pid, order.signal),
            messages.ReopenLog: self._reopenLog,
            messages.Ping: lambda ping: control.send(messages.Pong(ping.serial)),
        }

    def load(self) -> None:
        """
        Import the application (with C{preload}) and settle memory for forking.

        @raise ApplicationError: it cannot be imported.
        """
        begun = time.monotonic()
        before = set(sys.modules)
        # What the import makes lives as long as the process; collecting it many
        # times on the way would only cost.
        gc.disable()
        # Its module is imported on demand: here once, not in every worker.
        codecs(self._boot.settings["protocol"])
        if self._boot.settings.get("preload", True):
            self._application = loadApplication(self._boot.settings["application"])
        gc.collect()
        # A collection in a worker would write into the headers of every object
        # here, and so unshare the pages (the manual of gc.freeze).
        gc.freeze()
        files = filesOf(set(sys.modules) - before)
        self._control.send(messages.Loaded(time.monotonic() - begun, files))
        if threads() > 1:
            self._control.send(
                messages.Notice(
                    f"the import of {self._boot.settings['application']} started "
                    f"{threads() - 1} thread(s); they do not exist in the workers "
                    "(start them in on-worker-start, or set preload = no)"
                )
            )

    def run(self, orders: Sequence[Message] = ()) -> None:
        """
        Serve the master until it has no use for this generation, or is gone.

        @param orders: what has been received already.
        """
        takeBack()
        self._limit.prepare()
        wake, self._wakeWrite = os.pipe()
        for fd in (wake, self._wakeWrite):
            os.set_blocking(fd, False)
        self._wakeRead = wake
        signal.set_wakeup_fd(self._wakeWrite, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._poll = select.poll()
        for fd in (CONTROL, LINE, wake):
            self._poll.register(fd, select.POLLIN)
        self._obey(orders)
        while not (self._ending and not self._children):
            for fd, _ in self._poll.poll(self._children.untilDeadline()):
                self._readable(fd)
            # Only here do children leave the tables, never among the events.
            self._reap()
            self._children.killOverdue()

    def _readable(self, fd: int) -> None:
        if fd == LINE:
            self._masterGone()
        elif fd == CONTROL:
            self._obey(self._control.receive())
            if not self._control.open:
                self._masterGone()
        elif fd == self._wakeRead:
            with contextlib.suppress(BlockingIOError):
                os.read(fd, 4096)
        else:
            self._fromWorker(fd)

    def _obey(self, orders: Iterable[Message]) -> None:
        for order in orders:
            self._handlers[type(order)](order)

    def _masterGone(self) -> None:
        """
        Workers see the end of the line too and retire by themselves; what is still
        booting has nobody to serve.
        """
        for fd in (CONTROL, LINE):
            with contextlib.suppress(KeyError):
                self._poll.unregister(fd)
        self._ending = True
        for pid, child in self._children.items():
            if not child.ready:
                os.kill(pid, signal.SIGKILL)
            child.limit(float(self._boot.settings["gracefulTimeout"]))

    def _spawn(self, message: messages.Spawn) -> None:
        try:
            ours, theirs = Channel.pair()
        except OSError as error:
            self._control.send(messages.ForkFailed(message.slot, str(error)))
            return
        try:
            with self._belongings.passedOn():
                pid = _fork()
        except OSError as error:
            ours.close()
            theirs.close()
            self._control.send(messages.ForkFailed(message.slot, str(error)))
            return
        if pid == 0:
            self._becomeWorker(message.slot, ours, theirs)
        theirs.close()
        self._children[pid] = Child(message.slot, ours)
        self._channels[ours.fileno()] = pid
        self._poll.register(ours.fileno(), select.POLLIN)
        self._control.send(messages.Forked(message.slot, pid))

    def _becomeWorker(self, slot: int, ours: Channel, theirs: Channel) -> None:
        """
        In the child: let go of what is the zygote's, and never come back.
        """
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for fd in (self._wakeRead, self._wakeWrite, CONTROL):
                os.close(fd)
            ours.close()
            for child in self._children.values():
                child.channel.close()
            self._belongings.closers[0] = theirs.close
            worker = Worker(
                self._boot,
                self._board.slots,
                slot,
                theirs,
                LINE,
                self._limit,
                self._sockets,
                self._relay,
                self._application,  # type: ignore[arg-type]
                self._belongings,
            )
            status = worker.run()
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
            with contextlib.suppress(BaseException):
                sys.stderr.flush()
            os._exit(status)

    def _retire(self, message: messages.Retire) -> None:
        if message.pid == 0:
            self._ending = True
        for pid, child in self._children.items():
            if message.pid in (0, pid):
                child.limit(message.deadline)
                child.channel.send(message)

    def _reopenLog(self, message: messages.ReopenLog) -> None:
        fd = self._control.takeFd()
        if fd is None:
            return
        os.dup2(fd, 2)
        for child in self._children.values():
            child.channel.send(message, fd)
        os.close(fd)

    def _fromWorker(self, fd: int) -> None:
        pid = self._channels[fd]
        child = self._children[pid]
        for message in child.channel.receive():
            self._report(pid, child, message)
        if not child.channel.open:
            # Its end is reported when it is reaped.
            self._poll.unregister(fd)

    def _report(self, pid: int, child: Child, message: Message) -> None:
        if isinstance(message, messages.Ready):
            child.ready = True
            message = messages.Ready(child.slot, pid)
        elif isinstance(message, messages.RetireWanted):
            message = messages.RetireWanted(message.reason, child.slot, pid)
        elif isinstance(message, messages.BootFailed):
            message = message._replace(pid=pid)
        else:
            return
        self._control.send(message)

    def _reap(self) -> None:
        for pid, child, status in self._children.reaped():
            for message in child.channel.receive() if child.channel.open else ():
                self._report(pid, child, message)
            with contextlib.suppress(KeyError):
                self._poll.unregister(child.channel.fileno())
            del self._channels[child.channel.fileno()]
            child.channel.close()
            self._board.slots[child.slot].clear()
            self._control.send(messages.Exited(child.slot, pid, status, child.ready))


def _fork() -> int:
    # Python warns of threads, which the import may have started. The master says so
    # in words that help; and here the warning could have been made an error.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def main() -> None:
    """
    The process: take the first message, load, serve, end.
    """
    standUp()
    # The interpreter put the working directory first; the master says what belongs.
    if sys.path[0] in ("", os.getcwd()):
        del sys.path[0]
    os.environ.pop("PYTHONSAFEPATH", None)
    control = Channel(socket.socket(fileno=CONTROL))
    received: list[Message] = []
    while control.open and not received:
        received = control.receive(wait=True)
    if not received:
        return
    boot, *orders = received
    assert isinstance(boot, messages.Boot)
    # What the application starts has no business with any of these.
    for fd in range(CONTROL, SOCKETS + boot.sockets + 2 * boot.relay):
        os.set_inheritable(fd, False)
    try:
        # From here on every import may come across what belongs to the application.
        with endingWith(LINE):
            sys.path[:0] = [path for path in boot.path if path not in sys.path]
            os.environ.update(boot.settings.get("env", {}))
            setTitle(boot, f"zygote [{boot.pool}] generation {boot.generation}")
            zygote = Zygote(control, boot)
            zygote.load()
        zygote.run(orders)
    except ApplicationError as error:
        control.send(messages.BootFailed(str(error), error.details, 4))
        leave(4)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        leave(1)
    leave(0)
