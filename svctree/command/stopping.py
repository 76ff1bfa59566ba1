"""
C{svctree stop}: the signals of the seed, then patience, then force.
"""

from __future__ import annotations

import math
import signal
import time

from svctree.command.errors import CommandError
from svctree.command.target import holderOf, socketPaths
from svctree.process import Holder
from svctree.process.leftovers import sweepLeftovers
from svctree.process.progress import Progress
from svctree.settings import Settings

__all__ = ["stop"]

# When stop-timeout is over the daemon hurries by itself; so long for that, then so
# long until the kernel has taken it away (seconds).
_HURRY = 6.0
_KILL = 10.0

# How often the line on the terminal changes.
_TICK = 0.5


def stop(
    settings: Settings, wait: bool = True, progress: Progress | None = None
) -> int:
    """
    Stop the daemon; that none runs is no failure.

    It is sent TERM, and CONT in case it was stopped. If it is not gone after
    C{stop-timeout} it is sent QUIT, which does not wait for requests, and in the end
    KILL.

    @param wait: until it is gone; else return when the signals are sent.
    @return: its pid, or 0 when none ran.
    @raise CommandError: it may not be stopped, or does not go away.
    """
    progress = Progress() if progress is None else progress
    holder = holderOf(settings, "stop")
    if holder is None:
        _sweep(settings)
        return 0
    with holder:
        _signal(holder, signal.SIGTERM, signal.SIGCONT)
        if wait:
            _awaitEnd(holder, settings.stopTimeout, progress)
            progress.clear()
            _sweep(settings)
        return holder.pid


def _awaitEnd(holder: Holder, timeout: float, progress: Progress) -> None:
    if _gone(holder, timeout, "waiting for pid {pid} to stop", progress):
        return
    progress.tell(
        f"pid {holder.pid} has not stopped within {timeout:g} s (stop-timeout); "
        "asking it to give up what it has in hand"
    )
    _signal(holder, signal.SIGQUIT, signal.SIGCONT)
    if _gone(holder, _HURRY, "waiting for pid {pid} to give up", progress):
        return
    progress.tell(f"pid {holder.pid} does not react; killing it")
    _signal(holder, signal.SIGKILL)
    if not _gone(holder, _KILL, "waiting for pid {pid} to vanish", progress):
        progress.clear()
        raise CommandError(
            f"pid {holder.pid} does not go away even when killed: the kernel holds "
            "it, most likely in a disk or network file system that does not answer"
        )


def _gone(holder: Holder, timeout: float, what: str, progress: Progress) -> bool:
    deadline = time.monotonic() + timeout
    while True:
        left = deadline - time.monotonic()
        if holder.wait(max(0.0, min(left, _TICK))):
            return True
        if left <= 0:
            return False
        text = what.format(pid=holder.pid)
        progress.show(f"{text} ({math.ceil(left)} s left)")


def _signal(holder: Holder, *numbers: int) -> None:
    try:
        holder.signal(*numbers)
    except PermissionError:
        raise CommandError(
            f"may not stop pid {holder.pid}, which belongs to another user; stop it "
            "as that user or as root"
        ) from None


def _sweep(settings: Settings) -> None:
    # What the daemon could not remove because it had given its rights away.
    sweepLeftovers(settings.pidfile, socketPaths(settings))
