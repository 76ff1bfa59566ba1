"""
The defects that Twisted's tracker has on record against its service tree.
"""

from __future__ import annotations

from typing import Any

from twisted.application.internet import CooperatorService, TimerService
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from svctree.service import MultiService, Service
from svctree.tree.errors import (
    AlreadyAChild,
    CycleOfParents,
    DuplicateName,
    NameRefused,
    NotAChild,
    PrivilegedPhaseIsSynchronous,
    StopFailed,
)
from svctree.tree.states import State
from tests.tree.services import Bare, Failing, Noting, Slow, SlowStop


class TicketTests(TestCase):
    """
    One test for each ticket, named after it.
    """

    def setUp(self) -> None:
        self.calls: list[str] = []
        self.parent = MultiService()

    def add(self, kind: type, name: str, *args: Any, **keywords: Any) -> Any:
        service = kind(self.calls, name, *args, **keywords)
        service.setServiceParent(self.parent)
        return service

    def test_ticket5941_startIsWaitedFor(self) -> None:
        """
        C{startService} may return a Deferred: the container is up when it fires.
        """
        slow = self.add(Slow, "slow")
        self.add(Noting, "other")
        starting = self.parent.startService()
        self.assertEqual(self.calls, ["start slow", "start other"])
        self.assertNoResult(starting)
        self.assertEqual(slow.state, State.STARTING)
        slow.starting.callback(None)
        self.assertIsNone(self.successResultOf(starting))
        self.assertEqual(slow.state, State.RUNNING)
        self.assertEqual(self.parent.state, State.RUNNING)

    def test_ticket6813_servicesAreNotStartedOrStoppedTwice(self) -> None:
        """
        A second start does nothing but wait for the first; a second stop joins the
        first; a container knows which children it has started.
        """
        slow = self.add(Slow, "slow")
        first = self.parent.startService()
        second = self.parent.startService()
        self.assertEqual(self.calls, ["start slow"])
        slow.starting.callback(None)
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertIsNone(self.parent.startService())
        one = self.parent.stopService()
        two = self.parent.stopService()
        self.assertEqual(self.calls, ["start slow", "stop slow"])
        self.assertNoResult(two)
        slow.stopping.callback(None)
        self.assertEqual(self.successResultOf(one), [(True, None)])
        self.assertEqual(self.successResultOf(two), [(True, None)])

    def test_ticket6790_stopErrorsAreReported(self) -> None:
        """
        A child that fails to stop does not keep the others from stopping; its error
        comes out of the container's Deferred, and nowhere else.
        """
        self.add(Noting, "a")
        self.add(Failing, "b", where="stop")
        asynchronous = self.add(SlowStop, "c")
        self.parent.startService()
        del self.calls[:]
        stopping = self.parent.stopService()
        self.assertEqual(self.calls, ["stop c", "stop b", "stop a"])
        asynchronous.stopping.errback(ValueError("stuck"))
        error = self.failureResultOf(stopping, StopFailed).value
        self.assertEqual(
            [(path, failure.type) for path, failure in error.failures],
            [("/b", RuntimeError), ("/c", ValueError)],
        )
        self.assertEqual(
            [success for success, _ in error.results], [False, False, True]
        )
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_ticket6206_whatWasNotStartedIsNotStopped(self) -> None:
        """
        When a child fails to start, those after it are neither started nor stopped.
        """
        self.add(Noting, "a")
        self.add(Failing, "b")
        self.add(Noting, "c")
        self.assertRaises(RuntimeError, self.parent.startService)
        self.assertEqual(self.calls, ["start a", "start b", "stop a"])
        self.assertEqual(self.successResultOf(self.parent.stopService()), [])
        self.assertEqual(self.calls, ["start a", "start b", "stop a"])
        self.assertFalse(self.parent.running)

    def test_ticket6202_timerThatWasNotStarted(self) -> None:
        """
        Stopping a container that was never started leaves its timers alone, which
        cannot be stopped before they are started.
        """
        timer = TimerService(1.0, lambda: None)
        timer.setServiceParent(self.parent)
        self.assertEqual(self.successResultOf(self.parent.stopService()), [])

    def test_ticket7199_keepGoing(self) -> None:
        """
        A container that keeps going starts what it can, and reports the rest.
        """
        self.parent = MultiService(keepGoing=True)
        self.add(Noting, "a")
        self.add(Failing, "b")
        slow = self.add(Slow, "c")
        self.add(Noting, "d")
        starting = self.parent.startService()
        slow.starting.errback(ValueError("no"))
        self.successResultOf(starting)
        self.assertEqual(self.calls, ["start a", "start b", "start c", "start d"])
        self.assertEqual(
            [(path, failure.type) for path, failure in self.parent.startFailures],
            [("/b", RuntimeError), ("/c", ValueError)],
        )
        del self.calls[:]
        self.successResultOf(self.parent.stopService())
        self.assertEqual(self.calls, ["stop d", "stop a"])

    def test_ticket4366_startWhileRunning(self) -> None:
        """
        Starting what runs already starts nobody a second time.
        """
        self.add(Noting, "a")
        inner = MultiService()
        inner.setServiceParent(self.parent)
        Noting(self.calls, "b").setServiceParent(inner)
        self.parent.startService()
        inner.startService()
        self.parent.startService()
        self.assertEqual(self.calls, ["start a", "start b"])

    def test_ticket4649_addedWhileStarting(self) -> None:
        """
        A child that is added while the container starts is started once, at once.
        """
        addee = Noting(self.calls, "addee")

        class Adder(Noting):
            def startService(self) -> None:
                super().startService()
                addee.setServiceParent(self.parent)

        self.add(Adder, "adder")
        self.add(Noting, "last")
        self.parent.startService()
        self.assertEqual(
            self.calls,
            ["start adder", "privileged addee", "start addee", "start last"],
        )

    def test_ticket6011_stateIsVisible(self) -> None:
        """
        A container shows which of its children delays its stop.
        """
        slow = self.add(SlowStop, "slow")
        self.add(Noting, "quick")
        self.parent.startService()
        stopping = self.parent.stopService()
        self.assertIn("stopping", repr(self.parent))
        self.assertEqual(slow.state, State.STOPPING)
        self.assertIn("/slow stopping", repr(list(self.parent)))
        self.assertIn("/quick stopped", repr(list(self.parent)))
        slow.stopping.callback(None)
        self.successResultOf(stopping)

    def test_ticket5273_addServiceSetsTheParent(self) -> None:
        """
        C{addService} and C{setServiceParent} are of one mind about the parent, and a
        child cannot be added to a second container behind the back of the first.
        """
        service = Noting(self.calls, "a")
        self.parent.addService(service)
        self.assertIs(service.parent, self.parent)
        self.assertEqual(service.path, "/a")
        other = MultiService()
        self.assertRaises(AlreadyAChild, other.addService, service)
        self.assertEqual(list(other), [])
        service.disownServiceParent()
        self.assertIsNone(service.parent)
        self.parent.startService()
        failing = Failing(self.calls, "b")
        self.assertRaises(RuntimeError, self.parent.addService, failing)
        self.assertIsNone(failing.parent)

    def test_ticket6885_removingANamedStranger(self) -> None:
        """
        Removing a named service that is no child raises what is documented, and does
        nothing to the child of the same name.
        """
        stranger = Noting(self.calls, "a")
        error = self.assertRaises(ValueError, self.parent.removeService, stranger)
        self.assertIsInstance(error, NotAChild)
        child = self.add(Noting, "a")
        self.parent.startService()
        del self.calls[:]
        self.assertRaises(ValueError, self.parent.removeService, stranger)
        self.assertIs(self.parent.getServiceNamed("a"), child)
        self.assertEqual(list(self.parent), [child])
        self.assertEqual(self.calls, [])


