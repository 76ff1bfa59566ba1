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

import atexit
import contextlib
import fcntl
import gc
import os
import select
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from svctree.pool import messages
from svctree.pool.messages import Message
from svctree.pool.scoreboard import Scoreboard
from svctree.wire.registry import codecs
from svctree.worker.application import ApplicationError, loadApplication
from svctree.worker.channel import Channel
from svctree.worker.process import Worker, setTitle
from svctree.worker.strays import PASSED, Belongings

__all__ = ["CONTROL", "LINE", "SCOREBOARD", "SOCKETS", "Zygote", "main"]

# The descriptors that the master hands over.
CONTROL, LINE, SCOREBOARD, SOCKETS = 3, 4, 5, 6

# Seconds for what the application does at exit in this process, which never served.
_EXIT_TIME = 1.0

# Characters of the names of imported files; more would be no list to watch, and no
# message.
_MOST_NAMES = 1_000_000


class _Child:
    """
    A worker as its zygote sees it.
    """

    __slots__ = ("channel", "deadline", "ready", "slot")

    def __init__(self, slot: int, channel: Channel) -> None:
        self.slot = slot
        self.channel = channel
        self.ready = False
        self.deadline = float("inf")


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
        self._belongings = Belongings()
        self._belongings.closers += [
            control.close,
            lambda: os.close(LINE),
            *(sock.close for sock in self._sockets),
        ]
        self._application: object | None = None
        self._children: dict[int, _Child] = {}
        self._channels: dict[int, int] = {}
        self._ending = False
        self._handlers: dict[type, Callable[[Any], None]] = {
            messages.Spawn: self._spawn,
            messages.Retire: self._retire,
            messages.Kill: self._kill,
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
            with _dyingWithMaster():
                self._application = loadApplication(self._boot.settings["application"])
        gc.collect()
        # A collection in a worker would write into the headers of every object
        # here, and so unshare the pages (the manual of gc.freeze).
        gc.freeze()
        self._control.send(
            messages.Loaded(time.monotonic() - begun, _files(set(sys.modules) - before))
        )
        if _threads() > 1:
            self._control.send(
                messages.Notice(
                    f"the import of {self._boot.settings['application']} started "
                    f"{_threads() - 1} thread(s); they do not exist in the workers "
                    "(start them in on-worker-start, or set preload = no)"
                )
            )

    def run(self, orders: Sequence[Message] = ()) -> None:
        """
        Serve the master until it has no use for this generation, or is gone.

        @param orders: what has been received already.
        """
        _takeBack()
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
            for fd, _ in self._poll.poll(self._untilDeadline()):
                self._readable(fd)
            # Only here do children leave the tables, never among the events.
            self._reap()
            self._killOverdue()

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
            child.deadline = min(
                child.deadline,
                time.monotonic() + float(self._boot.settings["gracefulTimeout"]),
            )

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
        self._children[pid] = _Child(message.slot, ours)
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
                self._board.slots[slot],
                theirs,
                LINE,
                self._sockets,
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
                child.deadline = min(
                    child.deadline, time.monotonic() + message.deadline
                )
                child.channel.send(message)

    def _kill(self, message: messages.Kill) -> None:
        # Not reaped yet, so the pid is still this worker's.
        if message.pid in self._children:
            os.kill(message.pid, message.signal)

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

    def _report(self, pid: int, child: _Child, message: Message) -> None:
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
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._children.pop(pid, None)
            if child is None:  # the application started a process when imported
                continue
            for message in child.channel.receive() if child.channel.open else ():
                self._report(pid, child, message)
            with contextlib.suppress(KeyError):
                self._poll.unregister(child.channel.fileno())
            del self._channels[child.channel.fileno()]
            child.channel.close()
            self._board.slots[child.slot].clear()
            self._control.send(
                messages.Exited(
                    child.slot, pid, os.waitstatus_to_exitcode(status), child.ready
                )
            )

    def _untilDeadline(self) -> int | None:
        nearest = min(
            (child.deadline for child in self._children.values()), default=float("inf")
        )
        if nearest == float("inf"):
            return None
        return max(0, int((nearest - time.monotonic()) * 1000) + 1)

    def _killOverdue(self) -> None:
        now = time.monotonic()
        for pid, child in self._children.items():
            if child.deadline <= now:
                child.deadline = float("inf")
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def _dyingWithMaster():  # type: ignore[no-untyped-def]
    """
    While application code runs here nobody reads L{LINE}; let the kernel tell of its
    end by a signal, so that an import that hangs does not outlive the master.
    """
    flags = fcntl.fcntl(LINE, fcntl.F_GETFL)
    # What it does by default is to end the process, whatever that is busy with.
    previous = signal.signal(signal.SIGIO, signal.SIG_DFL)
    try:
        fcntl.fcntl(LINE, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(LINE, fcntl.F_SETFL, flags | getattr(os, "O_ASYNC", 0))
        if select.select([LINE], [], [], 0)[0]:
            os._exit(1)
        yield
    finally:
        fcntl.fcntl(LINE, fcntl.F_SETFL, flags)
        signal.signal(signal.SIGIO, previous)


def _fork() -> int:
    # Python warns of threads, which the import may have started. The master says so
    # in words that help; and here the warning could have been made an error.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _takeBack() -> None:
    """
    Undo what the application's import may have done to the process, where it would
    make the zygote deaf, or mortal.
    """
    _standUp()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _files(names: set[str]) -> list[str]:
    found = set()
    room = _MOST_NAMES
    for name in names:
        # Some modules are objects of all kinds, which do things when they are asked.
        with contextlib.suppress(Exception):
            path = getattr(sys.modules.get(name), "__file__", None)
            if isinstance(path, str) and len(path) < room:
                found.add(path)
                room -= len(path)
    return sorted(found)


def _threads() -> int:
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        import threading

        return threading.active_count()


def _standUp() -> None:
    """
    Let the signals that are meant for the master, but sent to the whole group, pass.

    By a handler, not by ignoring them: that would be inherited by every program that
    the application starts.
    """
    for name in PASSED:
        number = getattr(signal, name)
        signal.signal(number, _pass)
        signal.siginterrupt(number, False)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def _pass(number: int, frame: object) -> None:
    pass


def _leave(status: int) -> NoReturn:
    """
    End the process with what the application wants done at exit, but without waiting
    for it, or for its threads, for ever.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, _EXIT_TIME)
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()
    os._exit(status)


def main() -> None:
    """
    The process: take the first message, load, serve, end.
    """
    _standUp()
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
    for fd in range(CONTROL, SOCKETS + boot.sockets):
        os.set_inheritable(fd, False)
    sys.path[:0] = [path for path in boot.path if path not in sys.path]
    os.environ.update(boot.settings.get("env", {}))
    setTitle(boot, f"zygote [{boot.pool}] generation {boot.generation}")
    zygote = Zygote(control, boot)
    try:
        zygote.load()
        zygote.run(orders)
    except ApplicationError as error:
        control.send(messages.BootFailed(str(error), error.details, 4))
        _leave(4)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        _leave(1)
    _leave(0)
