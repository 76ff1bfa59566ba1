"""
Several threads, one loop: the model C{threaded}, and C{prefork} with C{threads}.

One thread at a time, the I{leader}, does what the single loop does: it polls, reads,
runs the application and writes. So as long as requests are quick, threads cost
nothing: there is no hand-over and no fight for the interpreter. A request that takes
longer than a moment loses the lead: the I{watchman}, a spare thread that looks at the
leader every few milliseconds, takes the poll set, the rest of the turn's events and
the lead; the former leader finishes its request and its connection on its own, and
becomes spare. After a request that was slow the next ones are expected to be: then the
watchman is called before the application is, and looks after a third of a millisecond.

The other way is to let all threads poll with C{EPOLLONESHOT}. It costs a system call
more for each request, and every system call hands the interpreter to another thread.
Measured with 32 connections and a quick application on one core, in one run: here 4
threads take 5% more processor time for a request than one thread takes.

Guarantees:

  - A connection belongs to the leader, or to the thread that runs its request. Which
    of the two is decided by C{list.pop} on the lease, which is atomic: whoever gets
    the connection has it.
  - At most C{maxthreads} requests run. When all do, a further thread keeps the house:
    signals, the channel, and clients that are slow to take their answers; and it goes
    on to accept and to read until C{maxqueue} requests wait for a thread. What comes
    then waits in the kernel. Where there are other workers, these get all of it.
  - The number of spare threads stays between C{minspare} and C{maxspare}.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from time import monotonic, monotonic_ns
from typing import Any

from svctree.pool.scoreboard import BEAT, NOTE, STATE, THREADS, Cell, State
from svctree.worker.connection import LATER, Connection
from svctree.worker.loop import EVENTS, Loop
from svctree.worker.runner import LockedWheel, Runner

__all__ = ["ThreadedLoop"]

_LOOK = 0.004
"""Seconds between two looks of the watchman."""

_MOMENT = 2_000_000
"""Nanoseconds that a request may take without losing the lead."""

_GLIMPSE = 300_000
"""The same where slow requests are expected. Not less: a quick request lets go of the
interpreter, too, when it sends its answer."""

_EXPECT_SLOW = 32
"""Requests after a slow one for which the watchman is called beforehand."""

_QUIET_LOOKS = 25
"""After so many looks without a request the watchman sleeps until the next one."""


class ThreadedLoop(Loop):
    """
    See the module.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.wheel = LockedWheel()
        self._lock = threading.Lock()
        self._limit = self.config.maxThreads
        self._free = list(reversed(self._slot.cells[: self._limit]))
        self._runners: dict[int, Runner] = {}
        self._main = Runner()
        self._leader = self._main
        self._watchman: Runner | None = None
        self._parked: list[Runner] = []
        self._starting = 0
        self._busy = 0
        self._asleep = False
        self._expectSlow = 0
        self._batch: Iterator[tuple[int, int]] = iter(())
        self._threads: list[threading.Thread] = []
        self._counts: deque[tuple[int, int, int, int]] = deque()
        self._later: deque[Callable[[], None]] = deque()
        self._ended = False
        # What has to be looked at even when no request can be taken: it is polled
        # alone then, and else stands in the poll set of everything.
        self._house = select.epoll()
        self._freed = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._house.register(self._freed, select.EPOLLIN)
        self.handlers[self._freed] = self._read
        self.epoll.register(self._house.fileno(), select.EPOLLIN)
        self.handlers[self._house.fileno()] = self._keepHouse

    # The house

    def watch(self, fd: int, callback: Any) -> None:
        self.handlers[fd] = callback
        self._house.register(fd, select.EPOLLIN)

    def unwatch(self, fd: int) -> None:
        del self.handlers[fd]
        self._house.unregister(fd)

    def interest(self, fd: int, before: int, mask: int) -> None:
        # Writers belong to the house: they wait for clients, not for threads.
        if before:
            self._setFor(before).unregister(fd)
        if mask:
            self._setFor(mask).register(fd, mask)

    def _setFor(self, mask: int) -> select.epoll:
        return self._house if mask == select.EPOLLOUT else self.epoll

    def _keepHouse(self, timeout: float = 0) -> None:
        for fd, _ in self._house.poll(timeout, EVENTS):
            self.handlers[fd]()

    def _read(self) -> None:
        try:
            os.eventfd_read(self._freed)
        except BlockingIOError:
            pass

    def _mayAccept(self) -> bool:
        # A thread that is about to be spare must not touch the listening sockets.
        return self._runners.get(threading.get_ident()) is self._leader

    # The life of threads

    def run(self) -> None:
        """
        Serve until retired (or abandoned).
        """
        self._begin()
        self._main.cell = self._free.pop()
        with self._lock:
            self._fill()
        self._live(self._main)
        for thread in self._threads:
            thread.join(0.05 if self._abandoned else None)
            if thread.is_alive():
                # Abandoned in the middle of a request: it may yet want all of this.
                return
        self._end()
        self._house.close()
        os.close(self._freed)

    def _thread(self) -> None:
        runner = Runner()
        with self._lock:
            self._starting -= 1
            self._parked.append(runner)
            self._appoint()
        self._live(runner)

    def _live(self, runner: Runner) -> None:
        self._runners[threading.get_ident()] = runner
        while not self._ended:
            if runner is self._leader:
                self._lead(runner)
                if runner is not self._leader:
                    self._finished(runner)
            elif runner is self._watchman:
                self._watch(runner)
            elif not self._park(runner):
                break
        del self._runners[threading.get_ident()]

    def _park(self, runner: Runner) -> bool:
        """
        Wait to be needed.

        @return: whether to go on; there may be spare threads enough.
        """
        with self._lock:
            if runner not in self._parked and runner is not self._watchman:
                if self._spare() >= self.config.maxSpare:
                    if runner is not self._main:
                        return False
                    # The main thread stays; another one comes here again and goes.
                    if self._parked:
                        self._parked.pop().ring()
                self._parked.append(runner)
                self._appoint()
        while runner in self._parked and not self._ended:
            runner.bell.acquire()
        return True

    def _spare(self) -> int:
        return len(self._parked) + (self._watchman is not None) + self._starting

    def _appoint(self) -> None:
        """
        See that there is a watchman. The lock is held.
        """
        if self._watchman is None and self._parked:
            self._watchman = self._parked.pop()
            self._watchman.ring()

    def _fill(self) -> None:
        """
        See that there are spare threads enough. The lock is held.
        """
        self._appoint()
        wanted = max(self.config.minSpare, 1)
        # One thread more than requests: it keeps the house when all of them run.
        room = self._limit - self._busy - self._spare()
        for _ in range(min(wanted - self._spare(), room)):
            self._starting += 1
            thread = threading.Thread(target=self._thread, daemon=True)
            self._threads = [t for t in self._threads if t.is_alive()] + [thread]
            thread.start()

    # The leader

    def _lead(self, runner: Runner) -> None:
        words = self._slot.words
        handlers = self.handlers
        while True:
            if self._busy >= self._limit and self.relay is not None:
                self._batch = iter(self.relay.shareAll(list(self._batch)))
            self._waitForThread()
            if not self._runLater(runner):
                return
            for fd, _ in self._batch:
                handlers[fd]()
                if self._leader is not runner:
                    return
                if self._later:
                    # The queue has grown: perhaps it is full.
                    self._waitForThread()
            self._turnEnds()
            while self._over():
                if not self._inherits():
                    self._allOver()
                    return
                if self._leader is not runner:
                    # What was inherited takes its time.
                    return
            if not self.retiring:
                words[STATE] = State.BUSY if self._busy else State.IDLE
            self._countThreads()
            if self.relay is not None and self._busy < self._limit:
                self.relay.start()
            events = self.epoll.poll(self._timeout(), EVENTS)
            now = self.now = monotonic()
            if not self.retiring:
                words[STATE] = State.BUSY
            words[BEAT] = int(now * 1e9)
            if now >= self._nextTick:
                self._tick()
            self._batch = iter(events)

    def _turnEnds(self) -> None:
        now = self.now
        if now >= self.wheel.due:
            self.wheel.sweep(now)
        self._account()

    def _countThreads(self) -> None:
        # The one that keeps the house when all others run is not counted.
        threads = self._busy + self._spare() + 1
        self._slot.words[THREADS] = min(threads, self._limit)

    def _account(self) -> None:
        while self._counts:
            served, bytesIn, bytesOut, errors = self._counts.popleft()
            self.served += served
            self.bytesIn += bytesIn
            self.bytesOut += bytesOut
            self.errors += errors
        super()._account()

    def mayServe(self, otherwise: Callable[[], None]) -> bool:
        if self._busy < self._limit or not self._mayAccept():
            return True
        self._later.append(otherwise)
        return False

    def _runLater(self, runner: Runner) -> bool:
        """
        Run what had to wait for a thread.

        @return: whether C{runner} still leads.
        """
        while self._later and self._busy < self._limit:
            self._later.popleft()()
            if self._leader is not runner:
                return False
        return True

    def _waitForThread(self) -> None:
        """
        While all threads are busy and the queue is full, keep only the house.
        """
        while (
            self._busy >= self._limit
            and len(self._later) >= self.config.maxQueue
            and not self._over()
        ):
            self._keepHouse(self._timeout())
            self.now = monotonic()
            self._account()

    def _allOver(self) -> None:
        self._ended = True
        with self._lock:
            for runner in [*self._runners.values(), *self._parked]:
                runner.ring()

    def serve(
        self, connection: Connection, environ: dict[str, object], line: bytes
    ) -> int:
        """
        Hot path. See L{Loop.serve}.
        """
        runner = self._runners[threading.get_ident()]
        cell = runner.cell
        if cell is None:
            # All threads are busy, and there is room in the queue.
            self._later.append(partial(connection.again, environ, line))
            return LATER
        NOTE(cell.memory, 0, monotonic_ns(), len(line), line)
        if runner is not self._leader:
            # A pipelined request behind one that lost the lead.
            outcome = self._answer(environ, connection.codec, connection)
            cell.words[0] = 0
            runner.served += 1
            return outcome
        lease = runner.lease
        lease.append(connection)
        if self._expectSlow or self._asleep:
            self._callWatchman()
        outcome = self._answer(environ, connection.codec, connection)
        try:
            lease.pop()
        except IndexError:
            runner.served += 1
            self._lostLead(cell)
            return outcome
        cell.words[0] = 0
        self.served += 1
        return outcome

    def _callWatchman(self) -> None:
        self._asleep = False
        if self._expectSlow:
            self._expectSlow -= 1
        watchman = self._watchman
        if watchman is not None:
            watchman.ring()

    def _lostLead(self, cell: Cell) -> None:
        if monotonic_ns() - cell.words[0] > _MOMENT:
            self._expectSlow = _EXPECT_SLOW
        # The one who took it may still be at it.
        with self._lock:
            pass
        cell.words[0] = 0

    def _finished(self, runner: Runner) -> None:
        """
        A thread that lost the lead has done what it had in hand.
        """
        self._counts.append(runner.takeCounts())
        with self._lock:
            cell, runner.cell = runner.cell, None
            assert cell is not None
            if self._leader.cell is None:
                self._leader.cell = cell
            else:
                self._free.append(cell)
            self._busy -= 1
        os.eventfd_write(self._freed, 1)

    # The watchman

    def _watch(self, runner: Runner) -> None:
        """
        Look after the leader, until it is time to take its place.
        """
        quiet = 0
        wait = _LOOK
        while runner is self._watchman and not self._ended:
            runner.bell.acquire(timeout=wait)
            wait = _LOOK
            leader = self._leader
            if not leader.lease:
                quiet += 1
                if quiet > _QUIET_LOOKS:
                    self._asleep = True
                    # A request that began before it could see this is seen here.
                    if not self._leader.lease and not self._ended:
                        runner.bell.acquire()
                    self._asleep = False
                    quiet = 0
                continue
            quiet = 0
            cell = leader.cell
            begun = cell.words[0] if cell is not None else 0
            if not begun:
                # Nothing, or something that has ended, or is about to begin.
                continue
            age = monotonic_ns() - begun
            limit = _GLIMPSE if self._expectSlow else _MOMENT
            if age > limit:
                if age > _MOMENT:
                    self._expectSlow = _EXPECT_SLOW
                self._takeLead(runner)
            elif self._expectSlow:
                wait = (limit - age) / 1e9

    def _takeLead(self, runner: Runner) -> None:
        with self._lock:
            former = self._leader
            try:
                connection = former.lease.pop()
            except IndexError:
                # It was quicker after all.
                return
            connection.detach(former)
            self._busy += 1
            # There is a cell for each request that can run; with all of them in use
            # this thread will only keep the house.
            runner.cell = self._free.pop() if self._free else None
            self._watchman = None
            self._leader = runner
            self._fill()
            self._countThreads()
