"""
Listeners of one tree whose addresses meet.
"""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.protocol import Factory
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import TestCase

from svctree.listen import AddressConflict, ListenerService, NeedsRestart
from svctree.pool import PoolService
from svctree.service import MultiService


def connect(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()


class Sharing(TestCase):
    """
    Listeners of one tree whose addresses meet.
    """

    def setUp(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.tree = MultiService()

    def listener(self, address: str, name: str, **keywords: Any) -> ListenerService:
        made = ListenerService(address, name=name, **keywords)
        made.setServiceParent(self.tree)
        return made

    def pool(self, name: str, *listeners: str | ListenerService) -> None:
        PoolService(name=name, listeners=listeners).setServiceParent(self.tree)

    def bind(self, *listeners: ListenerService) -> list[int]:
        """
        @return: how many sockets each has.
        """
        for listener in listeners:
            listener.privilegedStartService()
            self.addCleanup(listener.stopService)
        return [len(listener.sockets()) for listener in listeners]

    def test_samePool(self) -> None:
        """
        Where the same pools use both, the wider address, or the first of two equal
        ones, is the one socket for both; a notice says so.
        """
        for addresses, sockets in [
            (("127.0.0.1", "0.0.0.0"), [0, 1]),
            (("0.0.0.0", "127.0.0.1"), [1, 0]),
            (("127.0.0.1", "127.0.0.1"), [1, 0]),
        ]:
            self.setUp()
            one, other = (
                self.listener(f"{host}:{self.port}", name)
                for name, host in zip("ab", addresses, strict=True)
            )
            self.pool("web", "a", other)
            with capturedLogs() as logs:
                self.assertEqual(self.bind(one, other), sockets)
            connect(self.port)
            told = "\n".join(map(formatEvent, logs))  # type: ignore[arg-type]
            self.assertIn("which the same pools use: one socket", told)
            self.successResultOf(one.stopService())
            self.successResultOf(other.stopService())

    def test_heir(self) -> None:
        """
        When the listener that has the socket stops, or goes elsewhere, the other one
        that wants it has it.
        """
        one, other = (self.listener(f"127.0.0.1:{self.port}", name) for name in "ab")
        self.pool("web", "a", "b")
        self.assertEqual(self.bind(one, other), [1, 0])
        (sock,) = one.sockets()
        self.successResultOf(one.rebind(["127.0.0.1:0"]))
        self.assertEqual(list(other.sockets()), [sock])
        connect(self.port)
        self.successResultOf(one.rebind([f"127.0.0.1:{self.port}"]))
        self.assertEqual(list(one.sockets()), [])
        self.successResultOf(other.stopService())
        self.assertEqual(list(one.sockets()), [sock])
        self.successResultOf(one.stopService())
        self.assertRaises(ConnectionRefusedError, connect, self.port)

    def test_unixPath(self) -> None:
        """
        A symbolic link to a folder leads to the same socket.
        """
        # Not mktemp(), which leaves its folders where the tests were started.
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        folder = Path(temporary.name)
        (folder / "true").mkdir()
        (folder / "link").symlink_to("true")
        one = self.listener(f"unix:{folder}/link/s", "a")
        other = self.listener(f"unix:{folder}/true/s", "b")
        self.pool("web", "a", "b")
        self.assertEqual(sum(self.bind(one, other)), 1)

    def refused(self, *listeners: ListenerService) -> str:
        with pytest.raises(AddressConflict) as caught:
            self.bind(*listeners)
        self.assertRaises(ConnectionRefusedError, connect, self.port)
        message = str(caught.value)
        self.assertNotIn("\n", message)
        return message

    def test_differentPools(self) -> None:
        """
        Where another pool uses one of them, they are refused with the reason.
        """
        one = self.listener(f"127.0.0.1:{self.port}", "a")
        other = self.listener(f"*:{self.port}", "b")
        self.pool("web", "a", "b")
        self.pool("api", "b")
        self.assertIn("'web' and 'web' and 'api' would take", self.refused(one, other))

    def test_factory(self) -> None:
        """
        A pool and a protocol factory do not share either.
        """
        one = self.listener(f"127.0.0.1:{self.port}", "a")
        other = self.listener(f"127.0.0.1:{self.port}", "b", factory=Factory())
        self.pool("web", "a")
        self.assertIn("'web' and 'b' would take", self.refused(one, other))

    def test_proxied(self) -> None:
        """
        Connections with PROXY headers and such without cannot be told apart.
        """
        one = self.listener(f"127.0.0.1:{self.port}", "a")
        other = self.listener(f"127.0.0.1:{self.port}", "b", proxyProtocol=True)
        self.pool("web", "a", "b")
        self.assertIn("only one of them expects PROXY", self.refused(one, other))

    def test_widerLater(self) -> None:
        """
        What is open cannot be widened by a listener that comes later.
        """
        one = self.listener(f"127.0.0.1:{self.port}", "a")
        self.pool("web", "a", "b")
        self.bind(one)
        other = self.listener(f"*:{self.port}", "b")
        self.assertRaises(NeedsRestart, other.privilegedStartService)
