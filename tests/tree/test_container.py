"""
Plain containers: what stays as it is in Twisted, and what is decided where Twisted
has no answer.
"""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import tracemalloc
from typing import Any

from twisted.application import service as twistedService
from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from svctree.service import (
    Application,
    IProcess,
    IService,
    IServiceCollection,
    MultiService,
    Process,
    Service,
)
from svctree.tree.errors import NotAChild, StartInterrupted, TreeError
from svctree.tree.states import State
from tests.tree.services import Bare, Failing, Noting, Slow, SlowStop


class SameAsTwistedTests(TestCase):
    """
    Section by section what does not change.
    """

    def setUp(self) -> None:
        self.calls: list[str] = []
        self.parent = MultiService()

    def add(self, kind: type, name: str, *args: Any) -> Any:
        service = kind(self.calls, name, *args)
        service.setServiceParent(self.parent)
        return service

    def test_siblingsDoNotWait(self) -> None:
        """
        A start that never ends delays nobody, and C{running} is true before the
        first call.
        """
        seen: list[Any] = []

        class Looking(Noting):
            def startService(self) -> None:
                seen.append(self.parent.running)
                super().startService()

        self.add(Looking, "a")
        self.add(Slow, "b")
        self.add(Noting, "c")
        self.parent.startService()
        self.assertEqual(self.calls, ["start a", "start b", "start c"])
        self.assertEqual(seen, [1])

    def test_runningIsFalseBeforeTheyStop(self) -> None:
        """
        C{running} is false before the first child stops, and not pickled.
        """
        seen: list[Any] = []
        service = self.add(Noting, "a")
        service.stopService = lambda: seen.append(self.parent.running)
        self.parent.startService()
        self.parent.stopService()
        self.assertEqual(seen, [0])
        parent = MultiService()
        parent.startService()
        self.assertFalse(pickle.loads(pickle.dumps(parent)).running)
        self.assertFalse(copy.copy(parent).running)

    def test_stopResults(self) -> None:
        """
        A stop fires with the results in the order of the calls, also when there is
        nobody to stop.
        """
        self.assertEqual(self.successResultOf(self.parent.stopService()), [])
        self.add(Noting, "a").stopService = lambda: succeed("a")
        self.add(Noting, "b").stopService = lambda: "b"
        self.parent.startService()
        self.assertEqual(
            self.successResultOf(self.parent.stopService()), [(True, "b"), (True, "a")]
        )

    def test_phases(self) -> None:
        """
        A plain start adds no privileged phase; adding to a running parent has both.
        """
        self.add(Noting, "a")
        self.parent.startService()
        self.add(Noting, "b")
        self.assertEqual(self.calls, ["start a", "privileged b", "start b"])

    def test_disown(self) -> None:
        """
        Disowning clears the parent at once and returns the Deferred of the child,
        or C{None} when nothing was running.
        """
        idle = self.add(Noting, "a")
        self.assertIsNone(idle.disownServiceParent())
        slow = self.add(SlowStop, "b")
        self.parent.startService()
        leaving = slow.disownServiceParent()
        self.assertIsNone(slow.parent)
        self.assertNoResult(leaving)
        slow.stopping.callback("done")
        self.assertEqual(self.successResultOf(leaving), "done")
        self.assertRaises(NotAChild, slow.disownServiceParent)

    def test_list(self) -> None:
        """
        C{services} is list-like.
        """
        a, b, c = (self.add(Noting, name) for name in "abc")
        services = self.parent.services
        self.assertEqual(services, [a, b, c])
        self.assertIs(services[0], a)
        self.assertIs(services[-1], c)
        self.assertEqual(services[1:], [b, c])
        self.assertEqual(services.index(b), 1)
        self.assertIn(b, services)
        services.remove(b)
        self.assertEqual(services, [a, c])
        self.assertRaises(ValueError, services.remove, b)
        services.insert(1, b)
        self.assertEqual(list(self.parent), [a, b, c])
        self.assertRaises(ValueError, services.append, b)
        self.assertIs(services.pop(), c)
        del services[0]
        self.assertEqual(services, [b])
        self.assertEqual(len(services), 1)
        services[0] = a
        self.assertEqual(list(reversed(services)), [a])
        self.assertRaises(IndexError, lambda: services[3])
        self.parent.services = [c]
        self.assertEqual(repr(services), repr([a]))
        self.assertEqual(list(self.parent), [c])

    def test_bareProviders(self) -> None:
        """
        A provider of C{IService} without a C{__dict__}, weak references or a hash
        lives like any other.
        """
        bare = [Bare(self.calls, name) for name in ("a", "b", None)]
        for service in bare:
            service.setServiceParent(self.parent)
        self.parent.privilegedStartService()
        self.parent.startService()
        self.assertEqual(self.parent.stateOf(bare[2]), State.RUNNING)
        bare[1].disownServiceParent()
        self.successResultOf(self.parent.stopService())
        self.assertEqual(
            self.calls,
            [
                *("privileged a", "privileged b", "privileged None"),
                *("start a", "start b", "start None"),
                *("stop b", "stop None", "stop a"),
            ],
        )

    def test_underTwisted(self) -> None:
        """
        A container of ours works under Twisted's application, and the other way
        round.
        """
        application = twistedService.Application("app")
        self.add(Noting, "a")
        foreign = twistedService.MultiService()
        foreign.setServiceParent(self.parent)
        Noting(self.calls, "b").setServiceParent(foreign)
        self.parent.setServiceParent(application)
        twistedService.IService(application).startService()
        self.successResultOf(twistedService.IService(application).stopService())
        self.assertEqual(self.calls, ["start a", "start b", "stop b", "stop a"])

    def test_application(self) -> None:
        """
        An application adapts to all four interfaces.
        """
        from twisted.persisted.sob import IPersistable

        application = Application("app", uid=1, gid=2)
        self.assertEqual(IService(application).name, "app")
        self.assertEqual(IProcess(application).uid, 1)
        self.assertIsInstance(IServiceCollection(application), MultiService)
        self.assertTrue(IPersistable.providedBy(IPersistable(application)))
        self.add(Noting, "a")
        self.parent.setServiceParent(application)
        self.assertEqual(list(IServiceCollection(application)), [self.parent])

    def test_uidWithoutPasswdEntry(self) -> None:
        """
        A uid that no password database knows gets the group of the same number, so
        that nobody has to ask the database; never the group we run with.
        """
        self.assertEqual(Process(uid=3999999).gid, 3999999)
        self.assertIsNone(Process(uid=0).gid)
        self.assertEqual(Process(uid=3999999, gid=5).gid, 5)

    def test_pickle(self) -> None:
        """
        A tree survives pickling; so does one that Twisted has pickled.
        """
        a = self.add(Noting, "a")
        inner = MultiService(keepGoing=True)
        inner.setServiceParent(self.parent)
        self.parent.place(Noting(self.calls, "b"), after="a")
        self.parent.startService()
        again = pickle.loads(pickle.dumps(self.parent))
        self.assertEqual(again.state, State.NEW)
        self.assertEqual(again.getServiceNamed("a").name, "a")
        self.assertTrue(again.services[1].keepGoing)
        self.assertEqual(
            again.placementOf(again.getServiceNamed("b")), {"after": ("a",)}
        )
        again.getServiceNamed("a").disownServiceParent()
        self.assertEqual(list(again.namedServices), ["b"])
        self.assertIs(a.parent, self.parent)
        old = twistedService.MultiService().__getstate__()
        old["services"], old["namedServices"] = [a], {"a": a}
        loaded = MultiService.__new__(MultiService)
        loaded.__setstate__(old)
        loaded.startService()
        self.assertEqual(loaded.stateOf(a), State.RUNNING)


