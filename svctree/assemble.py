"""
From settings to the tree: what all doors build.
"""

from __future__ import annotations

import signal
from typing import Any

from svctree.listen import ListenerService
from svctree.pool import PoolService
from svctree.process import SignalService, Stopper, eachService, hurryTree
from svctree.service import MultiService
from svctree.settings import PoolSettings, Settings, optionsOf

__all__ = ["makePool", "makeTree"]

LISTENER, POOL = "http", "web"

# The options of a URL's scheme; the other protocols are nothing to click on.
_SCHEMES = {"http": "http"}


def makeTree(settings: Settings) -> MultiService:
    """
    @return: a tree with the listener and the pool that the settings ask for; not
        started, without parent.
    """
    tree = MultiService()
    listener = ListenerService(
        *settings.listen,
        name=LISTENER,
        backlog=settings.backlog,
        proxyProtocol=settings.proxyProtocol,
        scheme=_SCHEMES.get(settings.protocol, settings.protocol),
    )
    listener.setServiceParent(tree)
    makePool(settings).setServiceParent(tree)
    return tree


def makePool(settings: Settings) -> PoolService:
    """
    @return: the pool that the settings ask for, looking for its listener by name.
    """
    keywords = {
        option.keyword: getattr(settings, option.keyword)
        for option in optionsOf(PoolSettings)
    }
    return PoolService(listeners=[LISTENER], name=POOL, **keywords)


def addSignals(tree: MultiService, reactor: Any = None) -> None:
    """
    Let the tree handle the signals of a process that Twisted's own runner started:
    TERM and INT stop in order, and end with status 0; a second one, and QUIT, fast;
    HUP reloads; TTIN and TTOU scale; WINCH drains.
    """
    stopper = Stopper(hurry=lambda: hurryTree(tree), reactor=reactor)
    SignalService(
        {
            signal.SIGTERM: stopper.graceful,
            signal.SIGINT: stopper.graceful,
            signal.SIGQUIT: stopper.fast,
            signal.SIGHUP: lambda: _pools(tree, "reload"),
            signal.SIGTTIN: lambda: _scale(tree, 1),
            signal.SIGTTOU: lambda: _scale(tree, -1),
            signal.SIGWINCH: lambda: _pools(tree, "drain"),
        },
        reactor=reactor,
    ).setServiceParent(tree)


def _pools(tree: MultiService, method: str) -> Any:
    from twisted.internet.defer import gatherResults, maybeDeferred

    pools = [one for one in eachService(tree) if isinstance(one, PoolService)]
    return gatherResults(
        [maybeDeferred(getattr(pool, method)) for pool in pools], consumeErrors=True
    )


def _scale(tree: MultiService, change: int) -> None:
    for pool in eachService(tree):
        if isinstance(pool, PoolService):
            pool.scale(max(1, pool.size + change))