class NamelessDefectTests(TestCase):
    """
    Defects without a ticket.
    """

    def setUp(self) -> None:
        self.calls: list[str] = []
        self.parent = MultiService()

    def add(self, kind: type, name: str, *args: Any, **keywords: Any) -> Any:
        service = kind(self.calls, name, *args, **keywords)
        service.setServiceParent(self.parent)
        return service

    def test_coroutineStart(self) -> None:
        """
        A coroutine function as C{startService} runs, and is waited for.
        """
        gate: Deferred[None] = Deferred()
        calls = self.calls

        class Coroutine(Service):
            async def startService(self) -> None:
                calls.append("begin")
                await gate
                calls.append("end")

        Coroutine().setServiceParent(self.parent)
        starting = self.parent.startService()
        self.assertEqual(calls, ["begin"])
        gate.callback(None)
        self.successResultOf(starting)
        self.assertEqual(calls, ["begin", "end"])

    def test_coroutineStopOnRemoval(self) -> None:
        """
        A coroutine function as C{stopService} runs when its service is removed.
        """
        gate: Deferred[None] = Deferred()

        class Coroutine(Service):
            async def stopService(self) -> str:
                await gate
                return "done"

        service = Coroutine()
        service.setServiceParent(self.parent)
        self.parent.startService()
        leaving = service.disownServiceParent()
        self.assertIsNone(service.parent)
        self.assertNoResult(leaving)
        gate.callback(None)
        self.assertEqual(self.successResultOf(leaving), "done")

    def test_removedDuringStart(self) -> None:
        """
        A child that removes itself while it starts keeps no sibling from starting.
        """

        class Leaving(Noting):
            def startService(self) -> None:
                super().startService()
                self.disownServiceParent()

        self.add(Leaving, "a")
        self.add(Noting, "b")
        self.parent.startService()
        self.assertEqual(self.calls, ["start a", "stop a", "start b"])

    def test_laterSiblingRemovedDuringStart(self) -> None:
        """
        A child that is removed before its turn is not started.
        """

        class Removing(Noting):
            def startService(self) -> None:
                super().startService()
                self.parent.getServiceNamed("b").disownServiceParent()

        self.add(Removing, "a")
        self.add(Noting, "b")
        self.add(Noting, "c")
        self.parent.startService()
        self.assertEqual(self.calls, ["start a", "start c"])

    def test_removedDuringPrivilegedPhase(self) -> None:
        """
        A child that removes itself in the privileged phase is stopped, as it would be
        after it, and keeps no sibling from having its own.
        """

        class Leaving(Noting):
            def privilegedStartService(self) -> None:
                super().privilegedStartService()
                self.disownServiceParent()

        self.add(Leaving, "a")
        self.add(Noting, "b")
        self.parent.privilegedStartService()
        self.assertEqual(self.calls, ["privileged a", "stop a", "privileged b"])

    def test_emptyName(self) -> None:
        """
        The empty string is refused as a name, by the service and by the container.
        """
        service = Service()
        self.assertRaises(NameRefused, service.setName, "")
        self.assertRaises(ValueError, service.setName, "")
        service.name = ""
        self.assertRaises(NameRefused, service.setServiceParent, self.parent)
        self.assertIsNone(service.parent)
        self.assertEqual(list(self.parent), [])

    def test_renamedByAssignment(self) -> None:
        """
        A child that was renamed, named or un-named by assignment can be removed,
        and leaves nothing behind.
        """
        for before, after in [("a", "b"), ("a", None), (None, "b")]:
            service = Service()
            if before is not None:
                service.setName(before)
            service.setServiceParent(self.parent)
            service.name = after
            service.disownServiceParent()
            self.assertEqual(self.parent.namedServices, {})
            self.assertEqual(list(self.parent), [])

    def test_refusedAdd(self) -> None:
        """
        A refused add leaves the child without a parent.
        """
        self.add(Noting, "a")
        other = Noting(self.calls, "a")
        error = self.assertRaises(DuplicateName, other.setServiceParent, self.parent)
        self.assertIsInstance(error, RuntimeError)
        self.assertEqual(error.name, "a")
        self.assertIsNone(other.parent)
        self.assertEqual(len(self.parent.services), 1)

    def test_refusedMove(self) -> None:
        """
        A refused move leaves the child where it was, and running.
        """
        self.add(Noting, "a")
        home = MultiService()
        other = Noting(self.calls, "a")
        other.setServiceParent(home)
        home.startService()
        del self.calls[:]
        self.assertRaises(RuntimeError, other.setServiceParent, self.parent)
        self.assertIs(other.parent, home)
        self.assertEqual(list(home), [other])
        self.assertEqual(self.calls, [])

    def test_failureInsideSetServiceParent(self) -> None:
        """
        A child that fails to start when it is added is not attached.
        """
        self.parent.startService()
        service = Failing(self.calls, "a")
        self.assertRaises(RuntimeError, service.setServiceParent, self.parent)
        self.assertIsNone(service.parent)
        self.assertEqual(list(self.parent), [])
        self.assertEqual(self.parent.namedServices, {})
        self.assertTrue(self.parent.running)

    def test_asynchronousFailureInsideSetServiceParent(self) -> None:
        """
        So is one that fails later, and the Deferred of the add says so.
        """
        self.parent.startService()
        service = Slow(self.calls, "a")
        adding = service.setServiceParent(self.parent)
        service.starting.errback(ValueError("no"))
        self.failureResultOf(adding, ValueError)
        self.assertIsNone(service.parent)
        self.assertEqual(list(self.parent), [])

    def test_cycleOfParents(self) -> None:
        """
        A container cannot become its own descendant; the message has the cycle.
        """
        top, middle, bottom = MultiService(), MultiService(), MultiService()
        for name, service in [("top", top), ("middle", middle), ("bottom", bottom)]:
            service.setName(name)
        middle.setServiceParent(top)
        bottom.setServiceParent(middle)
        error = self.assertRaises(CycleOfParents, top.setServiceParent, bottom)
        self.assertEqual(error.chain, ("top", "middle", "bottom", "top"))
        self.assertIn("top", str(error))
        self.assertIn("bottom", str(error))
        self.assertIsNone(top.parent)
        self.assertRaises(CycleOfParents, top.setServiceParent, top)

    def test_sameChildTwice(self) -> None:
        """
        The same child cannot be added twice.
        """
        service = self.add(Noting, "a")
        self.assertRaises(AlreadyAChild, self.parent.addService, service)
        nameless = Service()
        nameless.setServiceParent(self.parent)
        self.assertRaises(RuntimeError, self.parent.addService, nameless)
        self.assertEqual(list(self.parent), [service, nameless])

    def test_removalByIdentity(self) -> None:
        """
        Of two equal children the one that is meant is removed.
        """
        first, second = Bare(self.calls), Bare(self.calls)
        self.assertEqual(first, second)
        first.setServiceParent(self.parent)
        second.setServiceParent(self.parent)
        second.disownServiceParent()
        self.assertIs(self.parent.services[0], first)
        error = self.assertRaises(NotAChild, self.parent.removeService, second)
        self.assertIsInstance(error, ValueError)

    def test_privilegedResourcesOfFailedStart(self) -> None:
        """
        When a start fails, children that only had their privileged phase are
        stopped as well.
        """
        self.add(Noting, "a")
        self.add(Failing, "b")
        self.add(Noting, "c")
        self.parent.privilegedStartService()
        del self.calls[:]
        self.assertRaises(RuntimeError, self.parent.startService)
        self.assertEqual(self.calls, ["start a", "start b", "stop c", "stop a"])

    def test_privilegedFailure(self) -> None:
        """
        When a privileged phase fails, what was privileged before it is stopped.
        """
        self.add(Noting, "a")
        self.add(Failing, "b", where="privileged")
        self.add(Noting, "c")
        self.assertRaises(RuntimeError, self.parent.privilegedStartService)
        self.assertEqual(self.calls, ["privileged a", "privileged b", "stop a"])

    def test_privilegedDeferred(self) -> None:
        """
        A privileged phase that returns something to wait for is an error.
        """

        class Waiting(Service):
            def privilegedStartService(self) -> Any:
                return Deferred()

        class Coroutine(Service):
            async def privilegedStartService(self) -> None:  # type: ignore[override]
                return None

        for service in (Waiting(), Coroutine()):
            service.setServiceParent(self.parent)
            self.assertRaises(
                PrivilegedPhaseIsSynchronous, self.parent.privilegedStartService
            )
            service.disownServiceParent()

    def test_privilegedOnlyIsStopped(self) -> None:
        """
        A child that had only its privileged phase is stopped.
        """
        self.add(Noting, "a")
        self.parent.privilegedStartService()
        self.successResultOf(self.parent.stopService())
        self.assertEqual(self.calls, ["privileged a", "stop a"])

    def test_recordIsTheParents(self) -> None:
        """
        A service that never sets C{running} is stopped nevertheless.
        """
        service = CooperatorService()
        stopped: list[bool] = []
        service.stopService = lambda: stopped.append(True)
        service.setServiceParent(self.parent)
        self.parent.startService()
        self.assertFalse(service.running)
        service.coop.stop()
        self.parent.stopService()
        self.assertEqual(stopped, [True])

    def test_firedDeferreds(self) -> None:
        """
        Deferreds that have fired already count as synchronous results.
        """
        self.add(Noting, "a").startService = lambda: succeed("up")
        self.assertIsNone(self.parent.startService())
        self.successResultOf(self.parent.stopService())
        self.add(Noting, "b").startService = lambda: fail(ValueError("no"))
        self.failureResultOf(self.parent.startService(), ValueError)
        self.assertFalse(self.parent.running)

    def test_timerUnderUs(self) -> None:
        """
        Twisted's own services work as children.
        """
        clock = Clock()
        ticks: list[float] = []
        timer = TimerService(1.0, lambda: ticks.append(clock.seconds()))
        timer.clock = clock
        timer.setServiceParent(self.parent)
        self.parent.startService()
        clock.pump([1.0, 1.0])
        self.successResultOf(self.parent.stopService())
        clock.pump([1.0])
        self.assertEqual(ticks, [0.0, 1.0, 2.0])
