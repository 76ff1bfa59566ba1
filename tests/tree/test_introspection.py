"""
Looking at trees: paths, numbers, plain data, events.
"""

from __future__ import annotations

import json

from twisted.application import service as twistedService
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase

from svctree.interfaces import IServiceState
from svctree.service import Application, IService, MultiService, Service
from svctree.tree import Supervisor, events
from svctree.tree.errors import NoSuchService
from svctree.tree.states import State
from tests.tree.services import Bare, Failing, Noting, Slow


class LookupTests(TestCase):
    def setUp(self) -> None:
        self.calls: list[str] = []
        self.top = MultiService()
        self.web = MultiService()
        self.web.setName("web")
        self.web.setServiceParent(self.top)
        self.pool = Noting(self.calls, "pool")
        self.pool.setServiceParent(self.web)
        self.nameless = Service()
        self.nameless.setServiceParent(self.web)

    def test_path(self) -> None:
        """
        Every service has a path; the ones without a name a serial number.
        """
        self.assertEqual(self.top.path, "/")
        self.assertEqual(self.pool.path, "/web/pool")
        self.assertEqual(self.nameless.path, "/web/#1")
        self.pool.disownServiceParent()
        self.assertEqual(self.nameless.path, "/web/#1")
        self.assertTrue(IServiceState.providedBy(self.pool))

    def test_pathUnderTwisted(self) -> None:
        """
        The topmost container of ours is the root, whatever stands above it.
        """
        application = twistedService.Application("app")
        self.top.setServiceParent(application)
        self.assertEqual(self.pool.path, "/web/pool")
        self.assertEqual(IService(Application("app")).path, "/")

    def test_pathAfterMoves(self) -> None:
        """
        Paths follow containers that move, of ours and of Twisted's.
        """
        self.assertEqual(self.pool.path, "/web/pool")
        outer = MultiService()
        outer.setName("outer")
        self.web.setServiceParent(outer)
        self.assertEqual(self.pool.path, "/web/pool")
        outer.setServiceParent(self.top)
        self.assertEqual(self.pool.path, "/outer/web/pool")
        foreign = twistedService.MultiService()
        foreign.setName("foreign")
        outer.setServiceParent(foreign)
        self.assertEqual(self.pool.path, "/web/pool")
        foreign.setServiceParent(self.top)
        self.assertEqual(self.pool.path, "/foreign/outer/web/pool")
        foreign.disownServiceParent()
        self.web.disownServiceParent()
        self.assertEqual(self.pool.path, "/pool")

    def test_lookup(self) -> None:
        """
        Paths are looked up from any container; with a slash in front from the top.
        """
        self.assertIs(self.top.lookup("web/pool"), self.pool)
        self.assertIs(self.web.lookup("pool"), self.pool)
        self.assertIs(self.web.lookup("/web/pool"), self.pool)
        self.assertIs(self.web.lookup("#1"), self.nameless)
        self.assertIs(self.web.lookup(""), self.web)
        self.assertIs(self.web.lookup("/"), self.top)

    def test_missing(self) -> None:
        """
        A missing part is named, with its siblings.
        """
        error = self.assertRaises(NoSuchService, self.top.lookup, "web/poool")
        self.assertIsInstance(error, KeyError)
        self.assertEqual(
            (error.path, error.name, error.siblings), ("/web", "poool", ("pool",))
        )
        self.assertEqual(str(error), "/web: has no child 'poool'; there is 'pool'")
        self.assertRaises(NoSuchService, self.top.lookup, "web/pool/more")
        self.assertRaises(KeyError, self.top.getServiceNamed, "nobody")

    def test_foreignContainer(self) -> None:
        """
        The way may lead through a container of Twisted's.
        """
        foreign = twistedService.MultiService()
        foreign.setName("foreign")
        foreign.setServiceParent(self.top)
        leaf = Service()
        leaf.setName("leaf")
        leaf.setServiceParent(foreign)
        self.assertIs(self.top.lookup("foreign/leaf"), leaf)
        self.assertEqual(leaf.path, "/foreign/leaf")
        self.assertRaises(NoSuchService, self.top.lookup, "foreign/other")

    def test_children(self) -> None:
        """
        C{whichChildren} and C{countChildren}, as in OTP.
        """
        self.top.startService()
        Supervisor().setServiceParent(self.web)
        [pool, nameless, supervisor] = self.web.whichChildren()
        self.assertEqual(
            (pool.key, pool.state, pool.kind), ("pool", State.RUNNING, "worker")
        )
        self.assertIs(pool.service, self.pool)
        self.assertEqual(nameless.key, "#1")
        self.assertEqual(supervisor.kind, "supervisor")
        self.assertEqual(
            self.web.countChildren(),
            {"specs": 3, "active": 3, "supervisors": 1, "workers": 2},
        )

    def test_describe(self) -> None:
        """
        The whole tree, as plain data, with what leaves have to add.
        """
        self.pool.describe = lambda: {"workers": 4}
        Bare(self.calls, "bare").setServiceParent(self.web)
        self.top.startService()
        described = self.top.describe()
        json.dumps(described)
        [web] = described["children"]
        self.assertEqual(web["path"], "/web")
        self.assertEqual(web["state"], "running")
        pool = web["children"][0]
        self.assertEqual(pool["path"], "/web/pool")
        self.assertEqual(pool["workers"], 4)
        self.assertEqual(pool["type"], "tests.tree.services.Noting")
        self.assertEqual(
            [each["name"] for each in web["children"]], ["pool", None, "bare"]
        )

    def test_describeFailed(self) -> None:
        """
        A service that cannot describe itself does not hide the others.
        """
        self.pool.describe = lambda: {}["nothing"]
        self.nameless.describe = lambda: 7
        top = self.top.describe()
        (web,) = top["children"]
        pool, strange = web["children"]
        self.assertEqual(pool["path"], "/web/pool")
        self.assertEqual(pool["describeFailed"], "KeyError: 'nothing'")
        self.assertIn("TypeError", strange["describeFailed"])
        json.dumps(top)


