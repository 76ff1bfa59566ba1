"""
Children that the application forks, from a zygote or from a worker.

They are the application's business, and outlive whom they come from if they like. What
they must not have is what makes the parent what it is: a listening socket in a stray
child would keep the port from the next start, the channel would hide the parent's end,
and the descriptor that wakes a loop for signals would bring the parent the signals of
its child. A program that is executed loses all of that by itself; C{os.fork} and
C{multiprocessing} need the hook of this module.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
from _thread import get_ident
from collections.abc import Callable, Iterator

__all__ = ["PASSED", "Belongings"]

PASSED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT")
"""Signals to which these processes do not listen: a terminal, or a service manager,
sends them to the whole group, and they are meant for the master."""


class Belongings:
    """
    What a forked child lets go of, unless it is forked by us.

    @ivar closers: called in the child.
    """

    def __init__(self) -> None:
        self.closers: list[Callable[[], None]] = []
        self._passOn = False
        self._masks: dict[int, set[int]] = {}
        os.register_at_fork(
            before=self._hold,
            after_in_parent=self._resume,
            after_in_child=self._forked,
        )

    @contextlib.contextmanager
    def passedOn(self) -> Iterator[None]:
        """
        Who is forked in here is one of us.
        """
        self._passOn = True
        try:
            yield
        finally:
            self._passOn = False

    def _hold(self) -> None:
        # A signal that comes before the child has its own handlers would be lost to
        # it, and told to its parent.
        numbers = [getattr(signal, name) for name in PASSED]
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        self._masks[get_ident()] = set(mask)

    def _resume(self) -> None:
        mask = self._masks.pop(get_ident(), None)
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _forked(self) -> None:
        if not self._passOn:
            self._letGo()
        self._resume()

    def _letGo(self) -> None:
        with contextlib.suppress(ValueError):
            signal.set_wakeup_fd(-1)
            faulthandler.unregister(signal.SIGUSR2)
            for name in PASSED:
                signal.signal(getattr(signal, name), signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
        for close in self.closers:
            with contextlib.suppress(OSError):
                close()
        self.closers.clear()
