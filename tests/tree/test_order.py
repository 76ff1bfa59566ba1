"""
C{after} and C{requires} in plain containers, and the graph itself.
"""

from __future__ import annotations

import time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from svctree.service import MultiService
from svctree.tree.errors import DependencyCycle, RequirementMissing
from svctree.tree.order import Order
from svctree.tree.states import State
from tests.tree.services import Failing, Noting, Slow


class OrderedContainerTests(TestCase):
    def setUp(self) -> None:
        self.calls: list[str] = []
        self.parent = MultiService()

    def add(self, kind: type, name: str, **needs: Any) -> Any:
        service = kind(self.calls, name)
        self.parent.place(service, **needs)
        return service

    def test_synchronous(self) -> None:
        """
        Synchronous children start in order within the call; ties are in the order of
        adding; they stop in reverse.
        """
        self.add(Noting, "web", after="db")
        self.add(Noting, "log")
        self.add(Noting, "db")
        self.assertIsNone(self.parent.startService())
        self.assertEqual(self.calls, ["start log", "start db", "start web"])
        del self.calls[:]
        self.successResultOf(self.parent.stopService())
        self.assertEqual(self.calls, ["stop web", "stop db", "stop log"])

    def test_waits(self) -> None:
        """
        A child starts when those it waits for are up; nobody else waits.
        """
        self.add(Noting, "web", requires=["db"])
        db = self.add(Slow, "db")
        self.add(Noting, "log")
        starting = self.parent.startService()
        self.assertEqual(self.calls, ["start db", "start log"])
        db.starting.callback(None)
        self.assertEqual(self.calls, ["start db", "start log", "start web"])
        self.successResultOf(starting)
        self.assertEqual(self.parent.state, State.RUNNING)

    def test_failureLater(self) -> None:
        """
        What fails when its turn has come undoes the start.
        """
        self.add(Failing, "web", requires=["db"])
        db = self.add(Slow, "db")
        starting = self.parent.startService()
        db.starting.callback(None)
        self.assertEqual(self.calls, ["start db", "start web", "stop db"])
        self.assertNoResult(starting)
        db.stopping.callback(None)
        self.failureResultOf(starting, RuntimeError)

    def test_synchronousFailure(self) -> None:
        """
        A synchronous error leaves through the call, after the others were stopped.
        """
        self.add(Failing, "web", after="db")
        self.add(Noting, "db")
        self.assertRaises(RuntimeError, self.parent.startService)
        self.assertEqual(self.calls, ["start db", "start web", "stop db"])

    def test_requirementFails(self) -> None:
        """
        With C{keepGoing}, what requires a child that failed fails with it; what only
        starts after it does not.
        """
        self.parent = MultiService(keepGoing=True)
        self.add(Noting, "web", requires="db")
        self.add(Noting, "proxy", requires="web")
        self.add(Noting, "report", after="db")
        db = self.add(Slow, "db")
        starting = self.parent.startService()
        db.starting.errback(ValueError("no"))
        self.successResultOf(starting)
        self.assertEqual(self.calls, ["start db", "start report"])
        failed = {path: failure.type for path, failure in self.parent.startFailures}
        self.assertEqual(
            failed,
            {
                "/db": ValueError,
                "/web": RequirementMissing,
                "/proxy": RequirementMissing,
            },
        )

    def test_missingRequirement(self) -> None:
        """
        A sibling that is required and not there is an error; one that is only to be
        waited for is not.
        """
        web = self.add(Noting, "web", requires="db")
        error = self.assertRaises(RequirementMissing, self.parent.startService)
        self.assertEqual((error.path, error.requirement), ("/web", "db"))
        web.disownServiceParent()
        self.add(Noting, "web", after="db")
        self.assertIsNone(self.parent.startService())

    def test_cycle(self) -> None:
        """
        A cycle is refused when it would come to be, and spelled out.
        """
        self.add(Noting, "a", after="b")
        self.add(Noting, "b", requires="c")
        service = Noting(self.calls, "c")
        error = self.assertRaises(
            DependencyCycle, self.parent.place, service, after=["a"]
        )
        self.assertEqual(error.cycle, ("c", "a", "b", "c"))
        self.assertIn("c -> a -> b -> c", str(error))
        self.assertIsNone(service.parent)
        self.parent.place(service)
        self.assertIsNone(self.parent.startService())
        self.assertEqual(self.calls, ["start c", "start b", "start a"])
        itself = Noting(self.calls, "d")
        self.assertRaises(DependencyCycle, self.parent.place, itself, after="d")

    def test_stopWhileWaiting(self) -> None:
        """
        A stop forgets those that still wait.
        """
        self.add(Noting, "web", after="db")
        db = self.add(Slow, "db")
        starting = self.parent.startService()
        stopping = self.parent.stopService()
        db.stopping.callback(None)
        self.successResultOf(stopping)
        self.failureResultOf(starting)
        self.assertEqual(self.calls, ["start db", "stop db", "cancelled db"])

    def test_removedWhileWaiting(self) -> None:
        """
        A child that is removed before its turn is not waited for.
        """
        web = self.add(Noting, "web", after="db")
        db = self.add(Slow, "db")
        starting = self.parent.startService()
        web.disownServiceParent()
        db.starting.callback(None)
        self.successResultOf(starting)
        self.assertEqual(self.calls, ["start db"])

    def test_nestedContainers(self) -> None:
        """
        Containers can wait for each other as well.
        """
        inner = MultiService()
        inner.setName("inner")
        slow = Slow(self.calls, "slow")
        slow.setServiceParent(inner)
        self.add(Noting, "web", requires="inner")
        self.parent.place(inner)
        starting = self.parent.startService()
        self.assertEqual(self.calls, ["start slow"])
        slow.starting.callback(None)
        self.successResultOf(starting)
        self.assertEqual(self.calls, ["start slow", "start web"])

    def test_placement(self) -> None:
        """
        A container tells how a child was placed.
        """
        web = self.add(Noting, "web", requires="db")
        self.assertEqual(self.parent.placementOf(web), {"requires": ("db",)})
        self.assertEqual(self.parent.placementOf(Noting(self.calls)), {})

    def test_coroutines(self) -> None:
        """
        Coroutines are waited for as Deferreds are.
        """
        gate: Deferred[None] = Deferred()

        class Coroutine(Noting):
            async def startService(self) -> None:
                self.note("start")
                await gate

        self.add(Noting, "web", after="db")
        self.add(Coroutine, "db")
        self.parent.startService()
        gate.callback(None)
        self.assertEqual(self.calls, ["start db", "start web"])


