"""
L{svctree.process.signals}, in this process and under stock C{twistd}.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from twisted.internet.defer import Deferred, fail, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from svctree.interfaces import IHurried
from svctree.process import SignalService, Stopper, hurryTree
from svctree.service import MultiService, Service
from tests.support.processes import BIN, Processes

TAC = """
from svctree.process import SignalService, Stopper
from svctree.service import Application, Service
from twisted.internet import defer, reactor
import signal

ended = defer.Deferred()

class Slow(Service):
    def startService(self):
        super().startService()
        reactor.callWhenRunning(lambda: print("READY", flush=True))

    def stopService(self):
        super().stopService()
        print("STOPPING", flush=True)
        return ended

    def hurry(self):
        print("HURRY", flush=True)
        ended.callback(None)

application = Application("signals")
slow = Slow()
slow.setServiceParent(application)
stopper = Stopper(slow.hurry)
SignalService(
    {
        signal.SIGTERM: stopper.graceful,
        signal.SIGINT: stopper.fast,
        signal.SIGUSR1: lambda: print("USR1", flush=True),
    }
).setServiceParent(application)
"""


class SignalServiceTests(TestCase):
    """
    In the test's own process.
    """

    @inlineCallbacks
    def test_inTheReactor(self):  # type: ignore[no-untyped-def]
        """
        The action runs in a later turn of the reactor, not in the handler.
        """
        from twisted.internet import reactor

        called: list[str] = []
        service = SignalService({signal.SIGUSR2: lambda: called.append("now")})
        before = signal.getsignal(signal.SIGUSR2)
        service.startService()
        os.kill(os.getpid(), signal.SIGUSR2)
        self.assertEqual(called, [])
        while not called:
            yield deferLater(reactor, 0.001)
        service.stopService()
        self.assertEqual(called, ["now"])
        self.assertEqual(signal.getsignal(signal.SIGUSR2), before)

    def test_failureIsLogged(self) -> None:
        """
        An action whose Deferred fails leaves a line in the log, nothing else.
        """
        service = SignalService({signal.SIGUSR2: lambda: fail(ValueError("no"))})
        service._act(signal.SIGUSR2)
        self.assertEqual(self.flushLoggedErrors(), [])


class StopperTests(SynchronousTestCase):
    """
    L{Stopper} and L{hurryTree}.
    """

    def test_secondTimeHurries(self) -> None:
        """
        Asked once it stops, asked again it hurries, and never stops twice.
        """
        calls: list[str] = []
        stopper = Stopper(lambda: calls.append("hurry"), stop=lambda: calls.append("s"))
        stopper.graceful()
        stopper.graceful()
        self.assertEqual(calls, ["s", "hurry"])

    def test_fast(self) -> None:
        """
        A fast stop is a stop and a hurry.
        """
        calls: list[str] = []
        stopper = Stopper(lambda: calls.append("hurry"), stop=lambda: calls.append("s"))
        stopper.fast()
        self.assertEqual(calls, ["s", "hurry"])

    def test_wholeTree(self) -> None:
        """
        Every service that can be hurried is, however deep.
        """
        calls: list[str] = []

        @implementer(IHurried)
        class Slow(Service):
            def hurry(self) -> None:
                calls.append(str(self.name))

        root, inner = MultiService(), MultiService()
        inner.setServiceParent(root)
        for parent, name in ((root, "a"), (inner, "b")):
            slow = Slow()
            slow.setName(name)
            slow.setServiceParent(parent)
        hurryTree(root)
        self.assertEqual(sorted(calls), ["a", "b"])


def start(processes: Processes, folder: Path):  # type: ignore[no-untyped-def]
    (folder / "app.tac").write_text(TAC)
    master = processes.start(
        [BIN / "twistd", "-ny", "app.tac", "--pidfile="], cwd=folder
    )
    master.waitFor("READY")
    return master


def test_twistdEndsWithZero(processes: Processes, tmp_path: Path) -> None:
    """
    Under stock twistd a stop by signal ends with status 0, after the whole tree
    stopped; the second TERM hurries.
    """
    master = start(processes, tmp_path)
    master.signal(signal.SIGUSR1)
    master.waitFor("USR1")
    master.signal(signal.SIGTERM)
    master.waitFor("STOPPING")
    master.signal(signal.SIGTERM)
    master.waitFor("HURRY")
    assert master.wait() == 0


def test_interruptIsFast(processes: Processes, tmp_path: Path) -> None:
    """
    INT stops and hurries at once, with status 0.
    """
    master = start(processes, tmp_path)
    master.signal(signal.SIGINT)
    assert master.wait() == 0
    assert "HURRY" in master.output


def test_deferredIsKept() -> None:
    """
    A Deferred that an action returns is only watched, its value is ignored.
    """
    done: Deferred[int] = Deferred()
    SignalService({signal.SIGUSR2: lambda: done})._act(signal.SIGUSR2)
    done.callback(1)
