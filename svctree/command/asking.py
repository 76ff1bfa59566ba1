"""
The commands that ask a running daemon: reload, scale, logrotate.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from svctree.command.errors import NOT_RUNNING, CommandError
from svctree.command.target import client, holderOf, notRunning
from svctree.control import ControlClient, NotRunning
from svctree.process.progress import Progress
from svctree.settings import Settings

__all__ = ["ask", "reload", "reopenLogs", "scale"]

T = TypeVar("T")


def ask(settings: Settings, command: str, question: Callable[[ControlClient], T]) -> T:
    """
    @param command: its name, for messages.
    @param question: called with the client.
    @raise CommandError: there is nobody to ask.
    @raise svctree.control.ControlError: it was refused, or failed.
    """
    try:
        return question(client(settings, command))
    except NotRunning as error:
        raise notRunning(settings, error) from None


def reload(settings: Settings, pool: str | None = None) -> list[str]:
    """
    Replace the workers by new ones with fresh code, and wait for it.

    @return: the names of the pools.
    @raise svctree.control.ControlError: the new ones do not come up; the old ones
        serve on. The traceback is in C{details}.
    """
    with _waiting("waiting for the new workers"):
        return ask(settings, "reload", lambda daemon: daemon.reload(pool))


def scale(settings: Settings, count: int, pool: str | None = None) -> dict[str, int]:
    """
    Have C{count} workers, and wait for them.

    @return: the new number for each pool.
    """
    with _waiting(f"waiting for {count} workers"):
        return ask(settings, "scale", lambda daemon: daemon.scale(count, pool=pool))


def reopenLogs(settings: Settings) -> str:
    """
    Reopen the logs, in every process.

    Without a control socket the daemon is sent USR1, as the seed does; then nobody
    can tell when it is done, or whether it worked.

    @return: what was done, for people.
    """
    if settings.controlAddress() is not None:
        path = ask(settings, "logrotate", lambda daemon: daemon.logrotate())
        return f"reopened {path}" if path else "there is no error log to reopen"
    holder = holderOf(settings, "logrotate")
    if holder is None:
        raise CommandError(
            f"not running: nobody holds the pidfile {settings.pidfile}", NOT_RUNNING
        )
    with holder:
        try:
            holder.signal(signal.SIGUSR1)
        except PermissionError:
            raise CommandError(
                f"may not signal pid {holder.pid}, which belongs to another user"
            ) from None
        return f"asked pid {holder.pid} to reopen its logs"


@contextlib.contextmanager
def _waiting(what: str) -> Iterator[None]:
    """
    Show on a terminal that, and since when, something is waited for.
    """
    progress, over, since = Progress(), threading.Event(), time.monotonic()

    def show() -> None:
        while not over.wait(0.5):
            progress.show(f"{what} ({time.monotonic() - since:.0f} s)")

    shower = threading.Thread(target=show, daemon=True)
    shower.start()
    try:
        yield
    finally:
        over.set()
        shower.join()
        progress.clear()
