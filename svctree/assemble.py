"""
From settings to the tree: what all doors build.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from typing import Any

from svctree.listen import ListenerService
from svctree.pool import PoolService
from svctree.pool.once import OnceService
from svctree.pool.source import Source, claimOutput, sourceOf
from svctree.process import (
    Action,
    Operations,
    SignalService,
    Stopper,
    hasTerminal,
    hurryTree,
    signalActions,
)
from svctree.service import MultiService
from svctree.settings import PoolSettings, Settings, optionsOf
from svctree.tree.root import RootService

__all__ = ["addSignals", "makePool", "makeTree"]

LISTENER, POOL = "http", "web"


def makeTree(settings: Settings) -> RootService:
    """
    @return: a tree with the listener and the pool that the settings ask for; not
        started, without parent.
    """
    tree = RootService()
    source = sourceOf(settings.protocol, settings.listen, settings.workermodel)
    if source in (Source.CGI, Source.CONNECTED):
        makeOnce(settings, source).setServiceParent(tree)
        return tree
    listener = ListenerService(
        *settings.listen,
        name=LISTENER,
        backlog=settings.backlog,
        proxyProtocol=settings.proxyProtocol,
        scheme=settings.protocol,
        reread=_addressesOf(settings),
    )
    listener.setServiceParent(tree)
    pool = makePool(settings) if source is None else makeOnce(settings, source)
    pool.setServiceParent(tree)
    return tree


def _addressesOf(settings: Settings) -> Callable[[], Sequence[str]] | None:
    """
    @return: what a reload asks for the addresses of the file as it is then; L{None}
        without a file.
    """
    again, file = settings.again, settings.file
    if file is None or again is None:
        return None

    def addresses() -> Sequence[str]:
        # Unreadable for whom the process has become is not the same as wrong.
        with open(file, "rb"):
            return again().listen

    return addresses


def makePool(settings: Settings) -> PoolService:
    """
    @return: the pool that the settings ask for, looking for its listener by name.
    """
    return PoolService(listeners=[LISTENER], name=POOL, **_keywords(settings))


def makeOnce(settings: Settings, source: Source) -> OnceService:
    """
    @return: what serves one request in this process. Standard output is its own from
        now on, before anybody logs to it.
    """
    return OnceService(
        listeners=[LISTENER],
        source=source,
        output=claimOutput(source),
        name=POOL,
        **_keywords(settings),
    )


def _keywords(settings: Settings) -> dict[str, Any]:
    return {
        option.keyword: getattr(settings, option.keyword)
        for option in optionsOf(PoolSettings)
    }


def addSignals(tree: MultiService, reactor: Any = None) -> None:
    """
    Let the tree handle the signals of a process that Twisted's own runner started.

    They mean what they mean to a daemon, but for two: INT is what twistd's users end
    it with, in order; and USR1 is twistd's own, it rotates its log. Both TERM and INT
    lead to status 0 when the tree stops in order.
    """
    stopper = Stopper(hurry=lambda: hurryTree(tree), reactor=reactor)

    def actions() -> dict[int, Action]:
        made = signalActions(Operations(tree), stopper)
        made[signal.SIGINT] = stopper.graceful
        if hasTerminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            # Its window was closed, and with it whoever looked at this; unless nohup
            # has the signal ignored, which says that this is to go on.
            made[signal.SIGHUP] = stopper.graceful
        del made[signal.SIGUSR1]
        return made

    SignalService(actions, reactor=reactor).setServiceParent(tree)
