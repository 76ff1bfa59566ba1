"""
Whom a starting process tells how it goes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from typing import Protocol, TextIO

__all__ = ["Foreground", "IStatus", "NoStatus", "complain", "fillStandardStreams"]

PROGRAM = "svctree"


class IStatus(Protocol):
    """
    Whom a starting daemon reports to.
    """

    def progress(self, what: str) -> None:
        """
        @param what: what the start is waiting for, in a few words.
        """

    def ready(self, summary: str = "") -> None:
        """
        The daemon serves.

        @param summary: where, for the person who has started it.
        """

    def failed(
        self,
        message: str,
        exitStatus: int = 1,
        details: str = "",
        pidfile: str | None = None,
        sockets: Collection[str] = (),
    ) -> None:
        """
        The daemon ends before it was ready.

        @param message: one line for people.
        @param details: what stands below that line, a traceback for instance.
        @param pidfile: the pidfile, when it could only be emptied.
        @param sockets: socket files that could not be removed.
        """

    def close(self) -> None:
        """
        There is nothing more to report.
        """


class NoStatus:
    """
    Where nobody waits to be told: under C{twistd}, which has its own ways.
    """

    def close(self) -> None:
        """
        Nothing is open.
        """

    def progress(self, what: str) -> None:
        """
        Nobody is told.
        """

    def ready(self, summary: str = "") -> None:
        """
        Nobody is told.
        """

    def failed(
        self,
        message: str,
        exitStatus: int = 1,
        details: str = "",
        pidfile: str | None = None,
        sockets: Collection[str] = (),
    ) -> None:
        """
        Nobody is told.
        """


class Foreground(NoStatus):
    """
    Reports a failure to the standard error of a process that does not detach: to
    the one that it was started with, for by then the error log may have taken its
    place. Everything else the log tells already.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        if stream is None:
            fillStandardStreams()
            stream = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace")
        self._stream: TextIO = stream

    def failed(
        self,
        message: str,
        exitStatus: int = 1,
        details: str = "",
        pidfile: str | None = None,
        sockets: Collection[str] = (),
    ) -> None:
        with contextlib.suppress(OSError):
            complain(self._stream, message, details)

    def close(self) -> None:
        """
        There is nothing more to report.
        """
        self._stream.close()


def complain(stream: TextIO, message: str, details: str = "") -> None:
    """
    @param message: one line for people.
    @param details: what stands below it.
    """
    stream.write(f"{PROGRAM}: {message}\n")
    if details.strip():
        stream.write(details.rstrip() + "\n")
    stream.flush()


def fillStandardStreams() -> None:
    """
    Make sure that descriptors 0, 1 and 2 are open, else the next file would get one
    of these numbers, and somebody's error message.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            # The lowest free number is exactly this one.
            null = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(null, True)
