"""
A service whose work is one function.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure

from svctree.tree.leaf import Service
from svctree.tree.results import asDeferred


class RunService(Service):
    """
    A service that is up while its L{run} goes on.

    When C{run} ends, the service is down: C{finished} when it returned, C{crashed}
    when it raised. A stop cancels it and waits for its end.
    """

    _work: Deferred[Any] | None = None
    _stopped: Deferred[None] | None = None

    def run(self) -> Any:
        """
        Override with the work: a coroutine function, or one that returns a Deferred.
        """
        raise NotImplementedError(f"{type(self).__name__} has no run()")

    def startService(self) -> None:
        super().startService()
        self._stopped = None
        try:
            work = asDeferred(self.run())
        except BaseException:
            self.running = 0
            raise
        if not self.running:
            # Its first steps were to have itself stopped.
            if work is not None:
                work.addErrback(lambda _: None)
                work.cancel()
        elif work is None:
            # It was done at once.
            self.finished()
        else:
            self._work = work
            arguments = (work,)
            work.addCallbacks(
                self._ended, self._failed, arguments, errbackArgs=arguments
            )

    def stopService(self) -> Deferred[None]:
        """
        @return: a Deferred that fires when C{run} has ended.
        """
        super().stopService()
        work = self._work
        if work is None:
            return succeed(None)
        if self._stopped is None:
            self._stopped = Deferred()
            stopped = self._stopped
            work.cancel()
            return stopped
        joined: Deferred[None] = Deferred()
        self._stopped.chainDeferred(joined)
        return joined

    def _ended(self, _: object, work: Deferred[Any]) -> None:
        if work is not self._work:
            # Its stop was given up; another one may run by now.
            return
        self._work = None
        if not self._isStopped(None):
            self.finished()

    def _failed(self, failure: Failure, work: Deferred[Any]) -> None:
        if work is not self._work:
            return
        self._work = None
        ours = self._stopped is not None and failure.check(CancelledError)
        if not self._isStopped(None if ours else failure):
            self.crashed(failure)

    def _isStopped(self, failure: Failure | None) -> bool:
        stopped, self._stopped = self._stopped, None
        if stopped is None:
            return False
        stopped.callback(failure)  # type: ignore[arg-type]
        return True

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop("_work", None)
        state.pop("_stopped", None)
        return state


__all__ = ["RunService"]
