"""
L{svctree.control}: the socket, its answers, and the client of the commands.
"""

from __future__ import annotations

import http.client
import os
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest, TestCase

from svctree.control import ControlClient, ControlError, ControlService, NotRunning
from svctree.control.client import _UnixConnection
from svctree.service import MultiService
from tests.support.leaves import FakePool


class Broken(Exception):
    """
    Has what errors for people have.
    """

    details = "Traceback: ..."
    exitStatus = 3


class ControlTests(TestCase):
    """
    A tree with one pool, commanded over its socket.
    """

    def setUp(self) -> Any:
        self.path = Path(tempfile.mkdtemp()) / "app.ctl"
        self.root = MultiService()
        self.pool = FakePool()
        self.pool.setServiceParent(self.root)
        self.control = ControlService(f"unix:{self.path}(600)")
        self.control.setServiceParent(self.root)
        self.root.privilegedStartService()
        self.root.startService()
        self.addCleanup(self.root.stopService)
        self.client = ControlClient(str(self.path), timeout=10)

    def test_onlyTheOwner(self) -> None:
        """
        The socket is 0600 while it serves, and gone afterwards.
        """
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    @inlineCallbacks
    def test_commands(self):  # type: ignore[no-untyped-def]
        """
        Every command of the client has its result.
        """
        ask = deferToThread
        status = yield ask(self.client.status)
        self.assertEqual(status["pid"], os.getpid())
        self.assertEqual(status["pools"], ["web"])
        self.assertEqual(status["services"]["web"]["size"], 2)
        tree = yield ask(self.client.tree)
        names = [child["name"] for child in tree["services"]]
        self.assertEqual(names, ["web", "control"])
        self.assertEqual((yield ask(self.client.reload)), ["web"])
        self.assertEqual((yield ask(self.client.scale, 4)), {"web": 4})
        self.assertEqual((yield ask(self.client.scale, change=-1)), {"web": 3})
        self.assertEqual((yield ask(self.client.logrotate)), "")
        self.assertEqual((yield ask(self.client.ask, "drain")), ["web"])
        self.assertEqual(
            self.pool.calls,
            ["reload", ("scale", 4), ("scale", 3), ("log", 2), "drain"],
        )

    @inlineCallbacks
    def test_answersWhileReloading(self):  # type: ignore[no-untyped-def]
        """
        The answer to a reload waits for its end; others are answered meanwhile.
        """
        self.pool.slow = Deferred()
        reloading = deferToThread(self.client.reload)
        while not self.pool.calls:
            yield deferToThread(self.client.status)
        self.assertFalse(reloading.called)
        yield deferToThread(ControlClient(str(self.path)).status)
        self.pool.slow.callback(None)
        self.assertEqual((yield reloading), ["web"])

    @inlineCallbacks
    def test_failure(self):  # type: ignore[no-untyped-def]
        """
        A failure comes back with its message, its traceback and its exit status.
        """
        self.pool.broken = Broken("boot failed")
        error = yield self.assertFailure(
            deferToThread(self.client.reload), ControlError
        )
        self.assertEqual(str(error), "web: boot failed")
        self.assertEqual((error.details, error.exitStatus), ("Traceback: ...", 3))

    @inlineCallbacks
    def test_unexpectedFailure(self):  # type: ignore[no-untyped-def]
        """
        What nobody expected is answered too, and logged.
        """
        self.control.commands.table["bad"] = lambda arguments: {}["missing"]
        self.control.commands.table["odd"] = lambda arguments: object()
        for name in ("bad", "odd"):
            yield self.assertFailure(deferToThread(self.client.ask, name), ControlError)
        self.assertEqual(len(self.flushLoggedErrors(KeyError, TypeError)), 2)

    @inlineCallbacks
    def test_refusals(self):  # type: ignore[no-untyped-def]
        """
        Unknown commands and bad arguments are refused with what was expected.
        """
        for command, arguments, words in (
            ("relaod", {}, "unknown command 'relaod'; there are drain, logrotate"),
            ("reload", {"pol": "x"}, "unknown argument 'pol', expected pool"),
            ("scale", {}, "scale needs workers or change"),
            ("scale", {"workers": "3"}, "workers: got '3', expected a number"),
            ("scale", {"workers": 0}, "got 0 workers, expected at least 1"),
            ("reload", {"pool": 3}, "pool: got 3, expected a name"),
        ):
            error = yield self.assertFailure(
                deferToThread(self.client.ask, command, **arguments), ControlError
            )
            self.assertIn(words, str(error))
            self.assertEqual(error.exitStatus, 2)
        self.assertEqual(self.pool.calls, [])

    def raw(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        connection = _UnixConnection(str(self.path), 10)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (http.client.HTTPException, OSError) as error:
            return 0, str(error).encode()
        finally:
            connection.close()

    @inlineCallbacks
    def test_curl(self):  # type: ignore[no-untyped-def]
        """
        GET is enough to look, and never changes anything; bad bodies are refused.
        """
        status, data = yield deferToThread(self.raw, "GET", "/status")
        self.assertEqual(status, 200)
        self.assertIn(b'"ok": true', data)
        for method, path, body, expected in (
            ("GET", "/reload", b"", 405),
            ("POST", "/reload", b"[1]", 400),
            ("POST", "/reload", b"{", 400),
            ("POST", "/reload", b"x" * 70000, 400),
        ):
            status, data = yield deferToThread(self.raw, method, path, body)
            self.assertEqual(status, expected, data)
            self.assertIn(b'"ok": false', data)
        self.assertEqual(self.pool.calls, [])

    @inlineCallbacks
    def test_goneBeforeTheAnswer(self):  # type: ignore[no-untyped-def]
        """
        A client that does not wait for its answer disturbs nobody.
        """
        self.pool.slow = Deferred()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.path))
            sock.sendall(b"POST /reload HTTP/1.1\r\nHost: x\r\n\r\n")
            while not self.pool.calls:
                yield deferToThread(self.client.status)
        yield deferToThread(self.client.status)
        self.pool.slow.callback(None)
        yield deferToThread(self.client.status)

    @inlineCallbacks
    def test_stranger(self):  # type: ignore[no-untyped-def]
        """
        Another user is refused even if the socket's mode lets it in.
        """
        if os.geteuid() != 0:
            raise SkipTest("needs root")
        self.path.chmod(0o666)
        self.path.parent.chmod(0o755)
        script = (
            "import os, socket, sys\n"
            "os.setgroups([]); os.setresgid(65534, 65534, 65534)\n"
            "os.setresuid(65534, 65534, 65534)\n"
            "sock = socket.socket(socket.AF_UNIX); sock.connect(sys.argv[1])\n"
            "sock.sendall(b'GET /status HTTP/1.0\\r\\n\\r\\n')\n"
            "print(sock.makefile().read())\n"
        )
        done = yield deferToThread(
            subprocess.run,
            [sys.executable, "-c", script, self.path],
            capture_output=True,
            text=True,
            timeout=20,
        )
        self.assertIn("403", done.stdout, done.stderr)
        self.assertIn("user 65534 may not give commands here", done.stdout)

    @inlineCallbacks
    def test_stop(self):  # type: ignore[no-untyped-def]
        """
        Stop is answered first, then done.
        """
        stopped: Deferred[None] = Deferred()
        commands = self.control.commands
        commands._stopper._stop = lambda: stopped.callback(None)
        self.assertEqual((yield deferToThread(self.client.stop)), os.getpid())
        yield stopped
        self.assertEqual(self.pool.calls, [])
        yield deferToThread(self.client.stop, fast=True)
        while self.pool.calls != ["hurry"]:
            yield deferToThread(self.client.status)


