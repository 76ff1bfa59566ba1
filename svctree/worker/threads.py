"""
Several threads, one loop: the model C{threaded}, and C{prefork} with C{threads}.

What the threads do, and why, is told in L{svctree.worker.crew}; here is what the
leader does, and what is done when all threads have a request.

At most C{maxthreads} requests run. When all do, a further thread keeps the I{house}:
signals, the channel, and clients that are slow to take their answers; and it goes on
to accept and to read until C{maxqueue} requests wait for a thread. What comes then
waits in the kernel. Where there are other workers, these get all of it.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from time import monotonic, monotonic_ns
from typing import Any, cast

from svctree.pool.scoreboard import BEAT, NOTE, STATE, State
from svctree.worker.connection import LATER, Connection
from svctree.worker.crew import Crew
from svctree.worker.loop import EVENTS
from svctree.worker.polling import READ, WRITE, IPoller, newInner
from svctree.worker.runner import Runner

__all__ = ["ThreadedLoop"]


class ThreadedLoop(Crew):
    """
    See the module.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._batch: Iterator[tuple[int, int]] = iter(())
        self._later: deque[Callable[[], None]] = deque()
        # What has to be looked at even when no request can be taken: it is polled
        # alone then, and else stands in the poll set of everything.
        self._house, fd = newInner(self.poller)
        self.handlers[fd] = self._keepHouse
        # Where a thread that has become free tells the leader.
        self._heard, self._said = os.pipe()
        for end in self._heard, self._said:
            os.set_blocking(end, False)
        self.watch(self._heard, self._hear)

    def run(self) -> None:
        """
        Serve until retired (or abandoned).
        """
        self._begin()
        if not self.work():
            # Abandoned in the middle of a request: it may yet want all of this.
            return
        self._end()
        self._house.close()
        os.close(self._heard)
        os.close(self._said)

    # The house

    def watch(self, fd: int, callback: Any) -> None:
        self.handlers[fd] = callback
        self._house.register(fd, READ)

    def unwatch(self, fd: int) -> None:
        del self.handlers[fd]
        self._house.unregister(fd)

    def interest(self, fd: int, before: int, mask: int) -> None:
        # Writers belong to the house: they wait for clients, not for threads.
        if before:
            self._setFor(before).unregister(fd)
        if mask:
            self._setFor(mask).register(fd, mask)

    def _setFor(self, mask: int) -> IPoller:
        return self._house if mask == WRITE else self.poller

    def _keepHouse(self, timeout: float = 0) -> None:
        for fd, _ in self._house.poll(timeout, EVENTS):
            self.handlers[fd]()

    def _hear(self) -> None:
        # An earlier event of the same turn may have been for this.
        with contextlib.suppress(BlockingIOError):
            os.read(self._heard, 4096)

    def becameFree(self) -> None:
        # Where there is no room it has been said often enough.
        with contextlib.suppress(BlockingIOError):
            os.write(self._said, b"!")

    # The leader

    def lead(self, runner: Runner) -> None:
        words = self._slot.words
        handlers = self.handlers
        while True:
            if (self.busy or self._later) and not self._makeRoom(runner):
                return
            for fd, _ in self._batch:
                handlers[fd]()
                if self.leader is not runner:
                    return
                if self._later:
                    # The queue has grown: perhaps it is full.
                    self._waitForThread()
            if self.now >= self.wheel.due:
                self.wheel.sweep(self.now)
            self._account()
            while self._over():
                if not self._inherits():
                    self._allOver()
                    return
                if self.leader is not runner:
                    # What was inherited takes its time.
                    return
            if not self.retiring:
                words[STATE] = State.BUSY if self.busy else State.IDLE
            if self.relay is not None and self.busy < self.limit:
                self.relay.start()
            events = self.poller.poll(self._timeout(), EVENTS)
            now = self.now = monotonic()
            if not self.retiring:
                words[STATE] = State.BUSY
            words[BEAT] = int(now * 1e9)
            if now >= self._nextTick:
                self._tick()
            self._batch = iter(events)

    def serve(
        self, connection: Connection, environ: dict[str, object], line: bytes
    ) -> int:
        """
        Hot path. See L{Loop.serve}.
        """
        if connection.meter is not self:
            # A pipelined request behind one that lost the lead.
            return self._serveAlone(connection, environ, line)
        runner = self.leader
        cell = runner.cell
        if cell is None:
            # All threads are busy, and there is room in the queue.
            self._later.append(partial(connection.again, environ, line))
            return LATER
        NOTE(cell.memory, 0, monotonic_ns(), len(line), line)
        lease = runner.lease
        lease.append(connection)
        if self.expectSlow or self.asleep:
            self.callWatchman()
        outcome = self._answer(environ, connection.codec, connection)
        try:
            lease.pop()
        except IndexError:
            runner.served += 1
            self.lostLead(cell)
            return outcome
        cell.words[0] = 0
        self.served += 1
        return outcome

    def _serveAlone(
        self, connection: Connection, environ: dict[str, object], line: bytes
    ) -> int:
        runner = cast(Runner, connection.meter)
        cell = runner.cell
        assert cell is not None
        NOTE(cell.memory, 0, monotonic_ns(), len(line), line)
        outcome = self._answer(environ, connection.codec, connection)
        cell.words[0] = 0
        runner.served += 1
        return outcome

    # When all threads are busy

    def _makeRoom(self, runner: Runner) -> bool:
        """
        See that a request can be taken, or kept for later.

        @return: whether C{runner} still leads.
        """
        if self.busy >= self.limit and self.relay is not None:
            self._batch = iter(self.relay.shareAll(list(self._batch)))
        self._waitForThread()
        return self._runLater(runner)

    def _waitForThread(self) -> None:
        """
        While all threads are busy and the queue is full, keep only the house.
        """
        while (
            self.busy >= self.limit
            and len(self._later) >= self.config.maxQueue
            and not self._over()
        ):
            self._keepHouse(self._timeout())
            self.now = monotonic()
            self._account()

    def mayServe(self, otherwise: Callable[[], None]) -> bool:
        if self.busy < self.limit or not self._mayAccept():
            return True
        self._later.append(otherwise)
        return False

    def _runLater(self, runner: Runner) -> bool:
        """
        Run what had to wait for a thread.

        @return: whether C{runner} still leads.
        """
        while self._later and self.busy < self.limit:
            self._later.popleft()()
            if self.leader is not runner:
                return False
        return True
