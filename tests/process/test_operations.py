"""
L{svctree.process.operations}: what signals and commands have in common.
"""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from svctree.interfaces import IListener, IReloadable
from svctree.process import (
    ErrorLog,
    ErrorLogError,
    OperationError,
    Operations,
    notifier,
)
from svctree.service import MultiService, Service
from tests.support.leaves import FakePool
from tests.support.systemd import FakeSystemd


class Broken(Exception):
    """
    Has what errors for people have.
    """

    details = "Traceback: ..."
    exitStatus = 3


@implementer(IListener, IReloadable)
class FakeListener(Service):
    """
    A listener whose sockets change when it is reloaded.
    """

    def __init__(self, name: str, pool: FakePool | None) -> None:
        self.setName(name)
        self.calls: list[str] = []
        self.slow: Deferred[None] = Deferred()
        self._pool = pool

    def reload(self) -> Deferred[None]:
        self.calls.append("reload")
        if self._pool is not None:
            self._pool.reloads += 1
        return self.slow

    def sockets(self) -> list[socket.socket]:
        return []

    def urls(self) -> list[str]:
        return []

    def watch(self, observer: object) -> None:
        raise NotImplementedError

    unwatch = watch


class OperationsTests(SynchronousTestCase):
    """
    On a tree with two pools.
    """

    def setUp(self) -> None:
        self.root = MultiService()
        self.web, self.api = FakePool("web"), FakePool("api")
        self.web.setServiceParent(self.root)
        inner = MultiService()
        inner.setServiceParent(self.root)
        self.api.setServiceParent(inner)
        self.operations = Operations(self.root)

    def test_reloadAll(self) -> None:
        """
        Everything that can be reloaded is, one after the other.
        """
        self.web.slow = Deferred()
        done = self.operations.reload()
        self.assertNoResult(done)
        self.assertEqual(self.api.calls, [])
        self.web.slow.callback(None)
        self.assertEqual(self.successResultOf(done), ["web", "api"])
        self.assertEqual(self.operations.lastReload, "done")

    def test_reloadOnce(self) -> None:
        """
        Listeners are reloaded first and all at once; a pool that took new code when
        they changed does not take it again.
        """
        listeners = [FakeListener("one", self.api), FakeListener("two", None)]
        for listener in listeners:
            listener.setServiceParent(self.root)
        done = self.operations.reload()
        self.assertNoResult(done)
        self.assertEqual([one.calls for one in listeners], [["reload"]] * 2)
        self.assertEqual(self.web.calls, [])
        for listener in listeners:
            listener.slow.callback(None)
        self.assertEqual(self.successResultOf(done), ["web", "api", "one", "two"])
        self.assertEqual(self.web.calls, ["reload"])
        self.assertEqual(self.api.calls, [])

    def test_reloadOne(self) -> None:
        """
        One by its name; an unknown name is answered with the known ones.
        """
        self.assertEqual(self.successResultOf(self.operations.reload("api")), ["api"])
        self.assertEqual(self.web.calls, [])
        error = self.failureResultOf(self.operations.reload("wbe"), OperationError)
        self.assertEqual(
            str(error.value),
            "no 'wbe' that can be reloaded; there is web, api",
        )
        self.assertEqual(error.value.exitStatus, 2)

    def test_failedReload(self) -> None:
        """
        One that fails keeps nobody else from reloading; its error comes back with
        the traceback.
        """
        self.web.broken = Broken("boot failed")
        error = self.failureResultOf(self.operations.reload(), OperationError).value
        self.assertEqual(str(error), "web: boot failed")
        self.assertEqual((error.details, error.exitStatus), ("Traceback: ...", 3))
        self.assertEqual(self.api.calls, ["reload"])
        self.assertEqual(self.operations.lastReload, "web: boot failed")

    def test_systemdHears(self) -> None:
        """
        RELOADING, then READY, with the reason in the status when it failed.
        """
        with FakeSystemd(Path(tempfile.mkdtemp()) / "notify") as systemd:
            notify = notifier({"NOTIFY_SOCKET": systemd.address})
            operations = Operations(self.root, notify=notify, summary=lambda: "fine")
            self.successResultOf(operations.reload())
            self.web.broken = Broken("boot failed")
            self.failureResultOf(operations.reload(), OperationError)
            first, second, third, fourth = systemd.heard()
            self.assertEqual(first["RELOADING"], "1")
            self.assertEqual(second["STATUS"], "fine")
            self.assertEqual(third["RELOADING"], "1")
            self.assertEqual(fourth["READY"], "1")
            self.assertIn("reload failed: web: boot failed", fourth["STATUS"])
            notify.close()

    def test_scale(self) -> None:
        """
        By a change all, but never below one; to a number only one that is named.
        """
        self.assertEqual(
            self.successResultOf(self.operations.scale(change=-5)),
            {"web": 1, "api": 1},
        )
        self.assertEqual(
            self.successResultOf(self.operations.scale(4, name="api")), {"api": 4}
        )
        error = self.failureResultOf(self.operations.scale(4), OperationError)
        self.assertIn("several to scale: web, api", str(error.value))
        self.web.broken = Broken("no room")
        error = self.failureResultOf(self.operations.scale(3, name="web"))
        self.assertEqual(str(error.value), "web: no room")

    def test_drainAndHurry(self) -> None:
        """
        Both reach every pool.
        """
        self.assertEqual(self.operations.drain(), ["web", "api"])
        self.operations.hurry()
        for pool in (self.web, self.api):
            self.assertEqual(pool.calls, ["drain", "hurry"])

    def test_nobody(self) -> None:
        """
        A tree without pools says so.
        """
        nothing = Operations(MultiService())
        error = self.failureResultOf(nothing.reload(), OperationError)
        self.assertEqual(str(error.value), "nothing in this tree can be reloaded")

    def test_logs(self) -> None:
        """
        Every holder gets the new descriptor; also when the old file had to be kept,
        for it may have logs of its own.
        """
        folder = Path(tempfile.mkdtemp())
        fd = os.open(os.devnull, os.O_WRONLY)
        self.addCleanup(os.close, fd)
        log = ErrorLog(str(folder / "e.log"), fd)
        log.open()
        self.addCleanup(log.close)
        heard: list[int] = []
        log.observers.append(heard.append)
        operations = Operations(self.root, log)
        self.assertEqual(self.successResultOf(operations.reopenLogs()), log.path)
        self.assertEqual((heard, self.web.calls), ([fd], [("log", fd)]))
        (folder / "e.log").unlink()
        (folder / "e.log").mkdir()
        self.failureResultOf(operations.reopenLogs(), ErrorLogError)
        self.assertEqual(self.web.calls, [("log", fd)] * 2)
