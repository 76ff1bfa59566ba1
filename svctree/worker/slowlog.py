"""
The slow log: what a worker was doing while a request took long.

The master sees in the scoreboard that a request runs for longer than C{slow-request},
writes a line that says which, and sends the worker a signal. The stacks are written by
the signal's handler in C, which needs no interpreter: it works whatever the
application is stuck in, and disturbs it no further.
"""

from __future__ import annotations

import faulthandler

from svctree.pool.messages import SLOW_SIGNAL
from svctree.worker.appended import AppendedFile

__all__ = ["SlowLog"]


class SlowLog:
    """
    A worker's part of the slow log.
    """

    def __init__(self, path: str) -> None:
        """
        @param path: C{-} is standard error.
        @raise svctree.worker.appended.LogFileError: the file cannot be opened.
        """
        self._file = AppendedFile("slowlog", path, 2)
        self.reopen = self._file.reopen
        faulthandler.register(SLOW_SIGNAL, file=self._file.fd, all_threads=True)
