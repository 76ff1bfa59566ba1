"""
Dynamic and partition supervisors, and services with C{run()}.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from svctree.service import MultiService
from svctree.tree import DynamicSupervisor, PartitionSupervisor, RunService, Supervisor
from svctree.tree.errors import StopFailed, TooManyChildren, UnknownOption
from svctree.tree.states import State
from tests.tree.services import Failing, Noting, SlowStop


class DynamicTests(TestCase):
    def setUp(self) -> None:
        self.calls: list[str] = []
        self.clock = Clock()

    def make(self, kind: type = Noting, **options: Any) -> DynamicSupervisor:
        return DynamicSupervisor(
            lambda name: kind(self.calls, name), clock=self.clock, **options
        )

    def test_startChild(self) -> None:
        """
        Children are made from what is given, and restarted from the same.
        """
        supervisor = self.make()
        supervisor.startService()
        child = supervisor.startChild("a")
        self.assertEqual(child.state, State.RUNNING)
        child.crashed(ValueError("ouch"))
        again = supervisor.getServiceNamed("a")
        self.assertIsNot(again, child)
        self.assertEqual(again.state, State.RUNNING)

    def test_maxChildren(self) -> None:
        """
        There is a limit, whichever way children come.
        """
        supervisor = self.make(maxChildren=2)
        supervisor.startChild("a")
        supervisor.startChild("b")
        self.assertRaises(TooManyChildren, supervisor.startChild, "c")
        other = Noting(self.calls, "c")
        self.assertRaises(TooManyChildren, other.setServiceParent, supervisor)
        self.assertIsNone(other.parent)
        supervisor.deleteChild("a")
        supervisor.startChild("c")

    def test_failingChild(self) -> None:
        """
        A child that does not start is not added.
        """
        supervisor = self.make(Failing)
        supervisor.startService()
        self.assertRaises(RuntimeError, supervisor.startChild, "a")
        self.assertEqual(len(supervisor.services), 0)

    def test_stopsAllAtOnce(self) -> None:
        """
        All children stop at once, with one timer.
        """
        supervisor = self.make(SlowStop, defaults={"stopTimeout": 3.0})
        supervisor.startService()
        children = [supervisor.startChild(name) for name in "abc"]
        del self.calls[:]
        stopping = supervisor.stopService()
        self.assertEqual(self.calls, ["stop c", "stop b", "stop a"])
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        children[0].stopping.callback(None)
        self.clock.advance(3.0)
        error = self.failureResultOf(stopping, StopFailed).value
        self.assertEqual([path for path, _ in error.failures], ["/c", "/b"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_strategy(self) -> None:
        """
        Other strategies make no sense.
        """
        self.assertRaises(UnknownOption, self.make, strategy="oneForAll")


class PartitionTests(TestCase):
    def test_keys(self) -> None:
        """
        Numbers map by modulo, anything else by a hash that is stable.
        """
        calls: list[str] = []
        supervisor = PartitionSupervisor(lambda number: Noting(calls), 4)
        self.assertEqual([each.name for each in supervisor], ["0", "1", "2", "3"])
        self.assertEqual(supervisor.partitionOf(6).name, "2")
        self.assertEqual(supervisor.partitionOf(-1).name, "3")
        found = [supervisor.partitionOf(f"user-{n}").name for n in range(50)]
        self.assertEqual(set(found), {"0", "1", "2", "3"})
        program = (
            "from svctree.tree import PartitionSupervisor, Service\n"
            "s = PartitionSupervisor(lambda number: Service(), 4)\n"
            "print(*[s.partitionOf(f'user-{n}').name for n in range(50)])"
        )
        elsewhere = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": "7"},
        )
        self.assertEqual(elsewhere.stdout.split(), found)

    def test_restart(self) -> None:
        """
        A copy that went down is replaced, under its number.
        """
        calls: list[str] = []
        supervisor = PartitionSupervisor(lambda number: Noting(calls), 2, clock=Clock())
        supervisor.startService()
        first = supervisor.partitionOf(1)
        first.crashed(ValueError("ouch"))
        self.assertIsNot(supervisor.partitionOf(1), first)
        self.assertTrue(supervisor.partitionOf(1).running)

    def test_none(self) -> None:
        """
        There has to be one at least.
        """
        self.assertRaises(UnknownOption, PartitionSupervisor, Noting, 0)


class Worker(RunService):
    """
    Works until the test says so.
    """

    def __init__(self) -> None:
        self.gates: list[Deferred[None]] = []

    async def run(self) -> None:
        self.gates.append(Deferred())
        await self.gates[-1]


class RunTests(TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.supervisor = Supervisor(clock=self.clock)
        self.worker = Worker()

    def test_crash(self) -> None:
        """
        A C{run} that raises means that the service is down: it is restarted.
        """
        self.worker.setServiceParent(self.supervisor)
        self.supervisor.startService()
        self.worker.gates[0].errback(ValueError("ouch"))
        self.assertEqual(len(self.worker.gates), 2)
        self.assertEqual(self.worker.state, State.RUNNING)

    def test_end(self) -> None:
        """
        A C{run} that returns has finished.
        """
        self.supervisor.place(self.worker, restart="transient")
        self.supervisor.startService()
        self.worker.gates[0].callback(None)
        self.assertEqual(self.worker.state, State.STOPPED)
        self.assertEqual(len(self.worker.gates), 1)

    def test_stop(self) -> None:
        """
        A stop cancels C{run} and waits for its end.
        """
        self.worker.setServiceParent(self.supervisor)
        self.supervisor.startService()
        self.successResultOf(self.supervisor.stopService())
        self.assertTrue(self.worker.gates[0].called)

    def test_slowEnd(self) -> None:
        """
        A C{run} that has to clean up is waited for.
        """
        cleaning: Deferred[None] = Deferred()

        class Careful(RunService):
            async def run(self) -> None:
                try:
                    await Deferred()
                finally:
                    await cleaning

        careful = Careful()
        tree = MultiService()
        careful.setServiceParent(tree)
        tree.startService()
        stopping = tree.stopService()
        self.assertNoResult(stopping)
        cleaning.callback(None)
        self.successResultOf(stopping)

    def test_immediateEnd(self) -> None:
        """
        A C{run} that ends within the start leaves a plain container running and the
        service stopped.
        """

        class Quick(RunService):
            async def run(self) -> None:
                return None

        quick = Quick()
        tree = MultiService()
        quick.setServiceParent(tree)
        tree.startService()
        self.assertEqual(quick.state, State.STOPPED)
        self.assertEqual(tree.state, State.RUNNING)
        self.successResultOf(tree.stopService())

    def test_immediateEndSupervised(self) -> None:
        """
        A supervisor gives up on a permanent child that always ends at once.
        """

        class Quick(RunService):
            async def run(self) -> None:
                return None

        down: list[object] = []
        self.supervisor.onDown = down.append
        Quick().setServiceParent(self.supervisor)
        self.supervisor.startService()
        self.clock.pump([0.2] * 10)
        self.assertEqual(len(down), 1)
        self.assertEqual(self.supervisor.state, State.FAILED)


class ProductTests(TestCase):
    def test_warning(self) -> None:
        """
        Nested supervisors that multiply to more than 100 restarts are warned about,
        once.
        """
        from twisted.logger import globalLogPublisher

        seen: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(seen.append)
        self.addCleanup(globalLogPublisher.removeObserver, seen.append)
        top = Supervisor(maxRestarts=10)
        middle = MultiService()
        middle.setServiceParent(top)
        for _ in range(2):
            Supervisor(maxRestarts=11).setServiceParent(middle)
        top.startService()
        warnings = [event for event in seen if "product" in event]
        self.assertEqual([event["product"] for event in warnings], [110])
        top.stopService()
