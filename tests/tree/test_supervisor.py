"""
Supervision: who is restarted, when, and until when.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from svctree.service import MultiService
from svctree.tree import events
from svctree.tree.errors import (
    ChildIsRunning,
    DoNotRestart,
    HealthCheckFailed,
    Ignore,
    RestartLimitReached,
    Shutdown,
    StartInterrupted,
    StartTimedOut,
    StopFailed,
    StopOverran,
    UnknownOption,
)
from svctree.tree.health import HealthCheck
from svctree.tree.policy import BackOff
from svctree.tree.states import State
from svctree.tree.supervisor import Supervisor
from tests.tree.services import Failing, Noting, Slow, SlowStop


class SupervisorCase(TestCase):
    """
    A supervisor on a clock, under a container that hears its escalation.
    """

    def setUp(self) -> None:
        self.calls: list[str] = []
        self.clock = Clock()
        self.down: list[Failure | None] = []

    def make(self, **options: Any) -> Supervisor:
        options.setdefault("random", lambda: 0.5)
        self.supervisor = Supervisor(clock=self.clock, **options)
        self.supervisor.setName("sup")
        self.top = MultiService()
        self.top.childDown = lambda service, failure: self.down.append(failure)
        self.supervisor.setServiceParent(self.top)
        self.events: list[events.TreeEvent] = []
        self.supervisor.subscribe(self.events.append)
        return self.supervisor

    def add(self, kind: type, name: str, *args: Any, **options: Any) -> Any:
        service = kind(self.calls, name, *args)
        self.supervisor.place(service, **options)
        return service

    def three(self) -> tuple[Noting, Noting, Noting]:
        made = tuple(self.add(Noting, name) for name in "abc")
        self.top.startService()
        del self.calls[:]
        return made  # type: ignore[return-value]


class StartAndStopTests(SupervisorCase):
    def test_oneAfterAnother(self) -> None:
        """
        Each child waits for the one before; the stop goes the other way round, and
        waits as well.
        """
        self.make()
        first = self.add(Slow, "a")
        second = self.add(Slow, "b")
        starting = self.supervisor.startService()
        self.assertEqual(self.calls, ["start a"])
        first.starting.callback(None)
        self.assertEqual(self.calls, ["start a", "start b"])
        self.assertNoResult(starting)
        second.starting.callback(None)
        self.successResultOf(starting)
        del self.calls[:]
        stopping = self.supervisor.stopService()
        self.assertEqual(self.calls, ["stop b"])
        second.stopping.callback("b done")
        self.assertEqual(self.calls, ["stop b", "stop a"])
        first.stopping.callback(None)
        self.assertEqual(
            self.successResultOf(stopping), [(True, "b done"), (True, None)]
        )
        self.assertEqual(self.supervisor.state, State.STOPPED)

    def test_synchronous(self) -> None:
        """
        Synchronous children start within the call.
        """
        self.make()
        self.add(Noting, "a")
        self.add(Noting, "b")
        self.assertIsNone(self.supervisor.startService())
        self.assertEqual(self.supervisor.state, State.RUNNING)
        self.assertEqual(
            self.successResultOf(self.supervisor.stopService()), [(True, None)] * 2
        )

    def test_rollback(self) -> None:
        """
        When a child does not come up, those before it are stopped, and the error
        comes out.
        """
        self.make()
        self.add(Noting, "a")
        slow = self.add(Slow, "b")
        self.add(Noting, "c")
        starting = self.top.startService()
        slow.starting.errback(ValueError("no"))
        failure = self.failureResultOf(starting, ValueError)
        self.assertEqual(failure.value.servicePath, "/sup/b")
        self.assertEqual(self.calls, ["start a", "start b", "stop a"])
        self.assertEqual(self.supervisor.state, State.FAILED)

    def test_synchronousFailure(self) -> None:
        """
        A synchronous error leaves through the call.
        """
        self.make()
        self.add(Noting, "a")
        self.add(Failing, "b")
        self.assertRaises(RuntimeError, self.supervisor.startService)
        self.assertEqual(self.calls, ["start a", "start b", "stop a"])

    def test_keepGoing(self) -> None:
        """
        With C{keepGoing} the others start nevertheless.
        """
        self.make(keepGoing=True)
        self.add(Failing, "a")
        self.add(Noting, "b")
        self.assertIsNone(self.supervisor.startService())
        self.assertEqual(self.calls, ["start a", "start b"])
        self.assertEqual(
            [path for path, _ in self.supervisor.startFailures], ["/sup/a"]
        )

    def test_startTimeout(self) -> None:
        """
        A child that is not up in time has its start cancelled, and is stopped.
        """
        self.make()
        self.add(Slow, "a", startTimeout=5.0, stopTimeout=2.0)
        starting = self.supervisor.startService()
        self.clock.advance(4.9)
        self.assertEqual(self.calls, ["start a"])
        self.clock.advance(0.1)
        self.assertEqual(self.calls, ["start a", "cancelled a", "stop a"])
        self.assertNoResult(starting)
        self.clock.advance(2.0)
        error = self.failureResultOf(starting, StartTimedOut).value
        self.assertEqual((error.path, error.timeout), ("/sup/a", 5.0))

    def test_stopTimeout(self) -> None:
        """
        A child that does not stop in time is killed where possible, left behind, and
        named in the report.
        """
        self.make()
        self.add(Noting, "a")
        slow = self.add(SlowStop, "b", stopTimeout=3.0)
        slow.killService = lambda: self.calls.append("kill b")
        self.supervisor.startService()
        del self.calls[:]
        stopping = self.supervisor.stopService()
        self.clock.advance(3.0)
        error = self.failureResultOf(stopping, StopFailed).value
        [(path, failure)] = error.failures
        self.assertEqual(path, "/sup/b")
        self.assertEqual(failure.type, StopOverran)
        self.assertEqual(self.calls, ["stop b", "kill b", "stop a"])
        self.assertEqual(self.supervisor.unstopped, ("/sup/b",))

    def test_kill(self) -> None:
        """
        A stop timeout of 0 kills.
        """
        self.make()
        service = self.add(SlowStop, "a", stopTimeout=0)
        service.killService = lambda: self.calls.append("kill a")
        self.supervisor.startService()
        self.successResultOf(self.supervisor.stopService())
        self.assertEqual(self.calls, ["start a", "kill a"])

    def test_stopWhileStarting(self) -> None:
        """
        A stop in the middle of a start stops what was started, and starts nobody
        else.
        """
        self.make()
        self.add(Noting, "a")
        slow = self.add(Slow, "b")
        self.add(Noting, "c")
        starting = self.supervisor.startService()
        stopping = self.supervisor.stopService()
        self.failureResultOf(starting, StartInterrupted)
        slow.stopping.callback(None)
        self.successResultOf(stopping)
        self.assertEqual(
            self.calls, ["start a", "start b", "stop b", "cancelled b", "stop a"]
        )

    def test_startWhileStopping(self) -> None:
        """
        A start during a stop waits for it, child by child.
        """
        self.make()
        slow = self.add(SlowStop, "a")
        self.supervisor.startService()
        stopping = self.supervisor.stopService()
        starting = self.supervisor.startService()
        self.assertEqual(self.calls, ["start a", "stop a"])
        slow.stopping.callback(None)
        self.successResultOf(stopping)
        self.successResultOf(starting)
        self.assertEqual(self.calls, ["start a", "stop a", "start a"])
        self.assertEqual(self.supervisor.state, State.RUNNING)

    def test_ignore(self) -> None:
        """
        A child that raises C{Ignore} is kept, and not run.
        """
        self.make()
        service = self.add(Noting, "a")

        def ignore() -> None:
            raise Ignore()

        service.startService = ignore
        self.assertIsNone(self.supervisor.startService())
        self.assertEqual(service.state, State.STOPPED)
        self.successResultOf(self.supervisor.stopService())
        self.assertEqual(self.calls, [])

    def test_levels(self) -> None:
        """
        With C{after} and C{requires}, what does not depend on each other starts
        together; what depends waits.
        """
        self.make()
        web = self.add(Slow, "web", requires=["db", "cache"])
        db = self.add(Slow, "db")
        cache = self.add(Slow, "cache")
        self.supervisor.startService()
        self.assertEqual(self.calls, ["start db", "start cache"])
        db.starting.callback(None)
        cache.starting.callback(None)
        self.assertEqual(self.calls[2:], ["start web"])
        web.starting.callback(None)
        del self.calls[:]
        self.supervisor.stopService()
        self.assertEqual(self.calls, ["stop web"])
        web.stopping.callback(None)
        self.assertEqual(self.calls, ["stop web", "stop cache", "stop db"])

    def test_atOnce(self) -> None:
        """
        The number of children that start together is capped.
        """
        self.make(atOnce=2)
        slow = [self.add(Slow, name) for name in "abc"]
        self.add(Noting, "d", after="a")
        self.supervisor.startService()
        self.assertEqual(self.calls, ["start a", "start b"])
        slow[0].starting.callback(None)
        self.assertEqual(self.calls, ["start a", "start b", "start c"])


class RestartTests(SupervisorCase):
    def test_oneForOne(self) -> None:
        """
        C{oneForOne} restarts the child that went down, privileged phase included.
        """
        self.make(strategy="oneForOne")
        _, b, _ = self.three()
        b.crashed(ValueError("ouch"))
        self.assertEqual(self.calls, ["stop b", "privileged b", "start b"])
        self.assertEqual(b.state, State.RUNNING)

    def test_oneForAll(self) -> None:
        """
        C{oneForAll} stops all in reverse and starts all.
        """
        self.make(strategy="oneForAll")
        _, b, _ = self.three()
        b.crashed(ValueError("ouch"))
        self.assertEqual(
            [call for call in self.calls if "privileged" not in call],
            ["stop c", "stop b", "stop a", "start a", "start b", "start c"],
        )

    def test_restForOne(self) -> None:
        """
        C{restForOne} restarts the child and those that started after it.
        """
        self.make(strategy="restForOne")
        _, b, _ = self.three()
        b.crashed(ValueError("ouch"))
        self.assertEqual(
            [call for call in self.calls if "privileged" not in call],
            ["stop c", "stop b", "start b", "start c"],
        )

    def test_restForOneWithDependencies(self) -> None:
        """
        Where children depend on each other, "rest" is what depends on the child.
        """
        self.make(strategy="restForOne")
        db = self.add(Noting, "db")
        self.add(Noting, "other")
        self.add(Noting, "web", requires="db")
        self.add(Noting, "proxy", after="web")
        self.top.startService()
        del self.calls[:]
        db.crashed(ValueError("ouch"))
        self.assertEqual(
            [call for call in self.calls if "privileged" not in call],
            [
                "stop proxy",
                "stop web",
                "stop db",
                "start db",
                "start web",
                "start proxy",
            ],
        )

    def test_waitsForTheOldInstance(self) -> None:
        """
        A restart waits, bounded, for the stop of what crashed.
        """
        self.make(strategy="restForOne")
        slow = self.add(SlowStop, "a", stopTimeout=4.0)
        self.top.startService()
        slow.crashed(ValueError("ouch"))
        self.assertEqual(self.calls, ["start a", "stop a"])
        self.clock.advance(4.0)
        self.assertEqual(self.calls, ["start a", "stop a", "privileged a", "start a"])

    def test_restartTypes(self) -> None:
        """
        Permanent children are always restarted, transient ones after an error,
        temporary ones never: they are dropped.
        """
        self.make(maxRestarts=10)
        services = {
            kind: self.add(Noting, kind, restart=kind)
            for kind in ("permanent", "transient", "temporary")
        }
        self.top.startService()
        del self.calls[:]
        for service in services.values():
            service.finished()
        self.assertIn("start permanent", self.calls)
        self.assertNotIn("start transient", self.calls)
        self.assertNotIn("start temporary", self.calls)
        self.assertIsNone(services["temporary"].parent)
        self.assertEqual(services["transient"].state, State.STOPPED)
        self.assertEqual(len(self.supervisor.services), 2)
        self.supervisor.restartChild("transient")
        services["transient"].crashed(ValueError("ouch"))
        self.assertEqual(self.calls[-1], "start transient")

    def test_factory(self) -> None:
        """
        A child with a factory is a fresh instance after each restart, of the same
        name and at the same place.
        """
        self.make()
        made: list[Noting] = []

        def factory() -> Noting:
            made.append(Noting(self.calls))
            return made[-1]

        first = self.supervisor.addChild(factory, "a")
        self.add(Noting, "b")
        self.top.startService()
        first.crashed(ValueError("ouch"))
        self.assertEqual(len(made), 2)
        self.assertIs(self.supervisor.getServiceNamed("a"), made[1])
        self.assertIs(self.supervisor.services[0], made[1])
        self.assertEqual(made[1].path, "/sup/a")
        self.assertIsNone(first.parent)
        self.assertTrue(made[1].running)
        first.crashed(ValueError("late"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(len(made), 2)

    def test_doNotRestart(self) -> None:
        """
        A child chooses its fate.
        """
        self.make()
        _, b, _ = self.three()
        b.crashed(DoNotRestart("enough"))
        self.assertEqual(self.calls, ["stop b"])

    def test_intensity(self) -> None:
        """
        More than 3 restarts in 5 seconds are too many: all children stop, and the
        supervisor is down with the reason.
        """
        self.make(backOff=BackOff(initial=0))
        _, b, _ = self.three()
        for _ in range(3):
            b.crashed(ValueError("ouch"))
        self.assertEqual(self.down, [])
        del self.calls[:]
        b.crashed(ValueError("ouch"))
        self.assertEqual(self.calls, ["stop c", "stop b", "stop a"])
        [failure] = self.down
        assert failure is not None
        self.assertEqual(failure.type, RestartLimitReached)
        self.assertIn("/sup: gave up after 3 restarts within 5 s", str(failure.value))
        self.assertEqual(self.supervisor.state, State.FAILED)
        self.assertFalse(self.supervisor.running)

    def test_intensityForgets(self) -> None:
        """
        Restarts that are long ago do not count.
        """
        self.make(backOff=BackOff(initial=0))
        _, b, _ = self.three()
        for _ in range(20):
            b.crashed(ValueError("ouch"))
            self.clock.advance(2.0)
        self.assertEqual(self.down, [])

    def test_neverRestart(self) -> None:
        """
        A limit of 0 means never.
        """
        self.make(maxRestarts=0)
        a, _, _ = self.three()
        a.crashed(ValueError("ouch"))
        self.assertEqual(len(self.down), 1)
        self.assertNotIn("start a", self.calls)

    def test_backOff(self) -> None:
        """
        The first restart is immediate; then the delay grows, and holds up only that
        child.
        """
        self.make(maxRestarts=100, backOff=BackOff(initial=1.0, factor=2.0))
        a, b, _ = self.three()
        a.crashed(ValueError("ouch"))
        self.assertTrue(a.running)
        a.crashed(ValueError("ouch"))
        self.assertFalse(a.running)
        b.crashed(ValueError("ouch"))
        self.assertTrue(b.running)
        self.clock.advance(0.9)
        self.assertFalse(a.running)
        self.clock.advance(0.1)
        self.assertTrue(a.running)
        a.crashed(ValueError("ouch"))
        self.clock.advance(1.9)
        self.assertFalse(a.running)
        self.clock.advance(0.1)
        self.assertTrue(a.running)
        scheduled = [
            (event.path, event.attempt, event.delay)
            for event in self.events
            if isinstance(event, events.RestartScheduled)
        ]
        self.assertEqual(
            scheduled,
            [
                ("/sup/a", 1, 0.0),
                ("/sup/a", 2, 1.0),
                ("/sup/b", 1, 0.0),
                ("/sup/a", 3, 2.0),
            ],
        )

    def test_jitter(self) -> None:
        """
        The jitter comes from the injected randomness.
        """
        policy = BackOff(initial=1.0, jitter=0.5)
        self.assertEqual(policy.delayAfter(2, lambda: 0.0), 0.5)
        self.assertEqual(policy.delayAfter(2, lambda: 1.0), 1.5)
        self.assertEqual(policy.delayAfter(10000, lambda: 1.0), 30.0)

    def test_recovered(self) -> None:
        """
        A child that was up long enough begins with an immediate restart again.
        """
        self.make(maxRestarts=100, backOff=BackOff(stableAfter=10.0))
        a, _, _ = self.three()
        a.crashed(ValueError("ouch"))
        self.clock.advance(10.0)
        a.crashed(ValueError("ouch"))
        self.assertTrue(a.running)

    def test_removalCancelsTheTimer(self) -> None:
        """
        A child that is removed while its restart is delayed is not restarted.
        """
        self.make(maxRestarts=100, backOff=BackOff(initial=1.0))
        a, _, _ = self.three()
        a.crashed(ValueError("ouch"))
        a.crashed(ValueError("ouch"))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.assertIsNone(a.disownServiceParent())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(a.running)

    def test_stopCancelsTheTimer(self) -> None:
        """
        So does the stop of the supervisor.
        """
        self.make(maxRestarts=100, backOff=BackOff(initial=1.0))
        a, _, _ = self.three()
        a.crashed(ValueError("ouch"))
        a.crashed(ValueError("ouch"))
        self.successResultOf(self.supervisor.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(10)
        self.assertFalse(a.running)

    def test_failingRestart(self) -> None:
        """
        A restart that fails counts as a restart.
        """
        self.make(maxRestarts=2, backOff=BackOff(initial=0))
        a, b, _ = self.three()

        def fail() -> None:
            self.calls.append("fail b")
            raise RuntimeError("cannot")

        b.startService = fail
        b.crashed(ValueError("ouch"))
        self.assertEqual(self.calls.count("fail b"), 2)
        [failure] = self.down
        assert failure is not None
        self.assertIn("/sup/b: cannot", str(failure.value))
        self.assertFalse(a.running)

    def test_crashWhileStarting(self) -> None:
        """
        A child that crashes while its siblings start is dealt with when all are up.
        """
        self.make()
        a = self.add(Noting, "a")
        slow = self.add(Slow, "b")
        self.top.startService()
        a.crashed(ValueError("ouch"))
        self.assertFalse(a.running)
        slow.starting.callback(None)
        self.assertTrue(a.running)

    def test_crashDuringItsOwnStart(self) -> None:
        """
        A child that crashes before it is up has not come up; it is stopped, since it
        had come far enough to say so.
        """
        self.make()
        slow = self.add(Slow, "a")
        starting = self.supervisor.startService()
        slow.crashed(ValueError("ouch"))
        slow.starting.callback(None)
        self.assertEqual(self.calls, ["start a", "stop a"])
        slow.stopping.callback(None)
        self.failureResultOf(starting, ValueError)

    def test_terminateRestartDelete(self) -> None:
        """
        Children can be stopped, started again and forgotten by hand.
        """
        self.make()
        _, b, _ = self.three()
        self.assertRaises(ChildIsRunning, self.supervisor.restartChild, "b")
        self.assertRaises(ChildIsRunning, self.supervisor.deleteChild, "b")
        self.successResultOf(self.supervisor.terminateChild("b"))
        self.assertEqual(b.state, State.STOPPED)
        self.successResultOf(self.supervisor.restartChild("b"))
        self.assertEqual(b.state, State.RUNNING)
        self.supervisor.terminateChild(b)
        self.supervisor.deleteChild("b")
        self.assertIsNone(b.parent)
        self.assertEqual(len(self.supervisor.services), 2)

    def test_significant(self) -> None:
        """
        The end of a significant child takes the supervisor down with it.
        """
        self.make(autoShutdown="anySignificant")
        self.add(Noting, "a")
        job = self.add(Noting, "job", restart="transient", significant=True)
        self.top.startService()
        del self.calls[:]
        job.finished()
        self.assertEqual(self.calls, ["stop job", "stop a"])
        [failure] = self.down
        assert failure is not None
        self.assertEqual(failure.type, Shutdown)

    def test_allSignificant(self) -> None:
        """
        C{allSignificant} waits for the last of them.
        """
        self.make(autoShutdown="allSignificant")
        jobs = [
            self.add(Noting, name, restart="temporary", significant=True)
            for name in "ab"
        ]
        self.top.startService()
        jobs[0].finished()
        self.assertEqual(self.down, [])
        jobs[1].finished()
        self.assertEqual(len(self.down), 1)

    def test_senselessOptions(self) -> None:
        """
        Options that make no sense are refused before anything is added.
        """
        self.make()
        for options in (
            {"significant": True},
            {"restart": "sometimes"},
            {"colour": "red"},
            {"stopTimeout": -1},
        ):
            service = Noting(self.calls, "a")
            self.assertRaises(UnknownOption, self.supervisor.place, service, **options)
            self.assertIsNone(service.parent)
        self.assertRaises(UnknownOption, Supervisor, strategy="random")
        self.assertRaises(UnknownOption, Supervisor, maxRestarts=-1)
        self.make(autoShutdown="anySignificant")
        self.assertRaises(
            UnknownOption,
            self.supervisor.place,
            Noting(self.calls, "a"),
            significant=True,
        )

    def test_nested(self) -> None:
        """
        A supervisor that gives up is restarted by the one above, with its children.
        """
        self.make()
        inner = Supervisor(clock=self.clock, maxRestarts=0)
        inner.setName("inner")
        service = Noting(self.calls, "a")
        service.setServiceParent(inner)
        inner.setServiceParent(self.supervisor)
        self.top.startService()
        service.crashed(ValueError("ouch"))
        self.assertEqual(self.calls, ["start a", "stop a", "privileged a", "start a"])
        self.assertEqual(inner.state, State.RUNNING)
        self.assertEqual(self.down, [])

    def test_escalationThroughPlainContainers(self) -> None:
        """
        A plain container cannot do without a supervisor that gave up: it is
        restarted with it.
        """
        self.make()
        middle = MultiService()
        middle.setServiceParent(self.supervisor)
        inner = Supervisor(clock=self.clock, maxRestarts=0)
        inner.setServiceParent(middle)
        service = Noting(self.calls, "a")
        service.setServiceParent(inner)
        Noting(self.calls, "b").setServiceParent(middle)
        self.top.startService()
        del self.calls[:]
        service.crashed(ValueError("ouch"))
        self.assertEqual(
            [call for call in self.calls if "privileged" not in call],
            ["stop a", "stop b", "start a", "start b"],
        )


class HealthTests(SupervisorCase):
    def test_unwell(self) -> None:
        """
        A child that fails its check too often in a row is restarted.
        """
        self.make()
        answers = [True, False, None, False, ValueError("broken")]

        def check(service: Noting) -> object:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        health = HealthCheck(check, interval=10.0, failures=2)
        a = self.add(Noting, "a", health=health)
        self.top.startService()
        del self.calls[:]
        self.clock.pump([10.0] * 4)
        self.assertEqual(self.calls, [])
        self.clock.advance(10.0)
        self.assertEqual(self.calls, ["stop a", "privileged a", "start a"])
        failed = [e for e in self.events if isinstance(e, events.ServiceFailed)]
        self.assertEqual(failed[0].reason.type, HealthCheckFailed)
        self.assertEqual(a.state, State.RUNNING)
        self.supervisor.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_slowCheck(self) -> None:
        """
        A check that takes too long has failed.
        """
        self.make()
        pending: list[Deferred[None]] = []

        def check(service: Noting) -> Deferred[None]:
            pending.append(Deferred())
            return pending[-1]

        health = HealthCheck(check, interval=10.0, timeout=1.0, failures=1)
        self.add(Noting, "a", health=health)
        self.top.startService()
        self.clock.pump([10.0, 1.0])
        self.assertEqual(self.calls[-1], "start a")
        self.assertEqual(len(self.calls), 4)
