"""
The root's duties, under the real C{twistd}.
"""

from __future__ import annotations

import os
import signal
import sys
import textwrap
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from svctree.service import MultiService
from svctree.tree import Supervisor
from svctree.tree.events import StopOverdue, TreeEvent
from svctree.tree.root import Root, explain, unstopped
from tests.support.processes import BIN, Processes, Running, waitUntil
from tests.tree.services import Noting, Slow, SlowStop

COMMON = """
from twisted.application import service as twistedService
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from svctree.service import Application, MultiService, Service
from svctree.tree import Supervisor

class ForPeople(Exception):
    exitStatus = 4
    details = "Traceback of the application"

class Later(Service):
    error = ForPeople("app.py cannot be imported")
    def startService(self):
        started = Deferred()
        reactor.callLater(0, started.errback, self.error)
        return started

class Quiet(Service):
    def stopService(self):
        print("quiet has stopped", flush=True)

application = Application("app")
"""


@pytest.fixture
def twistd(processes: Processes, tmp_path: Path):  # type: ignore[no-untyped-def]
    """
    Starts C{twistd} with a file of the given text.
    """

    def start(text: str, *options: str) -> Running:
        tac = tmp_path / "app.tac"
        tac.write_text(COMMON + textwrap.dedent(text))
        argv = [sys.executable, BIN / "twistd", *(options or ("-no",)), "-y", tac]
        return processes.start(argv, cwd=tmp_path)

    return start


def test_ticket4762_asynchronousFailure(twistd) -> None:  # type: ignore[no-untyped-def]
    """
    A start that fails later ends the process with one readable line and the status of
    the error; what had started is stopped, and no pidfile stays.
    """
    running = twistd(
        """
        Quiet().setServiceParent(application)
        Later().setServiceParent(application)
        """
    )
    assert running.wait() == 4
    assert "app.py cannot be imported" in running.output
    assert "Traceback of the application" in running.output
    assert "Traceback (most recent" not in running.output
    assert "Unhandled" not in running.output
    assert running.output.count("quiet has stopped") == 1


