"""
A pool whose error log has become another file.

The order is passed on from the zygote to its workers, and a worker follows it between
two requests. So whoever rotates a log, and compresses the old file next, has to wait
until all have followed: a worker notes in its slot which order it has carried out.
"""

from __future__ import annotations

from collections.abc import Iterable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from svctree.pool.generation import Generation
from svctree.pool.record import WorkerRecord
from svctree.pool.scoreboard import LOGS, Scoreboard

__all__ = ["Relogging"]

_log = Logger("svctree.pool")

_LOOK = 0.005

_PATIENCE = 10.0
"""Seconds after which a worker that has something in hand is no longer waited for."""


class Relogging:
    """
    One order to write to another file.
    """

    def __init__(
        self, reactor: IReactorTime, scoreboard: Scoreboard, pool: str, serial: int
    ) -> None:
        """
        @param serial: of the order; grows with each.
        """
        self._reactor = reactor
        self._slots = scoreboard.slots
        self._pool = pool
        self._serial = serial
        self._zygotes = 0
        self._workers: list[tuple[Generation, WorkerRecord]] = []
        self._done: Deferred[None] = Deferred()
        self._deadline = 0.0

    def order(self, generations: Iterable[Generation], fd: int) -> Deferred[None]:
        """
        @return: fires when everybody writes to C{fd}, or has ended; or when that has
            taken too long, which is logged.
        """
        for generation in generations:
            if generation.zygote is None:
                # Nobody can tell its workers any more; they are about to be replaced.
                continue
            # Who is forked from now on begins with the new file, or is told like the
            # others before its first request.
            self._workers += [
                (generation, record)
                for record in generation.roster.workers.values()
                if record.ready
            ]
            generation.reopenLog(self._serial, fd)
            self._zygotes += 1
            generation.ping().addBoth(self._zygoteFollowed)
        self._deadline = self._reactor.seconds() + _PATIENCE
        self._look()
        return self._done

    def _zygoteFollowed(self, _: object) -> None:
        # Or has ended; it answers in the order in which it was asked.
        self._zygotes -= 1

    def _look(self) -> None:
        self._workers = [one for one in self._workers if not self._followed(*one)]
        if not self._workers and not self._zygotes:
            self._done.callback(None)
        elif self._reactor.seconds() < self._deadline:
            self._reactor.callLater(_LOOK, self._look)
        else:
            for _generation, record in self._workers:
                _log.warn(
                    "{pool}: worker {slot} (pid {pid}) writes to the old log until "
                    "the request that it has in hand is done",
                    pool=self._pool,
                    slot=record.slot,
                    pid=record.pid,
                )
            self._done.callback(None)

    def _followed(self, generation: Generation, record: WorkerRecord) -> bool:
        gone = generation.roster.workers.get(record.pid) is not record
        return gone or self._slots[record.slot].words[LOGS] >= self._serial
