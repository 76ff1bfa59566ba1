"""
Signals, as events of the reactor.

The handler that Python runs only queues the number; what it means is decided in the
reactor's turn, where logging, allocating and stopping services are safe.

Under stock C{twistd} this also decides the exit status: Twisted's own handlers note
the signal, and C{twistd} kills itself with it once the reactor has ended, so that a
service that stopped in perfect order looks as if it had died. A L{SignalService} in
the tree takes the handlers over, and the process ends with status 0.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger

from svctree.interfaces import IHurried
from svctree.service import Service

__all__ = ["Action", "SignalService", "Stopper", "eachService", "hurryTree"]

Action = Callable[[], object]
_Handler = Callable[[int, FrameType | None], Any] | int | None


class SignalService(Service):
    """
    Calls C{actions[number]()} in the reactor for each signal received.

    The handlers are installed when the service starts, so that a signal is not
    lost while the tree still boots, and once more when the reactor runs, because
    the reactor installs its own then. The previous ones return when it stops.

    @ivar actions: what to do for each signal number; a Deferred that an action
        returns is watched, and its failure logged.
    """

    _log = Logger()
    name = "signals"

    def __init__(
        self,
        actions: Mapping[int, Action] | Callable[[], Mapping[int, Action]],
        reactor: Any = None,
    ) -> None:
        """
        @param actions: the table, or what makes it when the service starts: the
            process may have gone into the background by then.
        @param reactor: provides C{callFromThread} and C{callWhenRunning}; the
            global one when omitted.
        """
        self._makeActions = actions if callable(actions) else None
        self.actions = {} if callable(actions) else dict(actions)
        self._reactor = reactor
        self._previous: dict[int, _Handler] = {}
        self._trigger: object = None
        self._ending = False

    @property
    def reactor(self) -> Any:
        if self._reactor is None:
            from twisted.internet import reactor

            self._reactor = reactor
        return self._reactor

    def startService(self) -> None:
        super().startService()
        if self._makeActions is not None:
            self.actions = dict(self._makeActions())
        self._install()
        self.reactor.callWhenRunning(self._install)
        if self._trigger is None:
            self._trigger = self.reactor.addSystemEventTrigger(
                "before", "shutdown", self._processEnds
            )

    def stopService(self) -> None:
        super().stopService()
        # The handlers stay while the process ends: the second TERM of an impatient
        # operator must still mean "hurry", not sudden death.
        if self._ending:
            return
        trigger, self._trigger = self._trigger, None
        if trigger is not None:
            self.reactor.removeSystemEventTrigger(trigger)
        previous, self._previous = self._previous, {}
        for number, handler in previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def describe(self) -> dict[str, object]:
        return {"signals": [signal.Signals(number).name for number in self.actions]}

    def _processEnds(self) -> None:
        self._ending = True

    def _install(self) -> None:
        if not self.running:
            return
        for number in self.actions:
            previous = signal.signal(number, self._handle)
            # Interrupted system calls are restarted; code that is not prepared
            # for EINTR need not learn about us.
            signal.siginterrupt(number, False)
            self._previous.setdefault(number, previous)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.reactor.callFromThread(self._act, number)

    def _act(self, number: int) -> None:
        self._log.info("received {signal}", signal=signal.Signals(number).name)
        result = self.actions[number]()
        if isinstance(result, Deferred):
            result.addErrback(
                lambda failure: self._log.warn(
                    "{signal} failed: {reason}",
                    signal=signal.Signals(number).name,
                    reason=failure.getErrorMessage(),
                )
            )


class Stopper:
    """
    Ends the reactor: in order when asked once, in a hurry when asked again.

    @ivar stopping: whether the end has been asked for.
    """

    _log = Logger()

    def __init__(
        self, hurry: Action = lambda: None, reactor: Any = None, stop: Any = None
    ) -> None:
        """
        @param hurry: shortens the wait for what is in hand.
        @param stop: begins the end; C{reactor.stop} when omitted.
        """
        self.stopping = False
        self._hurry = hurry
        self._reactor = reactor
        self._stop = stop

    def graceful(self) -> None:
        """
        Stop in order; the second time, fast.
        """
        if self.stopping:
            self._log.info("asked to stop again: not waiting for what is in hand")
            self._hurry()
        else:
            self._begin()

    def fast(self) -> None:
        """
        Stop without waiting for what is in hand.
        """
        if not self.stopping:
            self._begin()
        self._hurry()

    def _begin(self) -> None:
        self.stopping = True
        if self._stop is not None:
            self._stop()
            return
        if self._reactor is None:
            from twisted.internet import reactor

            self._reactor = reactor
        # It may be ending already, at the tree's own wish.
        with contextlib.suppress(ReactorNotRunning):
            self._reactor.stop()


def eachService(root: Any) -> list[Any]:
    """
    @return: C{root} and every service below it, parents before children, in the
        order in which they were added.
    """
    found = [root]
    try:
        children = list(root)
    except TypeError:
        return found
    for child in children:
        found += eachService(child)
    return found


def hurryTree(root: Any) -> None:
    """
    Tell every L{IHurried} service of a tree that nobody wants to wait any longer.
    """
    for service in eachService(root):
        if IHurried.providedBy(service):
            service.hurry()
