"""
The duty of process 1: to bury the dead of others.

In a container the master is often process 1, and every process whose parent has
ended becomes its child. Twisted asks only for those that it has started; the others
would stay zombies for ever.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from twisted.internet import process
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from svctree.service import Service

__all__ = ["ReaperService"]


class ReaperService(Service):
    """
    Looks for dead children that nobody else waits for. A child is one of those when
    it was dead twice in a row: a thread that waits for its own has done so by then.
    """

    _log = Logger()
    name = "reaper"

    def __init__(self, interval: float = 1.0, reactor: Any = None) -> None:
        """
        @param interval: seconds between two looks.
        """
        self._interval = interval
        self._loop = LoopingCall(self._look)
        if reactor is not None:
            self._loop.clock = reactor
        self._dead: set[int] = set()

    def startService(self) -> None:
        super().startService()
        self._loop.start(self._interval).addErrback(
            lambda failure: self._log.failure("the reaper ended", failure)
        )

    def stopService(self) -> None:
        super().stopService()
        if self._loop.running:
            self._loop.stop()

    def _look(self) -> None:
        dead = {pid for pid in _zombies() if pid not in process.reapProcessHandlers}
        for pid in dead & self._dead:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        self._dead = dead


def _zombies() -> list[int]:
    """
    @return: the dead children of this process.
    """
    me, found = os.getpid(), []
    try:
        with open(f"/proc/{me}/task/{me}/children") as file:
            children = file.read().split()
    except OSError:
        return []
    for child in children:
        with contextlib.suppress(OSError), open(f"/proc/{child}/stat") as file:
            if file.read().rpartition(")")[2].split()[0] == "Z":
                found.append(int(child))
    return found
