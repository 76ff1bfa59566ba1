"""
What a supervisor keeps for one child while it lives.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from svctree.tree.bounds import Nap
from svctree.tree.health import HealthMonitor
from svctree.tree.spec import ChildSpec


class Child:
    """
    @ivar service: the present instance.
    @ivar spec: how it is started, stopped and restarted.
    @ivar failures: how often in a row it went down.
    @ivar busy: it is being restarted, so that reports about it are of no interest.
    @ivar ignored: it raised C{Ignore}.
    @ivar terminated: somebody has stopped it by hand.
    @ivar gone: it is no child any more.
    @ivar starting: the Deferred of its C{startService}, while it starts.
    @ivar fell: why it went down while it was starting: L{None} if it did not, else
        a tuple of the Failure or L{None}.
    """

    __slots__ = (
        "busy",
        "failures",
        "fell",
        "gone",
        "ignored",
        "monitor",
        "nap",
        "restarts",
        "service",
        "spec",
        "starting",
        "terminated",
        "upSince",
    )

    def __init__(self, service: Any, spec: ChildSpec) -> None:
        self.service = service
        self.spec = spec
        self.failures = 0
        self.restarts = 0
        self.busy = False
        self.ignored = False
        self.terminated = False
        self.gone = False
        self.fell: tuple[Failure | None] | None = None
        self.monitor: HealthMonitor | None = None
        self.nap: Nap | None = None
        self.starting: Deferred[Any] | None = None
        self.upSince: float | None = None

    def up(self, clock: IReactorTime) -> None:
        """
        It has come up.
        """
        self.upSince = clock.seconds()
        self.ignored = self.terminated = False

    def down(self, clock: IReactorTime, stableAfter: float) -> None:
        """
        It has gone down by itself.
        """
        stable = self.upSince is not None and (
            clock.seconds() - self.upSince >= stableAfter
        )
        self.failures = 1 if stable else self.failures + 1
        self.upSince = None
        self.rest()

    def rest(self) -> None:
        """
        Neither check it nor wait to restart it any more.
        """
        monitor, self.monitor = self.monitor, None
        if monitor is not None:
            monitor.stop()
        nap, self.nap = self.nap, None
        if nap is not None:
            nap.end()


__all__ = ["Child"]
