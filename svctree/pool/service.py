"""
The pool as a service of the tree.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks, succeed
from twisted.logger import Logger
from zope.interface import implementer

from svctree.interfaces import (
    IDrained,
    IHurried,
    IListener,
    ILogHolder,
    IPinged,
    IReloadable,
    IScalable,
)
from svctree.pool.errors import BootError, PoolError, ReloadError, ScaleError
from svctree.pool.generation import Generation
from svctree.pool.models import model
from svctree.pool.report import describePool
from svctree.pool.shared import Shared
from svctree.pool.watch import Watch
from svctree.process import endInOrder
from svctree.service import IServiceCollection, Service
from svctree.settings import PoolSettings

__all__ = ["PoolService"]

_log = Logger("svctree.pool")

# For idle connections when nobody comes after: long enough for a request that is on
# its way, short enough not to be waited for.
_GRACE_OF_STOP = 0.25


@implementer(IReloadable, IScalable, IHurried, IDrained, ILogHolder, IPinged)
class PoolService(Service):
    """
    Serves a WSGI application from worker processes.

    The processes are those of generations: a zygote that has imported the
    application, and the workers forked from it. A reload makes a new generation
    beside the old one and lets the old one retire when the new one is ready.

    @ivar settings: what was asked for, checked.
    @ivar lastReload: C{""}, C{"running"}, C{"done"}, or why the last one failed.
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
        self._current: Generation | None = None
        self._others: list[Generation] = []
        self._shared: Shared | None = None
        self._watch: Watch | None = None
        self._number = 0
        self._target = 0
        self._reloading: Deferred[None] | None = None
        self._stopping = False
        self.lastReload = ""

    # -- start and stop

    def startService(self) -> Deferred[None]:  # type: ignore[override]
        """
        Start the first generation.

        @return: fires when every worker is ready; fails with L{BootError}.
        """
        super().startService()
        self._stopping = False
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
        self._target = chosen.processes(self.settings)[0]
        self._watch = Watch(self, self._shared)
        for listener in self._shared.listeners:
            listener.watch(self._socketsChanged)
        endInOrder(self._reactor)
        return self._bringUp()

    @inlineCallbacks
    def _bringUp(self) -> Any:
        generation = self._newGeneration()
        self._current = generation
        try:
            yield generation.start()
        except BootError:
            self._current = None
            raise
        assert self._shared is not None and self._watch is not None
        self._watch.start()
        urls = [url for listener in self._shared.listeners for url in listener.urls()]
        _log.info(
            "{pool}: {workers} {application} at {urls}",
            pool=self.name,
            workers=_serving(generation.roster.readyCount()),
            application=self.settings.application,
            urls=" and ".join(urls),
        )

    @inlineCallbacks
    def stopService(self) -> Any:
        """
        Let every worker finish what it has, and what waits in the kernel's queue.

        @return: fires when no process of the pool is left.
        """
        super().stopService()
        self._stopping = True
        if self._shared is None:
            return
        if self._watch is not None:
            self._watch.stop()
        for listener in self._shared.listeners:
            listener.unwatch(self._socketsChanged)
        deadline = self.settings.gracefulTimeout
        if self._current is not None:
            self._others.append(self._current)
        for generation in list(self._others):
            generation.retire(_GRACE_OF_STOP, True, deadline)
        for generation in list(self._others):
            yield generation.whenGone()
        self._current = None
        self._others.clear()
        self._shared.close()
        self._shared = None

    def hurry(self) -> None:
        """
        Give requests in hand no more time.
        """
        for generation in [self._current, *self._others]:
            if generation is not None:
                generation.retire(0.0, False, 0.0)

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
        return found

    def _newGeneration(self) -> Generation:
        assert self._shared is not None
        self._number += 1
        return Generation(self._shared, self._number, self._target, self._zygoteDied)

    def drain(self) -> None:
        """
        Let the workers finish what they have, accept nothing more, and end; the
        service stays up, with no workers.
        """
        if self._current is not None:
            self._current.retire(
                Shared.graceOfReload, False, self.settings.gracefulTimeout
            )

    # -- reload

    def _socketsChanged(self, listener: IListener) -> Deferred[None]:
        """
        Serve on the new sockets, and what waits in the queues of the old ones.
        """
        if self._current is None or self._stopping:
            return succeed(None)
        return self.reload(drain=True)

    def reload(self, drain: bool = False) -> Deferred[None]:
        """
        Replace the workers by a new generation with freshly imported code.

        A reload asked for while another one runs starts after it: what is on disk
        may have changed since that one read it.

        @param drain: the old generation takes first what waits for it in the kernel's
            queues: nobody else will where a socket is given up.
        @return: fires when the old generation is gone; fails with L{ReloadError}
            when the new one does not come up, and then the old one serves on.
        """
        if self._reloading is not None:
            waiting: Deferred[None] = Deferred()
            self._reloading.addBoth(
                lambda _: self.reload(drain).chainDeferred(waiting)  # type: ignore[func-returns-value]
            )
            return waiting
        if self._current is None or self._stopping:
            raise PoolError(f"pool {self.name!r} is not serving")
        self._reloading = Deferred()
        return self._reload(drain)

    @inlineCallbacks
    def _reload(self, drain: bool) -> Any:
        old = self._current
        assert old is not None and self._shared is not None
        self.lastReload = "running"
        new = self._newGeneration()
        self._others.append(new)
        try:
            yield new.start()
            self._others.remove(new)
            if self._stopping:
                yield new.retire(0.0, False, 1.0)
                return
            self._current = new
            self._others.append(old)
            yield old.retire(
                self._shared.graceOfReload, drain, self.settings.gracefulTimeout
            )
            self._others.remove(old)
            self.lastReload = "done"
            _log.info(
                "{pool}: generation {number} serves", pool=self.name, number=new.number
            )
        except BootError as error:
            self._others.remove(new)
            self.lastReload = f"failed: {error}"
            _log.error(
                "{pool}: reload failed, generation {number} serves on: "
                "{reason}\n{details}",
                pool=self.name,
                number=old.number,
                reason=str(error),
                details=error.details,
            )
            raise ReloadError(f"reload failed: {error}", error.details) from error
        finally:
            finished, self._reloading = self._reloading, None
            assert finished is not None
            finished.callback(None)

    def _zygoteDied(self, old: Generation, how: str) -> None:
        """
        Its workers serve on; make a new generation, then let them go.
        """
        if old is not self._current or self._stopping:
            old.orphaned()
            return
        assert self._shared is not None
        self._shared.crashes += 1
        _log.warn(
            "{pool}: the zygote ended with {how}; what it left ({workers}) goes on "
            "while another is started",
            pool=self.name,
            how=how,
            workers=old.roster.readyCount(),
        )
        self._replaceOrphans(old)

    @inlineCallbacks
    def _replaceOrphans(self, old: Generation) -> Any:
        if self._reloading is not None:
            yield self._reloading
        assert self._shared is not None
        new = self._newGeneration()
        self._others.append(new)
        try:
            yield new.start()
        except BootError as error:
            self._others.remove(new)
            delay = max(0.1, old.roster.backoff.failed())
            _log.error(
                "{pool}: {reason}; next try in {delay:.1f} s\n{details}",
                pool=self.name,
                reason=str(error),
                delay=delay,
                details=error.details,
            )
            if not self._stopping:
                self._shared.reactor.callLater(delay, self._replaceOrphans, old)
            return
        self._others.remove(new)
        self._others.append(old)
        self._current = new
        if self._stopping:
            new.retire(0.0, False, 1.0)
        old.orphaned()
        yield old.whenGone()
        if old in self._others:
            self._others.remove(old)

    # -- everything else

    def scale(self, count: int) -> Deferred[None]:
        """
        Have another number of workers.

        @param count: at least 1.
        @return: fires when that many are ready.
        @raise ScaleError: the worker model or the scoreboard does not allow it.
        """
        if self._current is None or self._shared is None:
            raise PoolError(f"pool {self.name!r} is not serving")
        if self.settings.workermodel != "prefork":
            raise ScaleError(
                f"pool {self.name!r} has workermodel = {self.settings.workermodel}, "
                "which is one process; only prefork can be scaled"
            )
        most = len(self._shared.scoreboard.slots) // 2
        if not 1 <= count <= most:
            raise ScaleError(f"got {count} workers, expected 1 to {most}")
        self._target = count
        return self._current.roster.scaleTo(count)

    @property
    def size(self) -> int:
        """
        How many workers there shall be.
        """
        return self._target

    @property
    def generation(self) -> Generation | None:
        """
        The generation that serves.
        """
        return self._current

    @property
    def generations(self) -> list[Generation]:
        """
        All that have processes, the serving one first.
        """
        return [g for g in (self._current, *self._others) if g is not None]

    def logReopened(self, fd: int) -> None:
        """
        Make C{fd} descriptor 2 of every process of the pool.
        """
        for generation in self.generations:
            generation.reopenLog(fd)

    def ping(self) -> Deferred[None]:
        """
        @return: fires when the serving zygote has answered.
        """
        return self._current.ping() if self._current is not None else succeed(None)

    def describe(self) -> dict[str, Any]:
        """
        @return: the pool, its generations and workers as plain data.
        """
        return describePool(self, self._shared)


def _serving(workers: int) -> str:
    return "1 worker serves" if workers == 1 else f"{workers} workers serve"
