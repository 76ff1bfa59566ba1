"""
Twisted's own services under our containers.
"""

from __future__ import annotations

import pickle
from typing import Any

from twisted.application.internet import (
    ClientService,
    StreamServerEndpointService,
    TimerService,
)
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError, ConnectionLost, ProcessDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.runner.procmon import ProcessMonitor
from twisted.runner.test.test_procmon import DummyProcessReactor
from twisted.trial.unittest import TestCase

from svctree.service import MultiService, Service
from svctree.tree import BackOff, Supervisor
from svctree.tree.errors import ProcessKeepsEnding
from svctree.tree.states import State

ADDRESS_IN_USE = CannotListenError("127.0.0.1", 80, OSError(98, "in use"))


class Port:
    """
    A listening port.
    """

    def __init__(self) -> None:
        self.listening = True

    def stopListening(self) -> Deferred[None]:
        self.connectionLost(Failure(ConnectionLost()))
        return succeed(None)

    def connectionLost(self, reason: Failure) -> None:
        self.listening = False


class Endpoint:
    """
    Hands out what the test has prepared: ports, Deferreds or errors.
    """

    def __init__(self, *results: Any) -> None:
        self.results = list(results)
        self.ports: list[Port] = []

    def listen(self, factory: Any) -> Deferred[Any]:
        result = self.results.pop(0) if self.results else Port()
        if isinstance(result, Exception):
            return fail(result)
        if isinstance(result, Deferred):
            return result
        self.ports.append(result)
        return succeed(result)