class DecisionTests(TestCase):
    """
    What svctree decides.
    """

    def setUp(self) -> None:
        self.calls: list[str] = []
        self.parent = MultiService()

    def add(self, kind: type, name: str, *args: Any) -> Any:
        service = kind(self.calls, name, *args)
        service.setServiceParent(self.parent)
        return service

    def test_startWhileStopping(self) -> None:
        """
        Each child starts when its own stop has fired.
        """
        slow = self.add(SlowStop, "a")
        self.add(Noting, "b")
        self.parent.startService()
        stopping = self.parent.stopService()
        del self.calls[:]
        starting = self.parent.startService()
        self.assertEqual(self.calls, ["start b"])
        slow.stopping.callback(None)
        self.assertEqual(self.calls, ["start b", "start a"])
        self.successResultOf(starting)
        self.successResultOf(stopping)
        self.assertEqual(self.parent.state, State.RUNNING)

    def test_stopWhileStartWaitsForStop(self) -> None:
        """
        And it does not, when the container is stopped again meanwhile.
        """
        slow = self.add(SlowStop, "a")
        self.parent.startService()
        self.parent.stopService()
        starting = self.parent.startService()
        again = self.parent.stopService()
        self.failureResultOf(starting, StartInterrupted)
        slow.stopping.callback(None)
        self.successResultOf(again)
        self.assertEqual(self.calls, ["start a", "stop a"])
        self.assertEqual(self.parent.state, State.STOPPED)

    def test_synchronousFailureWithPendingRollback(self) -> None:
        """
        A synchronous failure is raised at once; the next stop joins the rollback.
        """
        slow = self.add(SlowStop, "a")
        self.add(Failing, "b")
        self.assertRaises(RuntimeError, self.parent.startService)
        stopping = self.parent.stopService()
        self.assertEqual(self.calls, ["start a", "start b", "stop a"])
        self.assertNoResult(stopping)
        slow.stopping.callback(None)
        self.successResultOf(stopping)

    def test_rollbackDeadline(self) -> None:
        """
        A rollback that takes too long does not hold up the failure.
        """
        clock = self.parent.clock = Clock()
        self.add(SlowStop, "a")
        slow = self.add(Slow, "b")
        starting = self.parent.startService()
        slow.starting.errback(ValueError("no"))
        clock.advance(29.0)
        self.assertNoResult(starting)
        clock.advance(1.0)
        self.failureResultOf(starting, ValueError)

    def test_rollbackOfPendingSiblings(self) -> None:
        """
        Siblings that are still starting are stopped as well, then their start is
        cancelled.
        """
        self.add(Slow, "a")
        slow = self.add(Slow, "b")
        starting = self.parent.startService()
        slow.starting.errback(ValueError("no"))
        self.assertEqual(self.calls, ["start a", "start b", "stop a"])
        self.parent.services[0].stopping.callback(None)
        self.assertEqual(self.calls[3:], ["cancelled a"])
        error = self.failureResultOf(starting, ValueError).value
        self.assertEqual(error.servicePath, "/b")

    def test_forgottenReturn(self) -> None:
        """
        A container whose C{startService} forgets to return what ours returned is
        waited for nevertheless.
        """

        class Forgetful(MultiService):
            def startService(self) -> None:
                MultiService.startService(self)

        inner = Forgetful()
        slow = Slow(self.calls, "a")
        slow.setServiceParent(inner)
        inner.setServiceParent(self.parent)
        starting = self.parent.startService()
        self.assertNoResult(starting)
        slow.starting.callback(None)
        self.successResultOf(starting)

    def test_move(self) -> None:
        """
        A child that moves to another running container starts there when it has
        stopped where it was.
        """
        other = MultiService()
        other.startService()
        slow = self.add(SlowStop, "a")
        self.parent.startService()
        moving = slow.setServiceParent(other)
        self.assertIs(slow.parent, other)
        self.assertEqual(self.calls, ["start a", "stop a"])
        slow.stopping.callback(None)
        self.successResultOf(moving)
        self.assertEqual(self.calls, ["start a", "stop a", "privileged a", "start a"])
        self.assertEqual(slow.state, State.RUNNING)

    def test_removalDuringStop(self) -> None:
        """
        A child that is removed while it stops is not stopped again.
        """
        slow = self.add(SlowStop, "a")
        self.parent.startService()
        stopping = self.parent.stopService()
        leaving = slow.disownServiceParent()
        slow.stopping.callback("done")
        self.assertEqual(self.successResultOf(leaving), "done")
        self.assertEqual(self.successResultOf(stopping), [(True, "done")])
        self.assertEqual(self.calls, ["start a", "stop a"])

    def test_removalDuringStart(self) -> None:
        """
        A child that is removed while it starts is stopped and not waited for.
        """
        slow = self.add(Slow, "a")
        starting = self.parent.startService()
        leaving = slow.disownServiceParent()
        self.successResultOf(starting)
        slow.stopping.callback(None)
        self.successResultOf(leaving)
        self.assertEqual(self.calls, ["start a", "stop a", "cancelled a"])

    def test_stopInTheMiddleOfAStart(self) -> None:
        """
        A child that stops its parent while it starts ends the start.
        """

        class Stopping(Noting):
            def startService(self) -> None:
                super().startService()
                self.parent.stopService()

        self.add(Noting, "a")
        self.add(Stopping, "b")
        self.add(Noting, "c")
        self.assertIsNone(self.parent.startService())
        self.assertEqual(self.calls, ["start a", "start b", "stop b", "stop a"])
        self.assertEqual(self.parent.state, State.STOPPED)

    def test_errorsHaveOneBase(self) -> None:
        """
        All errors are of one kind, with the path of the service.
        """
        error = self.assertRaises(TreeError, self.parent.removeService, Service())
        self.assertEqual(error.path, "/")

    def test_states(self) -> None:
        """
        A service without a container of ours has a state as well.
        """
        service = Service()
        self.assertEqual(service.state, State.NEW)
        service.startService()
        self.assertEqual(service.state, State.RUNNING)
        service.stopService()
        self.assertEqual(service.state, State.STOPPED)
        self.assertIn("stopped", repr(service))

    def test_crashInAPlainContainer(self) -> None:
        """
        A plain container notes who went down, and stops it in the end.
        """
        a = self.add(Noting, "a")
        self.parent.startService()
        a.crashed(ValueError("ouch"))
        self.assertEqual(a.state, State.FAILED)
        self.assertEqual(self.parent.state, State.RUNNING)
        self.successResultOf(self.parent.stopService())
        self.assertEqual(self.calls, ["start a", "stop a"])