class GraphTests(TestCase):
    def test_levels(self) -> None:
        """
        Levels are as few as possible, and dependents are transitive.
        """
        named = {name: Noting([], name) for name in "abcde"}
        order = Order(named.get)
        order.add("/", named["a"], after="b")
        order.add("/", named["b"], requires="c")
        order.add("/", named["d"], after="c")
        services = list(named.values())
        levels = order.levels(services)
        names = [[each.name for each in level] for level in levels]
        self.assertEqual(names, [["c", "e"], ["b", "d"], ["a"]])
        found = order.dependents(named["c"], services)
        self.assertEqual([each.name for each in found], ["b", "d", "a"])

    def test_longChain(self) -> None:
        """
        A chain may be longer than Python's stack.
        """
        named = {str(number): Noting([], str(number)) for number in range(3000)}
        order = Order(named.get)
        for number in range(2999):
            order.add("/", named[str(number)], after=[str(number + 1)])
        ordered = order.sorted(list(named.values()))
        self.assertEqual(ordered[0].name, "2999")
        self.assertEqual(ordered[-1].name, "0")

    def test_placingALongChain(self) -> None:
        """
        Placing a child does not take longer the more there are that wait for others.
        """
        container = MultiService()
        began = time.process_time()
        for number in range(2000):
            after = f"n{number - 1}" if number else ()
            container.place(Noting([], f"n{number}"), after=after)
        self.assertLess(time.process_time() - began, 2.0)
        with self.assertRaises(DependencyCycle) as refused:
            container.place(Noting([], "x"), after=["n5", "x"])
        self.assertEqual(refused.exception.cycle, ("x", "x"))
