"""
The root of a tree that Twisted's own runner starts.

C{twistd} does not look at what C{startService} returns, shows a traceback for every
exception, waits for ever for a stop, and always ends with status 0 once its reactor
has run. So the topmost container of ours, whatever Twisted object stands above it,
speaks for the tree: a start that fails, at once or later, and a supervisor that gives
up end the process with one readable line and the status that fits the failure; a stop
has a bound; and C{reactor.stop()} works during the start, when the reactor does not
run yet.

Under C{twistd} without C{-n} the process in the foreground reports success before an
asynchronous start has come to its end; nothing can be done about that from here (the
command C{svctree} brings its own runner).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType, TracebackType
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.reflect import safe_str

from svctree.tree import audience, events
from svctree.tree.container import MultiService
from svctree.tree.errors import StartInterrupted, StopFailed, StopOverran, placed
from svctree.tree.paths import pathOf
from svctree.tree.register import TreeContainer
from svctree.tree.shedding import runnerConfig, shedUnknown
from svctree.tree.shutdown import ChildStop

__all__ = [
    "Root",
    "RootService",
    "endProcess",
    "explain",
    "isUnderTwistd",
    "leaveBehind",
    "unstopped",
]

_log = Logger()


def explain(error: BaseException) -> str:
    """
    @return: what to tell people: the message, and below it the error's C{details}
        (an application's traceback) where it has some.
    """
    details = str(getattr(error, "details", "") or "").rstrip()
    message = safe_str(error) or type(error).__name__
    return f"{message}\n{details}" if details else message


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


def isUnderTwistd() -> bool:
    """
    @return: whether a runner of Twisted's is starting an application just now, as
        its functions are on the stack.
    """
    runners = _runners()
    if not runners:
        return False
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code in runners:
            return True
        frame = frame.f_back
    return False


def _runners() -> set[CodeType]:
    found = set()
    for module, names in _STARTERS.items():
        here: Any = sys.modules.get(module)
        for name in names:
            starter = here
            for part in name.split("."):
                starter = getattr(starter, part, None)
            code = getattr(starter, "__code__", None)
            if code is not None:
                found.add(code)
    return found


_STARTERS = {
    "twisted.application.app": ("startApplication",),
    "twisted.application.twist._twist": ("Twist.startService",),
    "twisted.scripts._twistd_unix": ("UnixApplicationRunner.startApplication",),
}


def unstopped(container: Any) -> list[ChildStop]:
    """
    @return: the stops of services that have been told to stop and have not.
    """
    found: list[ChildStop] = []
    waiting = [container]
    while waiting:
        for stop in list(getattr(waiting.pop(), "_stops", {}).values()):
            if isinstance(stop.service, TreeContainer):
                waiting.append(stop.service)
            else:
                found.append(stop)
    return found


def leaveBehind(container: Any, timeout: float) -> None:
    """
    Wait no longer for what has not stopped: its stop is cancelled, it is killed where
    it offers C{killService}, and an event says so.

    @param timeout: the seconds that the whole tree had.
    """
    # A supervisor goes on to the next child then.
    while stops := unstopped(container):
        for stop in stops:
            _leaveOneBehind(container, stop, timeout)


def _leaveOneBehind(container: Any, stop: ChildStop, timeout: float) -> None:
    service, path = stop.service, pathOf(stop.service)
    failure = Failure(StopOverran(path, timeout))
    event = events.StopOverdue(path=path, reason=failure, service=service)
    audience.publish(container, event)
    stop.giveUp(failure)
    kill: Any = getattr(service, "killService", None)
    if kill is not None:
        try:
            kill()
        except Exception:
            _log.failure("{path}: cannot be killed", path=path)


class Root:
    """
    Does the duties of a root for one container.

    @ivar container: the topmost container of ours.
    @ivar reactor: what is stopped; the global one unless given.
    @ivar end: called with the exit status.
    @ivar stopTimeout: seconds for the stop of the whole tree.
    """

    def __init__(
        self,
        container: Any,
        reactor: Any = None,
        end: Callable[[int], object] | None = None,
        stopTimeout: float | None = None,
    ) -> None:
        if reactor is None:
            reactor = getattr(container, "reactor", None)
        if reactor is None:
            from twisted.internet import reactor
        self.container = container
        self.reactor: Any = reactor
        wanted: Any = end or getattr(container, "end", endProcess)
        self.end: Callable[[int], object] = wanted
        if stopTimeout is None:
            stopTimeout = getattr(container, "stopTimeout", 60.0)
        self.stopTimeout = stopTimeout
        self._failing = False
        self._stopping = False
        self._restore: Callable[[], None] = lambda: None
        if container.onDown is None:
            container.onDown = self.failed

    def privileged(self, begin: Callable[[], None]) -> None:
        """
        Run the privileged phase.
        """
        try:
            with self._stopsLater():
                begin()
            process = getattr(self.container, "_runsAs", None)
            if process is not None:
                self._restore = shedUnknown(process, runnerConfig())
        except Exception as error:
            self._showPlainly(error)
            raise

    def start(self, begin: Callable[[], Any]) -> Any:
        """
        Start the tree.

        @return: what C{begin} returns; its failure has been dealt with.
        """
        # The runner has read it.
        self._restore()
        try:
            with self._stopsLater():
                started = begin()
        except Exception as error:
            self._showPlainly(error)
            raise
        if "stop" not in vars(self.reactor):
            self.reactor.stop = self._stopOnce
        self.container.whenReady().addErrback(lambda _: None)
        if isinstance(started, Deferred):
            started.addErrback(self.failed)
        return started

    def stop(self, begin: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        """
        Stop the tree, and wait no longer than C{stopTimeout}.

        @return: a Deferred that does not fail.
        """
        done: Deferred[Any] = Deferred()
        overdue = self.reactor.callLater(self.stopTimeout, self._overdue, done)

        def stopped(result: object) -> None:
            if overdue.active():
                overdue.cancel()
            if isinstance(result, Failure):
                self._reportStop(result)
                result = None
            if not done.called:
                done.callback(result)

        begin().addBoth(stopped)
        return done

    def failed(self, failure: Failure) -> None:
        """
        The tree is of no use any more: say why, and end the process.
        """
        if failure.check(StartInterrupted) or self._failing:
            # Whoever stopped the tree knows why.
            return
        self._failing = True
        error = failure.value
        assert error is not None
        if isForPeople(error):
            _log.critical("{message}", message=explain(error))
        else:
            where = getattr(error, "servicePath", None)
            _log.failure("{message}", failure, message=placed(where, explain(error)))
        self.end(int(getattr(error, "exitStatus", 1)))
        self.reactor.callWhenRunning(self._stopReactor)

    def _stopReactor(self) -> None:
        with contextlib.suppress(ReactorNotRunning):
            self.reactor.stop()

    def _showPlainly(self, error: Exception) -> None:
        """
        The runner will clean up and let the error end the process: only how it is
        shown can be bettered.
        """
        if not isForPeople(error):
            return
        self.end(int(getattr(error, "exitStatus", 1)))
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

    @contextlib.contextmanager
    def _stopsLater(self) -> Iterator[None]:
        """
        While services start before the reactor runs, C{reactor.stop()} means: stop as
        soon as it does.
        """
        reactor = self.reactor
        if getattr(reactor, "running", True) or "stop" in vars(reactor):
            yield
            return
        reactor.stop = lambda: reactor.callWhenRunning(self._stopReactor)
        try:
            yield
        finally:
            del reactor.stop

    def _stopOnce(self) -> None:
        """
        Stop the reactor. To be told so once more is no error from then on, as it is to
        the reactor: two signals may come at once, and whoever sends another one later
        wants to know what takes so long.
        """
        if self._stopping:
            self._sayWhatStops()
            return
        del self.reactor.stop
        try:
            self.reactor.stop()
            self._stopping = True
        finally:
            self.reactor.stop = self._stopOnce

    def _sayWhatStops(self) -> None:
        paths = ", ".join(pathOf(stop.service) for stop in unstopped(self.container))
        if paths:
            _log.warn(
                "still stopping, for {seconds} s at most: {paths}",
                seconds=self.stopTimeout,
                paths=paths,
            )

    def _reportStop(self, failure: Failure) -> None:
        if failure.check(StopFailed):
            # One line for each child that has something to say.
            for path, each in failure.value.failures:  # type: ignore[union-attr]
                if each.check(StopOverran):
                    # That was an event of its own.
                    continue
                _log.error("{line}", line=placed(path, each.getErrorMessage()))
        else:
            _log.failure("while stopping", failure)

    def _overdue(self, done: Deferred[Any]) -> None:
        leaveBehind(self.container, self.stopTimeout)
        self.end(1)
        if not done.called:
            done.callback(None)


class RootService(MultiService):
    """
    A container that is meant to be the root of a tree.

    @ivar reactor: what is stopped; the global one unless set.
    @ivar end: called with the exit status.
    @ivar stopTimeout: seconds for the stop of the whole tree.
    """

    reactor: Any = None
    end: Callable[[int], object] = staticmethod(endProcess)
    stopTimeout = 60.0

    # The process parameters, where it is the root of an application.
    _runsAs: Any = None
