"""
The generations of a pool, one after another.

At any time one generation serves. Others may be coming (they load, and start their
workers) or going (they were told to retire). One comes at a time; any number may be
going.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, DeferredLock, gatherResults
from twisted.internet.task import deferLater
from twisted.logger import Logger

from svctree.pool.backoff import Backoff
from svctree.pool.errors import BootError, ReloadError
from svctree.pool.generation import Generation
from svctree.pool.shared import Shared

__all__ = ["Succession"]

_log = Logger("svctree.pool")

# For idle connections when nobody comes after: long enough for a request that is on
# its way, short enough not to be waited for.
_GRACE_OF_STOP = 0.25

# A zygote that ends earlier counts as one that does not work.
_PROVEN_AFTER = 10.0


class Succession:
    """
    @ivar current: the generation that serves, L{None} before the first one does.
    @ivar target: how many workers a generation shall have.
    @ivar lastReload: C{""}, C{"running"}, C{"done"}, or why the last one failed.
    """

    def __init__(self, shared: Shared, target: int) -> None:
        self._shared = shared
        self.target = target
        self.current: Generation | None = None
        self.lastReload = ""
        self._others: list[Generation] = []
        self._number = 0
        self._ending = False
        self._backoff = Backoff(shared.random)
        # Until the next try to replace a generation whose zygote died.
        self._pause: Deferred[None] | None = None
        # Held while a generation is coming.
        self._coming = DeferredLock()

    @property
    def generations(self) -> list[Generation]:
        """
        All that have processes, the serving one first.
        """
        return [g for g in (self.current, *self._others) if g is not None]

    async def advance(self) -> Generation | None:
        """
        Make a new generation the serving one.

        @return: the previous one, which nobody has told to retire yet.
        @raise BootError: the new one did not come up; nothing has changed.
        """
        async with self._coming:
            return await self._advance()

    async def _advance(self) -> Generation | None:
        """
        The lock is held.
        """
        if self._ending:
            raise BootError(f"pool {self._shared.name!r} stops")
        self._number += 1
        new = Generation(self._shared, self._number, self.target, self._zygoteDied)
        self._others.append(new)
        try:
            await new.start()
        finally:
            self._others.remove(new)
        new.since = self._shared.reactor.seconds()
        old, self.current = self.current, new
        return old

    def scaleTo(self, target: int) -> Deferred[None]:
        """
        Have so many workers, in the generation that serves and in one that comes.

        @return: fires when the serving one has them.
        """
        assert self.current is not None
        self.target = target
        for one in self._others:
            if not one.retiring:
                one.roster.scaleTo(target)
        return self.current.roster.scaleTo(target)

    def drain(self) -> None:
        """
        Let all workers finish what they have and end, those that come, too.
        """
        for one in self.generations:
            one.retire(
                self._shared.graceOfReload, False, self._shared.settings.gracefulTimeout
            )

    async def reload(self, drain: bool) -> None:
        """
        Put new code in the place of the old.

        @param drain: the old generation takes first what waits for it in the kernel's
            queues: nobody else will where a socket is given up.
        @raise ReloadError: the old generation serves on.
        """
        self.lastReload = "running"
        try:
            old = await self.advance()
        except BootError as error:
            self.lastReload = f"failed: {error}"
            if not self._ending:
                self._reportFailure(error)
            raise ReloadError(f"reload failed: {error}", error.details) from error
        self.lastReload = "done"
        # What made zygotes die was perhaps in the code that is gone now.
        self._backoff.succeeded()
        assert self.current is not None
        _log.info(
            "{pool}: generation {number} serves",
            pool=self._shared.name,
            number=self.current.number,
        )
        if old is not None:
            await self._going(
                old,
                old.retire(
                    self._shared.graceOfReload,
                    drain,
                    self._shared.settings.gracefulTimeout,
                ),
            )

    def _reportFailure(self, error: BootError) -> None:
        _log.error(
            "{pool}: reload failed, generation {number} serves on: {reason}{details}",
            pool=self._shared.name,
            number=self.current.number if self.current else 0,
            reason=str(error),
            details=f"\n{error.details}" if error.details else "",
        )

    async def _going(self, old: Generation, gone: Deferred[None]) -> None:
        self._others.append(old)
        await gone
        self._others.remove(old)

    def _zygoteDied(self, old: Generation, how: str) -> None:
        if old is not self.current or self._ending:
            old.orphaned()
            return
        self._shared.crashes += 1
        _log.warn(
            "{pool}: the zygote ended with {how}; what it left ({workers}) goes on "
            "while another is started",
            pool=self._shared.name,
            how=how,
            workers=old.roster.readyCount(),
        )
        d = Deferred.fromCoroutine(self._replaceOrphans(old))
        d.addErrback(
            lambda failure: _log.failure(
                "{pool}: replacing a zygote", failure, pool=self._shared.name
            )
        )

    async def _replaceOrphans(self, old: Generation) -> None:
        """
        The workers of a dead zygote serve on; make another generation, then let them
        go.
        """
        if self._shared.reactor.seconds() - old.since >= _PROVEN_AFTER:
            self._backoff.succeeded()
        delay = self._backoff.failed()
        while self._isNeeded(old):
            if not await self._slept(delay):
                return
            async with self._coming:
                # A reload, a drain or a stop may have been faster.
                if not self._isNeeded(old):
                    break
                try:
                    await self._advance()
                except BootError as error:
                    if not self._isNeeded(old):
                        break
                    delay = max(0.1, self._backoff.failed())
                    self._reportRetry(error, delay)
                    old.roster.forgetDead()
        if not (self._ending or old.retiring):
            gone = old.whenGone()
            old.orphaned()
            await self._going(old, gone)

    def _isNeeded(self, old: Generation) -> bool:
        return self.current is old and not self._ending and not old.retiring

    async def _slept(self, seconds: float) -> bool:
        """
        @return: whether the pool still wants to go on.
        """
        if seconds:
            self._pause = deferLater(self._shared.reactor, seconds)
            try:
                await self._pause
            except CancelledError:
                return False
            finally:
                self._pause = None
        return True

    def _reportRetry(self, error: BootError, delay: float) -> None:
        _log.error(
            "{pool}: {reason}; next try in {delay:.1f} s{details}",
            pool=self._shared.name,
            reason=str(error),
            delay=delay,
            details=f"\n{error.details}" if error.details else "",
        )

    async def end(self, deadline: float) -> None:
        """
        Retire everything, serving first what waits in the kernel's queues.

        @param deadline: seconds after which what still runs is killed.
        """
        self._ending = True
        if self._pause is not None:
            self._pause.cancel()
        await gatherResults(
            [one.retire(_GRACE_OF_STOP, True, deadline) for one in self.generations]
        )
        self.current = None
        self._others.clear()

    def hurry(self) -> None:
        """
        Give requests in hand no more time.
        """
        self._ending = True
        for one in self.generations:
            one.retire(0.0, False, 0.0)
