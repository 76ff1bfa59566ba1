"""
The end of a worker that nobody is left to end.

A worker notices in its loop that the master is gone, and a zygote ends the workers that
do not. Where the zygote is gone, too, and a request keeps the loop from looking, the
kernel has to do it: it sends a signal at the end of the line, and the process sets
itself a timer whose signal ends it.

There are two such signals. The handler of SIGIO is Python's: the interpreter runs it
between two steps, or wakes for it from a system call, and it sets the time that was
asked for. But a request may be busy in C code and never come back to the interpreter.
For that the handler of the other signal is C code: C{alarm} of the C library itself,
which may be called in a handler (signal-safety(7)) and takes, as every handler does,
the number of the signal, which for it is a number of seconds. So the signal is chosen
by its number. (The kernel could send SIGKILL at once, C{PR_SET_PDEATHSIG}, but that
would end requests that are about to be answered; and it cannot send anything later.)

What blocks all signals for good is out of reach.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
from collections.abc import Callable

from svctree.pool.messages import SLOW_SIGNAL
from svctree.worker.clibrary import library

__all__ = ["OrphanLimit"]

# The first of the real-time signals that glibc does not use itself (signal(7)); they
# are the ones that applications leave alone.
_LEAST_ALARM = 35

# A C function as a handler cannot be had in another way.
if library is not None:
    import ctypes

    library.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
    library.signal.restype = ctypes.c_void_p


class OrphanLimit:
    """
    Ends the process some time after the end of its line.
    """

    def __init__(self, line: int, seconds: float) -> None:
        """
        @param line: the read end of the pipe that ends with the master.
        @param seconds: from then on.
        """
        self._line = line
        self._seconds = max(0.1, seconds)
        self._alarm = 0

    def prepare(self) -> None:
        """
        In the zygote: set the handler that its workers inherit. They would have to
        load for it what they share so.
        """
        if library is not None and hasattr(fcntl, "F_SETSIG"):
            number = min(max(_LEAST_ALARM, round(self._seconds)), signal.SIGRTMAX)
            if number == SLOW_SIGNAL:
                number += 1
            library.signal(number, ctypes.cast(library.alarm, ctypes.c_void_p))
            self._alarm = number

    def listen(self) -> Callable[[], None]:
        """
        In a worker: have the kernel tell of the end of the line. Nothing happens on
        systems that cannot.

        @return: undoes it in a forked child, as far as it would harm anybody.
        """
        signal.signal(signal.SIGIO, lambda *_: self.begin())
        try:
            own = _reopened(self._line)
        except OSError:  # a system without /proc; the loop looks
            return lambda: None
        os.dup2(own, self._line, inheritable=False)
        os.close(own)
        _askForSignal(self._line)
        if not self._alarm:
            return lambda: None
        own = _reopened(self._line)
        fcntl.fcntl(own, fcntl.F_SETSIG, self._alarm)
        _askForSignal(own)
        return lambda: os.close(own)

    def isDue(self) -> bool:
        """
        @return: whether the line has ended.
        """
        return bool(select.select([self._line], [], [], 0)[0])

    def begin(self) -> None:
        """
        If the line has ended, set the limit.
        """
        if self.isDue():
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, self._seconds)


def _reopened(fd: int) -> int:
    # The flag belongs to the open file, and that of the zygote is shared by all.
    return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK)


def _askForSignal(fd: int) -> None:
    with contextlib.suppress(AttributeError):  # O_ASYNC
        fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_ASYNC)
