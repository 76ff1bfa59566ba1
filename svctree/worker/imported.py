"""
What the import of an application may do to the zygote, and what is done about it.

Application code may start threads and processes, take signals, set timers, block what
it likes, and never come back. A zygote has to stay a process that hears its master,
forks, and ends.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import select
import signal
import sys
from collections.abc import Iterable, Iterator
from typing import NoReturn

from svctree.worker.strays import PASSED

__all__ = ["endingWith", "filesOf", "leave", "standUp", "takeBack", "threads"]

# Seconds for what the application does at exit in this process, which never served.
_EXIT_TIME = 1.0

# Characters of the names of imported files; more would be no list to watch, and no
# message.
_MOST_NAMES = 1_000_000


@contextlib.contextmanager
def endingWith(line: int) -> Iterator[None]:
    """
    While application code runs here nobody reads C{line}; let the kernel tell of its
    end by a signal, so that an import that hangs does not outlive the master.

    @param line: the read end of the pipe that ends with the master.
    """
    flags = fcntl.fcntl(line, fcntl.F_GETFL)
    # What it does by default is to end the process, whatever that is busy with.
    previous = signal.signal(signal.SIGIO, signal.SIG_DFL)
    try:
        fcntl.fcntl(line, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(line, fcntl.F_SETFL, flags | getattr(os, "O_ASYNC", 0))
        if select.select([line], [], [], 0)[0]:
            os._exit(1)
        yield
    finally:
        fcntl.fcntl(line, fcntl.F_SETFL, flags)
        signal.signal(signal.SIGIO, previous)


def standUp() -> None:
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


def takeBack() -> None:
    """
    Undo what the application's import may have done to the process, where it would
    make the zygote deaf, or mortal.
    """
    standUp()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def filesOf(names: Iterable[str]) -> list[str]:
    """
    @param names: of modules.
    @return: the files that they were loaded from.
    """
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


def threads() -> int:
    """
    @return: how many threads this process has, those that Python knows nothing of
        included where the system tells.
    """
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        import threading

        return threading.active_count()


def leave(status: int) -> NoReturn:
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
