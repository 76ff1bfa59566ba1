"""
Health checks: a child that is up, but not well, is taken for down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from svctree.tree.errors import HealthCheckFailed
from svctree.tree.results import asDeferred


@dataclass(frozen=True)
class HealthCheck:
    """
    @ivar check: called with the service; a failure, or a result that is false and
        not L{None}, is "not well". It may return a Deferred or a coroutine.
    @ivar interval: seconds between the end of one check and the next.
    @ivar timeout: seconds one check may take.
    @ivar failures: so many in a row mean that the child is down.
    """

    check: Callable[[Any], object]
    interval: float = 10.0
    timeout: float = 5.0
    failures: int = 3


class NotWell(Exception):
    """
    A health check said no.
    """


class HealthMonitor:
    """
    Checks one child until it is told to stop, or the child is found to be down.

    @param down: called with the Failure.
    """

    def __init__(
        self,
        check: HealthCheck,
        service: Any,
        clock: IReactorTime,
        path: str,
        down: Callable[[Failure], object],
    ) -> None:
        self._check = check
        self._service = service
        self._clock = clock
        self._path = path
        self._down = down
        self._failed = 0
        self._checking: Deferred[Any] | None = None
        self._next: IDelayedCall | None = None
        self._over = False
        self._later()

    def stop(self) -> None:
        """
        Check no more.
        """
        self._over = True
        if self._next is not None and self._next.active():
            self._next.cancel()
        if self._checking is not None:
            self._checking.cancel()

    def _later(self) -> None:
        self._next = self._clock.callLater(self._check.interval, self._begin)

    def _begin(self) -> None:
        asked = maybeDeferred(self._ask)
        # A coroutine may take no notice of being cancelled: it is not waited for.
        checking: Deferred[Any] = Deferred(lambda _: asked.cancel())

        def answer(result: Any) -> None:
            if not checking.called:
                checking.callback(result)

        asked.addBoth(answer)
        checking.addTimeout(self._check.timeout, self._clock)
        self._checking = checking
        checking.addCallback(self._answered)
        checking.addErrback(self._refused)
        if self._over:
            # It was the check that had it stopped.
            checking.cancel()

    def _ask(self) -> object:
        result = self._check.check(self._service)
        waiting = asDeferred(result)
        return result if waiting is None else waiting

    def _answered(self, well: object) -> None:
        if well is not None and not well:
            raise NotWell(f"the check returned {well!r}")
        self._checking = None
        self._failed = 0
        if not self._over:
            self._later()

    def _refused(self, failure: Failure) -> None:
        self._checking = None
        if self._over:
            return
        self._failed += 1
        if self._failed >= self._check.failures:
            self._over = True
            error = HealthCheckFailed(self._path, self._failed, failure)
            self._down(Failure(error))
        else:
            self._later()


__all__ = ["HealthCheck", "HealthMonitor", "NotWell"]