def test_ticket11335_statusOfAnUnexpectedError(twistd, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """
    An error that nobody expected has its traceback, the path of the service, and
    status 1.
    """
    running = twistd(
        """
        later = Later()
        later.setName("later")
        later.error = ValueError("broken")
        later.setServiceParent(application)
        """
    )
    assert running.wait() == 1
    assert "/later: broken" in running.output
    assert not (tmp_path / "twistd.pid").exists()


def test_plugin(twistd) -> None:  # type: ignore[no-untyped-def]
    """
    The topmost container of ours does the duties under Twisted's own application.
    """
    running = twistd(
        """
        application = twistedService.Application("plugin")
        tree = MultiService()
        tree.setServiceParent(application)
        Later().setServiceParent(tree)
        """
    )
    assert running.wait() == 4
    assert "app.py cannot be imported" in running.output


def test_ticket8170_synchronousFailure(twistd) -> None:  # type: ignore[no-untyped-def]
    """
    An error for people that is raised within the start is shown without a traceback,
    and has its status.
    """
    running = twistd(
        """
        class Now(Service):
            def startService(self):
                raise ForPeople("cannot bind to port 80")
        Now().setServiceParent(application)
        """
    )
    assert running.wait() == 4
    assert "cannot bind to port 80" in running.output
    assert "Traceback (most recent" not in running.output


def test_reactorStopDuringStart(twistd) -> None:  # type: ignore[no-untyped-def]
    """
    C{reactor.stop()} during the start ends the process in order.
    """
    running = twistd(
        """
        class Stopping(Service):
            def startService(self):
                reactor.stop()
                reactor.stop()
        Stopping().setServiceParent(application)
        Quiet().setServiceParent(application)
        """
    )
    assert running.wait() == 0
    assert "quiet has stopped" in running.output
    assert "Traceback" not in running.output
    assert "ReactorNotRunning" not in running.output


def test_reactorStopDuringAsynchronousStart(twistd) -> None:  # type: ignore[no-untyped-def]
    """
    So does one while services still start, and it is no failure.
    """
    running = twistd(
        """
        class Never(Service):
            def startService(self):
                reactor.callLater(0, reactor.stop)
                return Deferred()
        Never().setServiceParent(application)
        """
    )
    assert running.wait() == 0
    assert "Unhandled" not in running.output


def test_supervisorGivesUp(twistd) -> None:  # type: ignore[no-untyped-def]
    """
    A supervisor that gives up ends the process with a status and a line.
    """
    running = twistd(
        """
        class Crashing(Service):
            def startService(self):
                super().startService()
                reactor.callLater(0, self.crashed, ForPeople("lost the database"))
        supervisor = Supervisor(maxRestarts=1)
        supervisor.setName("sup")
        supervisor.setServiceParent(application)
        crashing = Crashing()
        crashing.setName("db")
        crashing.setServiceParent(supervisor)
        """
    )
    assert running.wait() == 4
    line = "/sup: gave up after 1 restarts within 5 s: /sup/db: lost the database"
    assert line in running.output


def test_crashUnderTheApplication(twistd) -> None:  # type: ignore[no-untyped-def]
    """
    A service that crashes where nothing can restart it ends the process, which would
    else go on without it; its siblings are stopped in order.
    """
    running = twistd(
        """
        class Crashing(Service):
            def startService(self):
                super().startService()
                reactor.callLater(0, self.crashed, ValueError("lost the database"))
        tree = MultiService()
        tree.setName("tree")
        tree.setServiceParent(application)
        Quiet().setServiceParent(application)
        crashing = Crashing()
        crashing.setName("db")
        crashing.setServiceParent(tree)
        """
    )
    assert running.wait() == 1
    assert "/tree/db: lost the database" in running.output
    assert "quiet has stopped" in running.output


def test_stopBound(twistd) -> None:  # type: ignore[no-untyped-def]
    """
    A stop that never ends is left behind after the bound, by name.
    """
    running = twistd(
        """
        class Stuck(Service):
            def startService(self):
                reactor.callLater(0, reactor.stop)
            def stopService(self):
                return Deferred()
        tree = MultiService()
        tree.setName("tree")
        tree.setServiceParent(application)
        stuck = Stuck()
        stuck.setName("stuck")
        stuck.setServiceParent(tree)
        from svctree.service import IService
        IService(application).stopTimeout = 0.1
        """
    )
    assert running.wait() == 1
    assert "/tree/stuck: had not stopped after 0.1 s" in running.output


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_uidWithoutPasswdEntry(twistd, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """
    An application becomes a user whom no password database knows, with the group of
    the same number and no others.
    """
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o777)
    running = twistd(
        """
        import os
        class Who(Service):
            def startService(self):
                print("ids", os.getresuid(), os.getresgid(), os.getgroups(), flush=True)
                print("process", IProcess(application).uid, flush=True)
                reactor.callWhenRunning(reactor.stop)
        from svctree.service import IProcess
        application = Application("app", uid=3999999)
        Who().setServiceParent(application)
        """
    )
    assert running.wait() == 0
    ids = "(3999999, 3999999, 3999999)"
    assert f"ids {ids} {ids} [3999999]" in running.output
    assert "process 3999999" in running.output
    assert "Traceback" not in running.output


def test_ticket4406_secondSignal(twistd) -> None:  # type: ignore[no-untyped-def]
    """
    A second signal during the stop says what is waited for, and is no error.
    """
    running = twistd(
        """
        class Slow(Service):
            def startService(self):
                reactor.callWhenRunning(print, "it runs", flush=True)
            def stopService(self):
                print("stopping", flush=True)
                self.stopped = Deferred()
                reactor.callLater(60, self.stopped.callback, None)
                return self.stopped
        slow = Slow()
        slow.setName("slow")
        slow.setServiceParent(application)
        from svctree.service import IService
        IService(application).stopTimeout = 2.0
        """
    )
    running.waitFor("it runs")
    running.signal(signal.SIGTERM)
    running.waitFor("stopping")
    running.signal(signal.SIGTERM)
    running.waitFor("still stopping, for 2.0 s at most: /slow")
    assert running.wait() != 0
    assert "/slow: had not stopped after 2 s" in running.output
    assert "Traceback" not in running.output
    assert "ReactorNotRunning" not in running.output


@pytest.mark.parametrize("seconds", [0.0, 0.5])
def test_ticket2265_twoSignalsAtOnce(twistd, seconds: float) -> None:  # type: ignore[no-untyped-def]
    """
    Another signal right after the first is no error, however long the stop takes.
    """
    running = twistd(
        f"""
        import os, signal
        class Signalled(Service):
            def startService(self):
                reactor.callWhenRunning(self.signal)
            def signal(self):
                os.kill(os.getpid(), signal.SIGTERM)
                os.kill(os.getpid(), signal.SIGINT)
            def stopService(self):
                print("goes down", flush=True)
                return deferLater(reactor, {seconds}, print, "is down", flush=True)
        from twisted.internet.task import deferLater
        Signalled().setServiceParent(application)
        """
    )
    # As the signal would have ended it.
    assert -running.wait() in (signal.SIGTERM, signal.SIGINT)
    assert running.output.count("goes down") == running.output.count("is down") == 1
    assert "Traceback" not in running.output
    assert "ReactorNotRunning" not in running.output


def test_daemonised(twistd, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """
    Without C{-n} a synchronous failure still reaches the shell, and no pidfile stays.
    """
    running = twistd(
        """
        class Now(Service):
            def startService(self):
                raise ForPeople("cannot bind to port 80")
        Now().setServiceParent(application)
        """,
        "--logfile=log",
    )
    assert running.wait() == 1
    assert "cannot bind to port 80" in running.output
    # The shell is told before the daemon clears up.
    pidfile = tmp_path / "twistd.pid"
    waitUntil(lambda: not pidfile.exists(), "the pidfile to go")


class RootTests(TestCase):
    """
    The duties, one by one, on a clock.
    """

    def setUp(self) -> None:
        self.calls: list[str] = []
        self.statuses: list[int] = []
        self.clock = Clock()
        self.clock.running = True
        self.clock.callWhenRunning = lambda call: call()
        self.clock.stop = lambda: self.calls.append("reactor stops")
        self.tree = MultiService()
        self.tree._root = Root(self.tree, self.clock, self.statuses.append, 10.0)

    def test_success(self) -> None:
        """
        A tree that starts and stops has nothing to say.
        """
        slow = Slow(self.calls, "a")
        slow.setServiceParent(self.tree)
        starting = self.tree.startService()
        slow.starting.callback(None)
        self.successResultOf(starting)
        self.successResultOf(self.tree.whenReady())
        stopping = self.tree.stopService()
        slow.stopping.callback(None)
        self.successResultOf(stopping)
        self.assertEqual(self.statuses, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failure(self) -> None:
        """
        A failure stops the reactor once, and sets the status once.
        """
        slow = Slow(self.calls, "a")
        slow.setServiceParent(self.tree)
        Noting(self.calls, "b").setServiceParent(self.tree)
        starting = self.tree.startService()
        slow.starting.errback(ValueError("no"))
        self.successResultOf(starting)
        self.assertEqual(self.statuses, [1])
        self.assertEqual(self.calls, ["start a", "start b", "stop b", "reactor stops"])
        self.tree.onDown(Failure(ValueError("again")))
        self.assertEqual(self.statuses, [1])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_stopBound(self) -> None:
        """
        What does not stop in time is killed where possible, and left behind.
        """
        slow = SlowStop(self.calls, "a")
        slow.killService = lambda: self.calls.append("kill a")
        slow.setServiceParent(self.tree)
        self.tree.startService()
        stopping = self.tree.stopService()
        self.clock.advance(10.0)
        self.successResultOf(stopping)
        self.assertEqual(self.calls, ["start a", "stop a", "kill a"])
        self.assertEqual(self.statuses, [1])
        slow.stopping.callback(None)

    def test_stopBoundOfSupervisors(self) -> None:
        """
        When the time of the whole tree is over, stops are cancelled and a supervisor
        goes on to its next child; each that had not stopped is told of once.
        """
        supervisor = Supervisor(clock=self.clock)
        supervisor.setServiceParent(self.tree)
        slow = {name: SlowStop(self.calls, name) for name in "ab"}
        for service in slow.values():
            supervisor.place(service, stopTimeout=None)
        self.tree.startService()
        overdue: list[str] = []

        def observe(event: TreeEvent) -> None:
            if isinstance(event, StopOverdue):
                overdue.append(event.path)

        self.tree.subscribe(observe)
        stopping = self.tree.stopService()
        self.clock.advance(10.0)
        self.successResultOf(stopping)
        self.assertEqual(overdue, ["/#0/b", "/#0/a"])
        self.assertEqual(self.calls, ["start a", "start b", "stop b", "stop a"])
        for service in slow.values():
            self.assertTrue(service.stopping.called)
        self.assertEqual(unstopped(self.tree), [])

    def test_mute(self) -> None:
        """
        An error that cannot say anything ends the process like others.
        """

        class Mute(Exception):
            def __str__(self) -> str:
                raise RuntimeError("no words")

        slow = Slow(self.calls, "a")
        slow.setServiceParent(self.tree)
        self.tree.startService()
        slow.starting.errback(Mute())
        self.assertEqual(self.statuses, [1])
        self.assertEqual(len(self.flushLoggedErrors(Mute)), 1)

    def test_unstopped(self) -> None:
        """
        What has not stopped is found wherever it is.
        """
        inner, supervisor = MultiService(), Supervisor(clock=self.clock)
        inner.setName("inner")
        inner.setServiceParent(self.tree)
        supervisor.setServiceParent(inner)
        for name, parent in [("a", self.tree), ("b", inner), ("c", supervisor)]:
            SlowStop(self.calls, name).setServiceParent(parent)
        Noting(self.calls, "d").setServiceParent(inner)
        self.tree.startService()
        self.assertEqual(unstopped(self.tree), [])
        self.tree.stopService()
        paths = {stop.service.path for stop in unstopped(self.tree)}
        self.assertEqual(paths, {"/a", "/inner/b", "/inner/#0/c"})

    def test_stopErrors(self) -> None:
        """
        Errors of the stop are logged, and keep nobody from ending.
        """
        slow = SlowStop(self.calls, "a")
        slow.setServiceParent(self.tree)
        self.tree.startService()
        stopping = self.tree.stopService()
        slow.stopping.errback(ValueError("no"))
        self.successResultOf(stopping)
        self.assertEqual(self.statuses, [])

    def test_explain(self) -> None:
        """
        People get the message, and the details below it.
        """
        error = ValueError("bad")
        self.assertEqual(explain(error), "bad")
        error.details = "why\n"  # type: ignore[attr-defined]
        self.assertEqual(explain(error), "bad\nwhy")
        self.assertEqual(explain(ValueError()), "ValueError")


class ReadinessTests(TestCase):
    """
    C{whenReady} of containers.
    """

    def setUp(self) -> None:
        self.calls: list[str] = []
        self.tree = MultiService()

    def test_up(self) -> None:
        """
        Without a probe, up is ready; it can be asked before and after.
        """
        slow = Slow(self.calls, "a")
        slow.setServiceParent(self.tree)
        before = self.tree.whenReady()
        self.tree.startService()
        self.assertNoResult(before)
        slow.starting.callback(None)
        self.successResultOf(before)
        self.successResultOf(self.tree.whenReady())

    def test_probeAndChildren(self) -> None:
        """
        The probe and each child that can tell are waited for.
        """
        probe: Deferred[None] = Deferred()
        child: Deferred[None] = Deferred()

        class Probing(MultiService):
            def probe(self) -> Deferred[None]:
                return probe

        tree = Probing()
        inner = MultiService()
        inner.setServiceParent(tree)
        service = Noting(self.calls, "a")
        service.whenReady = lambda: child
        service.setServiceParent(inner)
        tree.startService()
        ready = tree.whenReady()
        probe.callback(None)
        self.assertNoResult(ready)
        child.callback(None)
        self.successResultOf(ready)

    def test_failure(self) -> None:
        """
        When the start fails, or the container stops first, nobody waits for ever.
        """
        slow = Slow(self.calls, "a")
        slow.setServiceParent(self.tree)
        ready = self.tree.whenReady()
        starting = self.tree.startService()
        slow.starting.errback(ValueError("no"))
        self.failureResultOf(ready, ValueError)
        self.failureResultOf(starting, ValueError)
        ready = self.tree.whenReady()
        starting = self.tree.startService()
        self.tree.stopService()
        self.failureResultOf(ready)
        self.failureResultOf(starting)

    def test_oncePerStart(self) -> None:
        """
        Each start has a readiness of its own.
        """
        self.tree.startService()
        self.successResultOf(self.tree.whenReady())
        self.tree.stopService()
        again = self.tree.whenReady()
        self.assertNoResult(again)
        self.tree.startService()
        self.successResultOf(again)
