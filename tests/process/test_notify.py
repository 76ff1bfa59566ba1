"""
L{svctree.process.notify}, heard by a fake systemd.
"""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from svctree.interfaces import IPinged
from svctree.process import NoNotify, WatchdogService, notifier, watchdogInterval
from svctree.service import MultiService, Service
from tests.support.systemd import FakeSystemd


@implementer(IPinged)
class Pinged(Service):
    """
    Answers what it is told to.
    """

    def __init__(self, answer: Callable[[], object]) -> None:
        self.ping = answer  # type: ignore[method-assign]

    def ping(self) -> object:
        raise NotImplementedError


class NotifyTests(SynchronousTestCase):
    """
    The datagrams.
    """

    def setUp(self) -> None:
        self.systemd = FakeSystemd(Path(tempfile.mkdtemp()) / "notify")
        self.addCleanup(self.systemd.close)

    def test_messages(self) -> None:
        """
        Each report is one datagram in systemd's words.
        """
        environ = {"NOTIFY_SOCKET": self.systemd.address}
        notify = notifier(environ)
        self.assertEqual(environ, {}, "children must not report in our name")
        notify.ready("serving")
        notify.stopping()
        notify.watchdog()
        notify.status("two\nlines")
        notify.extend(2.5)
        self.assertEqual(
            self.systemd.heard(),
            [
                {"READY": "1", "MAINPID": str(os.getpid()), "STATUS": "serving"},
                {"STOPPING": "1"},
                {"WATCHDOG": "1"},
                {"STATUS": "two"},
                {"EXTEND_TIMEOUT_USEC": "2500000"},
            ],
        )
        notify.close()

    def test_reloading(self) -> None:
        """
        RELOADING comes with the monotonic time in microseconds.
        """
        notify = notifier({"NOTIFY_SOCKET": self.systemd.address})
        before = time.monotonic_ns() // 1000
        notify.reloading()
        (message,) = self.systemd.heard()
        self.assertEqual(message["RELOADING"], "1")
        self.assertTrue(
            before <= int(message["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
        )
        notify.close()

    def test_abstract(self) -> None:
        """
        Abstract sockets are reached too.
        """
        with FakeSystemd("@svctree-test-" + os.urandom(8).hex()) as systemd:
            notify = notifier({"NOTIFY_SOCKET": systemd.address})
            notify.stopping()
            self.assertEqual(systemd.heard(), [{"STOPPING": "1"}])
            notify.close()

    def test_unreachable(self) -> None:
        """
        A socket that is not there, or goes away, is no failure.
        """
        self.assertIsInstance(notifier({"NOTIFY_SOCKET": "/no/such"}), NoNotify)
        notify = notifier({"NOTIFY_SOCKET": self.systemd.address})
        self.systemd.close()
        notify.stopping()
        notify.close()

    def test_nobodyAsks(self) -> None:
        """
        Without systemd there is a null object with the same methods.
        """
        none = notifier({})
        self.assertIsInstance(none, NoNotify)
        none.ready()
        none.reloading()
        none.stopping()
        none.status("x")
        none.watchdog()
        none.extend(1)
        none.close()

    def test_interval(self) -> None:
        """
        The watchdog's period counts only for the process it is meant for.
        """
        environ = {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}
        self.assertEqual(watchdogInterval(environ), 3.0)
        self.assertEqual(environ, {})
        self.assertEqual(
            watchdogInterval({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}), 0.0
        )
        self.assertEqual(watchdogInterval({"WATCHDOG_USEC": "500000"}), 0.5)
        self.assertEqual(watchdogInterval({"WATCHDOG_USEC": "x"}), 0.0)
        self.assertEqual(watchdogInterval({}), 0.0)


class WatchdogTests(SynchronousTestCase):
    """
    L{WatchdogService}.
    """

    def setUp(self) -> None:
        self.systemd = FakeSystemd(Path(tempfile.mkdtemp()) / "notify")
        self.addCleanup(self.systemd.close)
        self.clock = Clock()
        self.root = MultiService()

    def watch(self, *answers: Callable[[], object]) -> WatchdogService:
        for answer in answers:
            Pinged(answer).setServiceParent(self.root)
        notify = notifier({"NOTIFY_SOCKET": self.systemd.address})
        self.addCleanup(notify.close)
        service = WatchdogService(notify, 10.0, self.root, self.clock)
        service.startService()
        self.addCleanup(service.stopService)
        return service

    def test_twiceInAPeriod(self) -> None:
        """
        While everybody answers it reports twice in each period.
        """
        self.watch(lambda: None, lambda: succeed(None))
        self.clock.pump([5.0, 5.0])
        self.assertEqual(self.systemd.heard(), [{"WATCHDOG": "1"}] * 3)

    def test_silence(self) -> None:
        """
        One that does not answer, or fails, ends the reports; they begin again with
        its answers.
        """
        answers: list[Callable[[], object]] = [lambda: Deferred()]
        service = self.watch(lambda: answers[0]())
        self.clock.advance(5.0)
        answers[0] = lambda: fail(ValueError("zygote is stuck"))
        self.clock.advance(5.0)
        self.assertEqual(self.systemd.heard(), [])
        self.assertEqual(service.describe()["silent"], "zygote is stuck")
        answers[0] = lambda: None
        self.clock.advance(5.0)
        self.assertEqual(self.systemd.heard(), [{"WATCHDOG": "1"}])

    def test_stopped(self) -> None:
        """
        An answer after the stop reports nothing.
        """
        late: Deferred[None] = Deferred()
        self.watch(lambda: late).stopService()
        late.callback(None)
        self.assertEqual(self.systemd.heard(), [])

    def test_noPeriod(self) -> None:
        """
        Without a period there is nothing to do.
        """
        service = WatchdogService(NoNotify(), 0.0, self.root, self.clock)
        service.startService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        service.stopService()


def test_fakeNeedsAPath() -> None:
    """
    The fake listens where a datagram socket can.
    """
    with FakeSystemd("@svctree-test-" + os.urandom(8).hex()) as systemd:
        assert systemd.socket.family == socket.AF_UNIX