class AdapterCase(TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.plain = MultiService()
        self.supervisor = Supervisor(
            clock=self.clock, backOff=BackOff(initial=0), random=lambda: 0.5
        )
        self.down: list[Failure] = []
        self.supervisor.onDown = self.down.append


class TimerTests(AdapterCase):
    def timer(self, failing: list[bool]) -> TimerService:
        def tick() -> None:
            self.ticks += 1
            if failing and failing.pop(0):
                raise ValueError("ouch")

        self.ticks = 0
        timer = TimerService(1.0, tick)
        timer.clock = self.clock
        timer.setName("timer")
        return timer

    def test_ticket3627_timerThatFailed(self) -> None:
        """
        A timer whose function fails is seen to be down, in a plain container too.
        """
        timer = self.timer([False, True])
        timer.setServiceParent(self.plain)
        events: list[Any] = []
        self.plain.subscribe(events.append)
        self.plain.startService()
        self.clock.advance(1.0)
        self.assertEqual(self.plain.stateOf(timer), State.FAILED)
        self.assertFalse(timer.running)
        self.assertEqual(events[-1].new, State.FAILED)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.successResultOf(self.plain.stopService())

    def test_newOrder(self) -> None:
        """
        So is one in a crowd whose order was changed through the list.
        """
        timer = self.timer([False, True])
        timer.setServiceParent(self.plain)
        for _ in range(101):
            self.plain.services.insert(0, Service())
        self.plain.startService()
        self.clock.advance(1.0)
        self.assertEqual(self.plain.stateOf(timer), State.FAILED)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_restart(self) -> None:
        """
        A supervisor restarts it.
        """
        timer = self.timer([False, True])
        timer.setServiceParent(self.supervisor)
        self.supervisor.startService()
        self.clock.advance(1.0)
        self.assertEqual(self.ticks, 3)
        self.clock.advance(1.0)
        self.assertEqual(self.ticks, 4)
        self.successResultOf(self.supervisor.stopService())

    def test_pickle(self) -> None:
        """
        A timer that runs can be pickled, as it can in Twisted.
        """
        timer = TimerService(1.0, print)
        timer.clock = None
        timer.setServiceParent(self.plain)
        copy = pickle.loads(pickle.dumps(self.plain))
        self.assertEqual(len(copy.services), 1)
        self.assertIs(copy.services[0].parent, copy)


class EndpointTests(AdapterCase):
    def server(self, *results: Any) -> StreamServerEndpointService:
        self.endpoint = Endpoint(*results)
        server = StreamServerEndpointService(self.endpoint, Factory())
        server.setName("server")
        return server

    def test_ticket5071_listensAgain(self) -> None:
        """
        A server that was stopped listens again when it is started again.
        """
        self.server().setServiceParent(self.plain)
        for count in (1, 2, 3):
            self.plain.startService()
            self.assertEqual(len(self.endpoint.ports), count)
            self.assertTrue(self.endpoint.ports[-1].listening)
            self.successResultOf(self.plain.stopService())
            self.assertFalse(self.endpoint.ports[-1].listening)

    def test_ticket8170_cannotListen(self) -> None:
        """
        A server that cannot listen has not started, whether that is known at once,
        in the privileged phase, or later.
        """
        server = self.server(ADDRESS_IN_USE, ADDRESS_IN_USE, Deferred())
        server.setServiceParent(self.plain)
        self.assertRaises(CannotListenError, self.plain.privilegedStartService)
        self.assertRaises(CannotListenError, self.plain.startService)
        self.assertFalse(server.running)
        pending = self.endpoint.results[0]
        starting = self.plain.startService()
        self.assertNoResult(starting)
        pending.errback(ADDRESS_IN_USE)
        self.failureResultOf(starting, CannotListenError)
        self.assertIsNone(self.plain.startService())
        self.assertEqual(len(self.endpoint.ports), 1)

    def test_upWhenItListens(self) -> None:
        """
        A server that takes its time is up when it listens.
        """
        pending: Deferred[Any] = Deferred()
        server = self.server(pending)
        server.setServiceParent(self.plain)
        self.plain.privilegedStartService()
        starting = self.plain.startService()
        self.assertEqual(self.plain.stateOf(server), State.STARTING)
        pending.callback(Port())
        self.successResultOf(starting)

    def test_stoppedWhileItTries(self) -> None:
        """
        A stop ends the attempt to listen.
        """
        self.server(Deferred()).setServiceParent(self.plain)
        starting = self.plain.startService()
        self.successResultOf(self.plain.stopService())
        self.failureResultOf(starting)

    def test_lostPort(self) -> None:
        """
        A server whose port has lost its socket is down; a supervisor has it listen
        again.
        """
        self.server().setServiceParent(self.supervisor)
        self.supervisor.startService()
        self.endpoint.ports[0].connectionLost(Failure(ConnectionLost()))
        self.assertEqual(len(self.endpoint.ports), 2)
        self.assertTrue(self.endpoint.ports[1].listening)
        self.successResultOf(self.supervisor.stopService())
        self.assertEqual(len(self.endpoint.ports), 2)

    def test_endpointIsLeftAlone(self) -> None:
        """
        The service has its own endpoint back after each call.
        """
        server = self.server()
        server.setServiceParent(self.plain)
        self.plain.startService()
        self.assertIs(server.endpoint, self.endpoint)


class ClientTests(AdapterCase):
    def test_givesUp(self) -> None:
        """
        A client that fails to connect too often in a row is down, and restarted.
        """
        attempts: list[Deferred[Any]] = []

        class Server:
            def connect(self, factory: Any) -> Deferred[Any]:
                attempts.append(Deferred())
                return attempts[-1]

        client = ClientService(
            Server(), Factory.forProtocol(Protocol), lambda _: 1.0, self.clock
        )
        client.failAfterFailures = 2
        client.setName("client")
        client.setServiceParent(self.supervisor)
        self.supervisor.startService()
        attempts[0].errback(ConnectionLost())
        self.clock.advance(1.0)
        attempts[1].errback(ConnectionLost())
        self.clock.advance(0)
        self.assertEqual(len(attempts), 3)
        self.assertEqual(self.supervisor.stateOf(client), State.RUNNING)
        self.assertEqual(self.supervisor.describe()["restarts"], 1)
        stopping = self.supervisor.stopService()
        self.successResultOf(stopping)

    def test_plain(self) -> None:
        """
        Without a supervisor it tries for ever.
        """
        reactor = MemoryReactorClock()
        attempts: list[Deferred[Any]] = []

        class Server:
            def connect(self, factory: Any) -> Deferred[Any]:
                attempts.append(fail(ConnectionLost()))
                return attempts[-1]

        client = ClientService(
            Server(), Factory.forProtocol(Protocol), lambda _: 1.0, reactor
        )
        client.setServiceParent(self.plain)
        self.plain.startService()
        reactor.pump([1.0] * 20)
        self.assertEqual(len(attempts), 21)
        self.assertEqual(self.plain.stateOf(client), State.RUNNING)
        self.successResultOf(self.plain.stopService())


class ProcessMonitorTests(AdapterCase):
    def monitor(self) -> ProcessMonitor:
        self.reactor = DummyProcessReactor()
        monitor = ProcessMonitor(reactor=self.reactor)
        monitor.killTime = 1
        monitor.setName("monitor")
        monitor.addProcess("job", ["job"])
        return monitor

    def test_stopWaits(self) -> None:
        """
        The monitor has stopped when its processes have ended.
        """
        monitor = self.monitor()
        monitor.setServiceParent(self.plain)
        self.plain.startService()
        stopping = self.plain.stopService()
        self.assertNoResult(stopping)
        self.reactor.advance(monitor.killTime)
        self.successResultOf(stopping)
        self.assertEqual(monitor.protocols, {})
        self.plain.startService()
        self.assertIn("job", monitor.protocols)

    def test_processThatKeepsEnding(self) -> None:
        """
        A process that ends at once, time and again, takes the monitor down.
        """
        monitor = self.monitor()
        supervisor = Supervisor(clock=self.clock, maxRestarts=0)
        supervisor.onDown = self.down.append
        monitor.setServiceParent(supervisor)
        supervisor.startService()
        for _ in range(5):
            monitor.protocols["job"].processEnded(Failure(ProcessDone(0)))
            self.reactor.advance(monitor.delay["job"])
        self.reactor.advance(monitor.killTime)
        [failure] = self.down
        self.assertEqual(failure.value.cause.type, ProcessKeepsEnding)
