"""
The root of a tree that Twisted's own runner starts.

C{twistd} does not look at what C{startService} returns, shows a traceback for every
exception, and always ends with status 0 once its reactor has run. So the topmost
container of ours speaks for the tree: a start that fails, at once or later, ends the
process with one readable line and the status that fits the failure.

Under C{twistd} without C{-n} the process in the foreground reports success before an
asynchronous start has come to its end; nothing can be done about that from here (the
command C{svctree} brings its own runner).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from svctree.tree.container import MultiService

__all__ = ["RootService", "endProcess", "explain"]

_log = Logger()


def explain(error: BaseException) -> str:
    """
    @return: what to tell people: the message, and below it the error's C{details}
        (an application's traceback) where it has some.
    """
    details = str(getattr(error, "details", "")).rstrip()
    return f"{error}\n{details}" if details else str(error)


def endProcess(status: int) -> None:
    """
    Let the process end with C{status} once its runner is through, whatever the runner
    thinks of it.
    """

    def leave() -> None:
        # What others registered is still due.
        atexit.unregister(leave)
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(status)

    atexit.register(leave)


def isForPeople(error: BaseException) -> bool:
    """
    @return: whether the message of C{error} says all that people need to know, so
        that a traceback of ours would only be in their way.
    """
    return hasattr(error, "exitStatus")


class RootService(MultiService):
    """
    A container that ends the process when it cannot start.

    Errors that are meant for people carry C{exitStatus}; of any other error people
    get the traceback, and the status is 1.

    @ivar reactor: what is stopped; the global one unless set.
    @ivar end: called with the exit status.
    """

    reactor: Any = None
    end: Callable[[int], None] = staticmethod(endProcess)

    def privilegedStartService(self) -> None:
        try:
            super().privilegedStartService()
        except Exception as error:
            self._showPlainly(error)
            raise

    def startService(self) -> Any:
        try:
            started = super().startService()
        except Exception as error:
            self._showPlainly(error)
            raise
        if isinstance(started, Deferred):
            started.addErrback(self._failedLater)
        return started

    def _showPlainly(self, error: Exception) -> None:
        """
        The runner will clean up and let the error end the process: only how it is
        shown can be bettered.
        """
        if not isForPeople(error):
            return
        self.end(int(error.exitStatus))  # type: ignore[attr-defined]
        previous = sys.excepthook

        def hook(
            kind: type[BaseException],
            value: BaseException,
            traceback: TracebackType | None,
        ) -> None:
            if value is error:
                sys.stderr.write(explain(error) + "\n")
            else:
                previous(kind, value, traceback)

        sys.excepthook = hook

    def _failedLater(self, failure: Failure) -> None:
        error = failure.value
        assert error is not None
        if isForPeople(error):
            _log.critical("{message}", message=explain(error))
        else:
            _log.failure("the service tree did not start", failure)
        self.end(int(getattr(error, "exitStatus", 1)))
        reactor = self.reactor
        if reactor is None:
            from twisted.internet import reactor
        reactor.callWhenRunning(reactor.stop)
