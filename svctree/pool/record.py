"""
One worker, as the master knows it.
"""

from __future__ import annotations

import contextlib
import os

from svctree.pool.deadline import Deadline

__all__ = ["WorkerRecord"]


class WorkerRecord:
    """
    A worker from fork to end.

    @ivar since: when it was forked, and later when it got ready (reactor's seconds).
    @ivar ready: it has accepted requests.
    @ivar retiring: it was told to end, so that its end is no news.
    @ivar leaving: why it wants to be replaced, or C{""}.
    @ivar killed: why it was killed, or C{""}.
    @ivar stuck: a request in it takes too long.
    @ivar timers: what is to happen to it; cancelled with its end.
    """

    __slots__ = (
        "_born",
        "killed",
        "leaving",
        "pid",
        "ready",
        "requestsBefore",
        "retiring",
        "since",
        "slot",
        "stuck",
        "timers",
    )

    def __init__(self, slot: int, pid: int, since: float, requests: int) -> None:
        self.slot = slot
        self.pid = pid
        self.since = since
        self.requestsBefore = requests
        self.ready = self.retiring = self.stuck = False
        self.leaving = self.killed = ""
        self.timers: dict[str, Deadline] = {}
        _, self._born = _stat(pid)

    def cancel(self, timer: str) -> None:
        """
        Forget one of C{timers}.
        """
        if timer in self.timers:
            self.timers.pop(timer).cancel()

    def cancelAll(self) -> None:
        """
        It has ended.
        """
        for timer in list(self.timers):
            self.cancel(timer)

    def isAlive(self) -> bool:
        """
        For a worker whose zygote is gone, so that nobody reports its end.

        @return: whether this very process runs: not one that got its number later,
            and not one that only waits to be reaped.
        """
        state, born = _stat(self.pid)
        if state:
            return born == self._born and state not in "ZX"
        if os.path.isdir("/proc/self"):
            return False
        try:  # a system without /proc
            os.kill(self.pid, 0)
        except OSError:
            return False
        return True

    def isStopped(self) -> bool:
        """
        @return: whether it was stopped by a signal, or by a debugger, and so serves
            nobody whatever it was doing (proc(5)).
        """
        return _stat(self.pid)[0] in ("T", "t")

    def signal(self, number: int) -> None:
        """
        Send a signal to a worker whose zygote cannot do it any more; never to a
        stranger that got its number.
        """
        if self.isAlive():
            with contextlib.suppress(OSError):
                os.kill(self.pid, number)


def _stat(pid: int) -> tuple[str, str]:
    """
    @return: state and time of birth of a process, which together with its number
        tells it from all others (proc(5)); empty when there is none.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return "", ""
    return fields[0].decode(), fields[19].decode()
