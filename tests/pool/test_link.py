"""
The master's end of a zygote, with real ones.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from svctree.pool.link import ZygoteLink
from svctree.pool.messages import Loaded, Message
from svctree.pool.models import Single
from svctree.pool.shared import Shared
from svctree.settings import PoolSettings
from tests.support.processes import waitUntil


class Starting(TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.received: list[Message] = []
        self.ended: Deferred[str] = Deferred()

    def _start(self, text: str, *more: str) -> ZygoteLink:
        """
        @param more: of its C{sys.path}.
        @return: a zygote whose application is C{text}.
        """
        (self.folder / "linked.py").write_text(text)
        settings = PoolSettings(application="linked:application", workermodel="single")
        path = [str(self.folder), *more]
        shared = Shared("web", settings, Single(), [], path, reactor, random.random)
        self.addCleanup(shared.scoreboard.close)
        link = ZygoteLink(reactor, self.received.append, self.ended.callback)
        link.start(shared.boot(1), shared.scoreboard.fd, [])
        return link

    def test_withoutTheReactor(self) -> Deferred[str]:
        """
        A zygote has its first message when it begins: it gets along with it also when
        the master, once it has started it, is stopped or busy.
        """
        imported = self.folder / "imported"
        text = f"open({str(imported)!r}, 'x').close()\napplication = print"
        link = self._start(text)
        # Nothing leaves or comes by the reactor meanwhile.
        waitUntil(imported.exists, "the import of the application")
        assert self.received == []
        link.hangUp()
        return self.ended

    async def test_long(self) -> None:
        """
        A first message that is longer than what the kernel holds arrives, too.
        """
        link = self._start("application = print", "n" * 1_000_000)
        begun = time.monotonic()
        while not any(isinstance(one, Loaded) for one in self.received):
            assert time.monotonic() < begun + 20, self.received
            await deferLater(reactor, 0.01)
        link.hangUp()
        await self.ended