class EventTests(TestCase):
    def setUp(self) -> None:
        self.calls: list[str] = []
        self.top = MultiService()
        self.inner = MultiService()
        self.inner.setName("inner")
        self.inner.setServiceParent(self.top)
        self.seen: list[events.TreeEvent] = []

    def lines(self) -> list[str]:
        return [event.line() for event in self.seen]

    def test_transitions(self) -> None:
        """
        One typed event for each transition, also to those who observe from above.
        """
        self.top.subscribe(self.seen.append)
        slow = Slow(self.calls, "slow")
        slow.setServiceParent(self.inner)
        Noting(self.calls, "quick").setServiceParent(self.inner)
        self.top.startService()
        slow.starting.callback(None)
        self.assertEqual(
            self.lines(),
            [
                "/: new -> starting",
                "/inner: new -> starting",
                "/inner/slow: new -> starting",
                "/inner/quick: new -> running",
                "/inner/slow: starting -> running",
                "/inner: starting -> running",
                "/: starting -> running",
            ],
        )
        self.assertIsInstance(self.seen[-1], events.ServiceRunning)
        del self.seen[:]
        self.top.stopService()
        slow.stopping.callback(None)
        self.assertEqual(
            self.lines(),
            [
                "/: running -> stopping",
                "/inner: running -> stopping",
                "/inner/quick: running -> stopped",
                "/inner/slow: running -> stopping",
                "/inner/slow: stopping -> stopped",
                "/inner: stopping -> stopped",
                "/: stopping -> stopped",
            ],
        )

    def test_failure(self) -> None:
        """
        A failure carries its reason.
        """
        self.top.subscribe(self.seen.append)
        Failing(self.calls, "bad").setServiceParent(self.inner)
        self.assertRaises(RuntimeError, self.top.startService)
        failed = [e for e in self.seen if isinstance(e, events.ServiceFailed)]
        self.assertEqual(
            [event.path for event in failed], ["/inner/bad", "/inner", "/"]
        )
        self.assertEqual(
            failed[0].line(), "/inner/bad: new -> failed: bad cannot start"
        )
        self.assertIs(failed[0].reason.type, RuntimeError)

    def test_unsubscribe(self) -> None:
        """
        A subscription ends; an observer that raises disturbs nobody.
        """

        def broken(event: events.TreeEvent) -> None:
            raise ValueError("observer")

        self.top.subscribe(broken)
        end = self.inner.subscribe(self.seen.append)
        self.inner.startService()
        self.assertEqual(len(self.seen), 2)
        end()
        self.inner.stopService()
        self.assertEqual(len(self.seen), 2)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 4)

    def test_log(self) -> None:
        """
        Each event is one line in the log, with its facts as fields.
        """
        logged: list[dict[str, object]] = []
        globalLogPublisher.addObserver(logged.append)
        self.addCleanup(globalLogPublisher.removeObserver, logged.append)
        Noting(self.calls, "a").setServiceParent(self.top)
        self.top.startService()
        mine = [entry for entry in logged if entry.get("path") == "/a"]
        self.assertEqual(len(mine), 1)
        self.assertEqual(
            (mine[0]["old"], mine[0]["new"], formatEvent(mine[0])),
            ("new", "running", "/a: new -> running"),
        )

    def test_crowd(self) -> None:
        """
        Those who observe a crowd hear of each of its children.
        """
        for _ in range(1001):
            Service().setServiceParent(self.inner)
        self.top.subscribe(self.seen.append)
        self.inner.startService()
        self.assertEqual(len(self.seen), 1003)