class ClientTests(TestCase):
    """
    L{ControlClient} without a daemon.
    """

    def test_notRunning(self) -> None:
        """
        Nobody there is its own error, with the status of "not running".
        """
        folder = Path(tempfile.mkdtemp())
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(str(folder / "dead"))
        dead.close()
        for name in ("none", "dead", "no/folder"):
            error = self.assertRaises(
                NotRunning, ControlClient(str(folder / name)).status
            )
            self.assertEqual(error.exitStatus, 7)
            self.assertIn(str(folder / name), str(error))

    def test_addresses(self) -> None:
        """
        Every form of a unix socket is understood, others are refused.
        """
        self.assertEqual(ControlClient("unix:/run/x.ctl(600)").address, "/run/x.ctl")
        self.assertEqual(ControlClient("unix:@name").address, "@name")
        self.assertRaises(ValueError, ControlClient, "tcp:80")

    def test_longPath(self) -> None:
        """
        Paths longer than a socket address are no obstacle.
        """
        folder = Path(tempfile.mkdtemp()) / ("x" * 100)
        folder.mkdir()
        error = self.assertRaises(NotRunning, ControlClient(f"{folder}/a.ctl").status)
        self.assertIn("a.ctl", str(error))

    def serveOnce(self, answer: bytes) -> ControlClient:
        path = Path(tempfile.mkdtemp()) / "s"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            peer, _ = listener.accept()
            request = b""
            while not request.endswith(b"{}"):
                request += peer.recv(65536)
            peer.sendall(answer)
            peer.close()
            listener.close()

        reactor.callInThread(serve)  # type: ignore[attr-defined]
        return ControlClient(str(path), timeout=5)

    @inlineCallbacks
    def test_strangeServer(self):  # type: ignore[no-untyped-def]
        """
        Something else that listens there, or hangs up, is named as such.
        """
        for answer, words in (
            (b"HTTP/1.0 200 OK\r\n\r\nhello", "not svctree's control socket"),
            (b"", "went away"),
        ):
            error = yield self.assertFailure(
                deferToThread(self.serveOnce(answer).status), ControlError
            )
            self.assertIn(words, str(error))

    def test_withoutTwisted(self) -> None:
        """
        The client loads no Twisted.
        """
        script = (
            "import sys; from svctree.control import ControlClient\n"
            "from svctree.process import PidFile\n"
            "ControlClient('/x')\n"
            "print('twisted.internet' in sys.modules)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        self.assertEqual(done.stdout, "False\n")
