"""
The pool as a service of the tree.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from twisted.python.components import registerAdapter
from zope.interface import implementer

from svctree.interfaces import (
    IDescribable,
    IDrained,
    IHurried,
    IListener,
    ILogHolder,
    IPinged,
    IReloadable,
    IScalable,
)
from svctree.pool.autoreload import Autoreload
from svctree.pool.description import PoolDescription
from svctree.pool.errors import PoolError, ScaleError
from svctree.pool.models import model
from svctree.pool.relogging import Relogging
from svctree.pool.report import describePool
from svctree.pool.shared import Shared
from svctree.pool.succession import Succession
from svctree.pool.watch import Watch
from svctree.process import endInOrder
from svctree.service import IServiceCollection, Service
from svctree.settings import PoolSettings

__all__ = ["PoolService"]

_log = Logger("svctree.pool")


@implementer(IReloadable, IScalable, IHurried, IDrained, ILogHolder, IPinged)
class PoolService(Service):
    """
    Serves a WSGI application from worker processes.

    The processes are those of generations: a zygote that has imported the
    application, and the workers forked from it. A reload makes a new generation
    beside the old one and lets the old one retire when the new one is ready.

    @ivar settings: what was asked for, checked.
    @ivar reloads: how many have begun.
    """

    def __init__(
        self,
        application: str = "svctree.demo:application",
        *,
        listeners: Sequence[str | IListener] = ("http",),
        name: str = "web",
        reactor: Any = None,
        path: Sequence[str] | None = None,
        **settings: Any,
    ) -> None:
        """
        @param application: C{module:name}, or C{module:factory()}.
        @param listeners: the names of L{svctree.ListenerService}s in the same
            parent, or the services themselves.
        @param name: the service's name.
        @param reactor: provides C{IReactorProcess} and C{IReactorTime}; the global
            one by default.
        @param path: folders for the head of C{sys.path}; by default C{pythonpath},
            else the working directory of this moment.
        @param settings: any option of the groups What runs, Workers and Requests in
            its camelCase spelling (see the reference of settings).
        @raise svctree.settings.SettingsError: an option is unknown or wrong.
        """
        self.setName(name)
        self.settings = PoolSettings(application=application, **settings)
        self._listeners = tuple(listeners)
        self._reactor = reactor
        self._path = list(path or self.settings.pythonpath or (os.getcwd(),))
        self._shared: Shared | None = None
        # How often the log has become another file.
        self._logs = 0
        self._succession: Succession | None = None
        self._watchers: list[Watch | Autoreload] = []
        self._watched: list[IListener] = []
        self._rebinding: list[Deferred[None]] = []
        self.reloads = 0

    @property
    def wanted(self) -> tuple[str | IListener, ...]:
        """
        The listeners as they were given.
        """
        return self._listeners

    # -- start and stop

    def startService(self) -> Deferred[None]:  # type: ignore[override]
        """
        Start the first generation.

        @return: fires when every worker is ready; fails with L{BootError}.
        """
        super().startService()
        chosen = model(self.settings.workermodel)
        self._shared = Shared(
            self.name or "web",
            self.settings,
            chosen,
            self._foundListeners(),
            self._path,
            self._theReactor(),
            random.random,
        )
        least, _ = chosen.processes(self.settings)
        self._succession = Succession(self._shared, least)
        for listener in self._shared.listeners:
            listener.watch(self._socketsChanged)
            self._watched.append(listener)
        endInOrder(self._reactor)
        return Deferred.fromCoroutine(self._begin(self._shared, self._succession))

    async def _begin(self, shared: Shared, succession: Succession) -> None:
        try:
            await succession.advance()
        except BaseException:
            self._letGo(shared, succession)
            raise
        assert succession.current is not None
        urls = [url for listener in shared.listeners for url in listener.urls()]
        _log.info(
            "{pool}: {workers} {application} at {urls}",
            pool=self.name,
            workers=_subject(succession.current.roster.readyCount()),
            application=self.settings.application,
            urls=" and ".join(urls),
        )
        self._watchers = [Watch(self, shared), Autoreload(self, shared)]
        for watcher in self._watchers:
            watcher.start()

    def stopService(self) -> Deferred[None]:
        """
        Let every worker finish what it has, and what waits in the kernel's queue.

        @return: fires when no process of the pool is left.
        """
        super().stopService()
        return Deferred.fromCoroutine(self._end())

    async def _end(self) -> None:
        shared, succession = self._shared, self._succession
        if shared is None or succession is None:
            return
        self._lookAway()
        try:
            await succession.end(self.settings.gracefulTimeout)
        except CancelledError:
            # Who waited has lost patience.
            succession.hurry()
            shared.letGo()
            raise
        self._letGo(shared, succession)

    def _letGo(self, shared: Shared, succession: Succession) -> None:
        """
        Nothing of it runs any more; what was started since is not touched.
        """
        shared.close()
        if self._succession is succession:
            self._lookAway()
            self._succession = self._shared = None

    def _lookAway(self) -> None:
        while self._watchers:
            self._watchers.pop().stop()
        while self._watched:
            self._watched.pop().unwatch(self._socketsChanged)

    def hurry(self) -> None:
        """
        Give requests in hand no more time.
        """
        if self._succession is not None:
            self._succession.hurry()

    def _theReactor(self) -> Any:
        if self._reactor is None:
            from twisted.internet import reactor

            self._reactor = reactor
        return self._reactor

    def _foundListeners(self) -> list[IListener]:
        found: list[IListener] = []
        for listener in self._listeners:
            if isinstance(listener, str):
                found.append(
                    IListener(IServiceCollection(self.parent).getServiceNamed(listener))
                )
            else:
                found.append(IListener(listener))
        if not any(listener.sockets() for listener in found):
            raise PoolError(
                f"pool {self.name!r} has no socket to serve on; expected listeners "
                f"that were bound before it starts, got {list(self._listeners)!r}"
            )
        for one in found:
            expects = getattr(one, "proxyProtocol", False)
            if expects and not self.settings.forwardedAllow:
                raise PoolError(
                    f"listener {one.name!r} expects PROXY headers and pool "
                    f"{self.name!r} trusts nobody; give it forwardedAllow"
                )
        return found

    # -- what operators ask for

    def _serving(self) -> Succession:
        if self._succession is None or self._succession.current is None:
            raise PoolError(f"pool {self.name!r} is not serving")
        return self._succession

    def drain(self) -> None:
        """
        Let the workers finish what they have, accept nothing more, and end; the
        service stays up, with no workers.
        """
        self._serving().drain()

    def _socketsChanged(self, listener: IListener) -> Deferred[None]:
        """
        Serve on the new sockets, and what waits in the queues of the old ones.
        """
        waiter: Deferred[None] = Deferred()
        if not self._rebinding:
            # A moment later, so that one generation serves all listeners that change
            # in this one.
            self._theReactor().callLater(0, self._socketsHaveChanged)
        self._rebinding.append(waiter)
        return waiter

    def _socketsHaveChanged(self) -> None:
        waiting, self._rebinding = self._rebinding, []

        def tell(result: Any) -> None:
            for waiter in waiting:
                waiter.callback(result)

        if self._succession is None or self._succession.current is None:
            tell(None)
        else:
            self.reload(drain=True).addBoth(tell)

    def reload(self, drain: bool = False) -> Deferred[None]:
        """
        Replace the workers by a new generation with freshly imported code.

        A reload asked for while a generation is still coming starts after it: what is
        on disk may have changed since that one read it.

        @param drain: the old generation takes first what waits for it in the kernel's
            queues: nobody else will where a socket is given up.
        @return: fires when the old generation is gone; fails with L{ReloadError}
            when the new one does not come up, and then the old one serves on.
        @raise PoolError: the pool is not serving.
        """
        serving = self._serving()
        self.reloads += 1
        return Deferred.fromCoroutine(serving.reload(drain))

    def scale(self, count: int) -> Deferred[None]:
        """
        Have another number of workers.

        @param count: at least 1; where the pool follows its load (C{workers} is
            C{MIN..MAX}), within that range, from where it goes on to follow.
        @return: fires when that many are ready.
        @raise ScaleError: the worker model, the range or the scoreboard does not
            allow it.
        """
        succession = self._serving()
        assert self._shared is not None and succession.current is not None
        if self.settings.workermodel != "prefork":
            raise ScaleError(
                f"pool {self.name!r} has workermodel = {self.settings.workermodel}, "
                "which is one process; only prefork can be scaled"
            )
        least, most = self._shared.model.processes(self.settings)
        why = f": pool {self.name!r} follows its load with workers = {least}..{most}"
        if least == most:
            least, most, why = 1, len(self._shared.scoreboard.slots) // 2, ""
        if not least <= count <= most:
            raise ScaleError(f"got {count} workers, expected {least} to {most}{why}")
        if succession.current.retiring:
            raise ScaleError(f"pool {self.name!r} was drained; a reload fills it again")
        return succession.scaleTo(count)

    @property
    def size(self) -> int:
        """
        How many workers there shall be.
        """
        return self._succession.target if self._succession is not None else 0

    @property
    def succession(self) -> Succession | None:
        """
        The generations, L{None} while the service is down.
        """
        return self._succession

    def logReopened(self, fd: int) -> Deferred[None]:
        """
        Make C{fd} descriptor 2 of every process of the pool.

        @return: fires when it is.
        """
        if self._succession is None or self._shared is None:
            return succeed(None)
        self._logs += 1
        shared = self._shared
        order = Relogging(shared.reactor, shared.scoreboard, shared.name, self._logs)
        return order.order(self._succession.generations, fd)

    def ping(self) -> Deferred[None]:
        """
        @return: fires when the serving zygote has answered.
        """
        current = self._serving().current
        assert current is not None
        return current.ping()

    def describe(self) -> dict[str, Any]:
        """
        @return: the pool, its generations and workers as plain data.
        """
        return describePool(self, self._shared)


registerAdapter(PoolDescription, PoolService, IDescribable)


def _subject(workers: int) -> str:
    return "1 worker serves" if workers == 1 else f"{workers} workers serve"
