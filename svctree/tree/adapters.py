"""
Twisted's own services as children: they go down when they are down, and can be
started again.

C{TimerService} stops without notice when its function fails (ticket 3627).
C{StreamServerEndpointService} logs that it cannot listen and goes on without
(8170), and does not listen again after a stop (5071). C{ProcessMonitor} does not
wait for its processes. None of them was written with a supervisor in mind, so that
some of what follows has to reach into them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from twisted.application import internet
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from svctree.tree.errors import ProcessKeepsEnding
from svctree.tree.paths import pathOf
from svctree.tree.register import Resident

Report = Callable[[Failure | None], object]
Later = Callable[[Callable[[], object]], object]


class Adapter:
    """
    Stands between a container and a service that knows nothing of going down.

    @param report: called when the service is down, with the reason.
    @param supervised: somebody will do something about it.
    @param later: calls something in the next turn of the container's clock.
    """

    def __init__(
        self, service: Any, report: Report, supervised: bool, later: Later
    ) -> None:
        self.service = service
        self._report = report
        self._supervised = supervised
        self._later = later

    def privilegedStartService(self) -> Any:
        return self.service.privilegedStartService()

    def startService(self) -> Any:
        return self.service.startService()

    def stopService(self) -> Any:
        return self.service.stopService()


class TimerAdapter(Adapter):
    """
    A timer is down when its loop ends with an error.
    """

    def startService(self) -> Any:
        service = self.service
        if "_failed" in vars(service):
            return service.startService()
        # It is looked up once, when the loop starts.
        service._failed = self._loopFailed
        try:
            return service.startService()
        finally:
            del service._failed

    def _loopFailed(self, failure: Failure) -> None:
        service = self.service
        service.running = False
        if not self._supervised:
            # Nobody else will show where it came from.
            service._failed(failure)
        else:
            service._loop.running = False
        self._report(failure)


class _Listening:
    """
    Stands in for an endpoint, so that we hear first what becomes of it.
    """

    def __init__(self, endpoint: Any, adapter: EndpointAdapter) -> None:
        self._endpoint = endpoint
        self._adapter = adapter

    def listen(self, factory: Any) -> Deferred[Any]:
        return self._adapter.watch(self._endpoint.listen(factory))


class EndpointAdapter(Adapter):
    """
    A server on an endpoint is up when it listens, and down when its port is gone.
    """

    _failure: Failure | None = None
    _starting: Deferred[None] | None = None
    _stopping = False
    _pending = False

    def privilegedStartService(self) -> Any:
        self._begin(self.service.privilegedStartService)

    def startService(self) -> Any:
        self._begin(self.service.startService)
        if self._pending:
            self._starting = Deferred()
            return self._starting
        return None

    def _begin(self, start: Callable[[], object]) -> None:
        service = self.service
        self._stopping = False
        endpoint = service.endpoint
        service.endpoint = _Listening(endpoint, self)
        try:
            start()
        except BaseException:
            service._waitingForPort = None
            raise
        finally:
            service.endpoint = endpoint
        self._raise()

    def _raise(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            self.service._waitingForPort = None
            self.service.running = False
            failure.raiseException()

    def watch(self, listening: Deferred[Any]) -> Deferred[Any]:
        """
        @param listening: what the endpoint's C{listen} returned.
        @return: what the service gets.
        """
        self._pending = True
        return listening.addCallbacks(self._listens, self._refused)

    def _listens(self, port: Any) -> Any:
        self._pending = False
        lost = port.connectionLost

        def connectionLost(reason: Failure) -> Any:
            result = lost(reason)
            if not self._stopping:
                self.service.running = False
                self._report(reason)
            return result

        with contextlib.suppress(AttributeError):
            # Ports without room for attributes go without notice.
            port.connectionLost = connectionLost
        starting, self._starting = self._starting, None
        if starting is not None:
            starting.callback(None)
        return port

    def _refused(self, failure: Failure) -> None:
        self._pending = False
        starting, self._starting = self._starting, None
        if starting is not None:
            if not self._stopping:
                self.service._waitingForPort = None
            starting.errback(failure)
        elif not self._stopping:
            self._failure = failure

    def stopService(self) -> Any:
        service = self.service
        self._stopping = True
        if service._waitingForPort is None:
            service.running = False
            return None
        stopping = service.stopService()

        def stopped(result: Any) -> Any:
            # So that the next start listens again.
            service._waitingForPort = None
            return result

        return stopping.addBoth(stopped)


class ClientAdapter(Adapter):
    """
    A client is down when connecting has failed too often in a row; how often is
    C{failAfterFailures}, which can be set on the service.

    Without a supervisor it tries for ever, as it does in Twisted.
    """

    failAfterFailures = 10
    _generation = 0

    def startService(self) -> Any:
        self._generation += 1
        result = self.service.startService()
        if self._supervised:
            self._await(self._generation)
        return result

    def _await(self, generation: int) -> None:
        if generation != self._generation:
            return
        often = getattr(self.service, "failAfterFailures", self.failAfterFailures)
        connecting = self.service.whenConnected(failAfterFailures=often)
        connecting.addCallbacks(
            self._connected,
            self._gaveUp,
            callbackArgs=(generation,),
            errbackArgs=(generation,),
        )

    def _connected(self, protocol: Any, generation: int) -> None:
        lost = protocol.connectionLost

        def connectionLost(*reason: Any) -> Any:
            try:
                return lost(*reason)
            finally:
                # The service itself hears of it after the protocol.
                self._later(lambda: self._await(generation))

        with contextlib.suppress(AttributeError):
            protocol.connectionLost = connectionLost

    def _gaveUp(self, failure: Failure, generation: int) -> None:
        def report() -> None:
            if generation == self._generation:
                self._report(failure)

        # The service is in the middle of its own transition, and cannot be stopped.
        self._later(report)

    def stopService(self) -> Any:
        self._generation += 1
        return self.service.stopService()


class ProcessMonitorAdapter(Adapter):
    """
    A process monitor is down when one of its processes ends at once, time and again;
    it has stopped when its processes have ended.
    """

    quickDeaths = 5
    # Twisted has renamed it.
    _hooks = ("_monitoredProcessExited", "connectionLost")
    _stopping: Deferred[None] | None = None

    def startService(self) -> Any:
        service = self.service
        self._deaths: dict[str, int] = {}
        for name in service.delay:
            service.delay[name] = service.minRestartDelay
        self._hook = next(name for name in self._hooks if hasattr(service, name))
        if self._hook not in vars(service):
            setattr(service, self._hook, self._exited)
        return service.startService()

    def _exited(self, name: str, *reason: Any) -> None:
        service = self.service
        started = service.timeStarted.get(name)
        quick = started is not None and (
            service._clock.seconds() - started < service.threshold
        )
        getattr(type(service), self._hook)(service, name, *reason)
        if self._stopping is not None:
            self._check()
        elif self._supervised:
            self._deaths[name] = self._deaths.get(name, 0) + 1 if quick else 0
            if self._deaths[name] >= self.quickDeaths:
                del self._deaths[name]
                often, path = self.quickDeaths, pathOf(service)
                self._report(Failure(ProcessKeepsEnding(name, often, path)))

    def stopService(self) -> Any:
        result = self.service.stopService()
        stopping = self._stopping = Deferred()
        self._check()
        if stopping.called:
            return result
        return stopping

    def _check(self) -> None:
        stopping = self._stopping
        if stopping is not None and not self.service.protocols:
            self._stopping = None
            vars(self.service).pop(self._hook, None)
            stopping.callback(None)


_ADAPTERS: dict[type, type[Adapter]] = {
    internet.TimerService: TimerAdapter,
    internet.StreamServerEndpointService: EndpointAdapter,
    internet.ClientService: ClientAdapter,
}

# By name: its module installs the reactor, which a process that is about to go into
# the background must not have yet.
_BY_NAME: dict[str, type[Adapter]] = {
    "twisted.runner.procmon.ProcessMonitor": ProcessMonitorAdapter,
}

# What has been looked up, subclasses too; L{None} for classes that need nothing.
_known: dict[type, type[Adapter] | None] = {}

plain: set[type] = set()
"""Classes of leaves of ours of which it is known that they need no adapter."""


def registerAdapter(kind: type, adapter: type[Adapter]) -> None:
    """
    Have services of class C{kind} (and its subclasses) called through C{adapter}.
    """
    _ADAPTERS[kind] = adapter
    _known.clear()
    plain.clear()


def adapterFor(kind: type) -> type[Adapter] | None:
    """
    @return: the adapter for services of a class, L{None} if they need none.
    """
    try:
        return _known[kind]
    except KeyError:
        found = (_registered(each) for each in kind.__mro__)
        adapter = _known[kind] = next(filter(None, found), None)
        isLeaf = issubclass(kind, Resident) and not hasattr(kind, "addService")
        if adapter is None and isLeaf:
            plain.add(kind)
        return adapter


def _registered(kind: type) -> type[Adapter] | None:
    named = _BY_NAME.get(f"{kind.__module__}.{kind.__qualname__}")
    return _ADAPTERS.get(kind, named)


__all__ = [
    "Adapter",
    "ClientAdapter",
    "EndpointAdapter",
    "ProcessMonitorAdapter",
    "TimerAdapter",
    "adapterFor",
    "registerAdapter",
]