class ScaleTests(TestCase):
    """
    Many children, and deep trees.
    """

    def test_depth(self) -> None:
        """
        A chain of 995 containers (and more) starts and stops, asynchronously too.
        """
        calls: list[str] = []
        top = here = MultiService()
        for _ in range(1000):
            below = MultiService()
            below.setServiceParent(here)
            here = below
        slow = Slow(calls, "leaf")
        slow.setServiceParent(here)
        top.privilegedStartService()
        starting = top.startService()
        self.assertNoResult(starting)
        slow.starting.callback(None)
        self.successResultOf(starting)
        stopping = top.stopService()
        slow.stopping.callback(None)
        self.successResultOf(stopping)
        self.assertEqual(calls, ["privileged leaf", "start leaf", "stop leaf"])
        self.assertEqual(top.state, State.STOPPED)

    def test_memory(self) -> None:
        """
        A child costs its container at most 450 bytes.
        """
        services = [Service() for _ in range(20000)]
        for number, service in enumerate(services):
            service.setName(f"service-{number}")
            service.parent = None
        parent = MultiService()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for service in services:
                service.setServiceParent(parent)
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess((after - before) / len(services), 450)

    def test_removal(self) -> None:
        """
        Removing the oldest, the newest and any other leaves the rest in order.
        """
        parent = MultiService()
        services = [Service() for _ in range(2000)]
        for service in services:
            service.setServiceParent(parent)
        expected = list(services)
        while len(expected) > 3:
            for position in (0, -1, len(expected) // 2):
                service = parent.services[position]
                self.assertIs(service, expected[position])
                service.disownServiceParent()
                del expected[position]
        self.assertEqual(list(parent), expected)
        late = Service()
        late.setServiceParent(parent)
        self.assertIs(parent.services[-1], late)

    def test_interpreter(self) -> None:
        """
        The depth does not depend on the size of Python's stack.
        """
        program = (
            "import sys\n"
            "from svctree.service import MultiService\n"
            "top = here = MultiService()\n"
            "for _ in range(995):\n"
            "    below = MultiService(); below.setServiceParent(here); here = below\n"
            "sys.setrecursionlimit(200)\n"
            "top.startService(); print(here.running); top.stopService()\n"
            "print(here.running); top.describe()"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True
        )
        self.assertEqual(done.stdout, "1\n0\n", done.stderr)
