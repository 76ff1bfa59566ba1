"""
The threads of one loop, and who does what.

One thread at a time, the I{leader}, does what the single loop does: it polls, reads,
runs the application and writes. So as long as requests are quick, threads cost
nothing: there is no hand-over and no fight for the interpreter. A request that takes
longer than a moment loses the lead: the I{watchman}, a spare thread that looks at the
leader every few milliseconds, takes the poll set, the rest of the turn's events and
the lead; the former leader finishes its request and its connection on its own, and
becomes spare. Where a machine is busy a quick request may look slow, since its process
was not given a processor; so the watchman looks again a third of a millisecond later,
and takes the lead if it is still the same request. (Measured on a busy machine, old
beside new, one run: 9% less processor time for each request with a browser's fields,
13% for a plain one.) After a request that
was slow the next ones are expected to be: then the watchman is called before the
application is, and looks after a third of a millisecond, once.

The other way is to let all threads poll with C{EPOLLONESHOT}. It costs a system call
more for each request, and every system call hands the interpreter to another thread.
Measured with 32 connections and a quick application on one core, in one run: here 4
threads take 5% more processor time for a request than one thread takes.

Guarantees:

  - A connection belongs to the leader, or to the thread that runs its request. Which
    of the two is decided by C{list.pop} on the lease, which is atomic: whoever gets
    the connection has it.
  - The number of spare threads stays between C{minspare} and C{maxspare}.
"""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic_ns
from typing import Any

from svctree.pool.scoreboard import THREADS, Cell
from svctree.worker.loop import Loop
from svctree.worker.runner import LockedWheel, Runner

__all__ = ["Crew"]

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


class Crew(Loop):
    """
    A loop with several threads; what the leader does is for the subclass to say.

    @ivar leader: who leads.
    @ivar busy: how many threads finish a request on their own.
    @ivar limit: how many requests may run at once.
    @ivar expectSlow: before so many requests the watchman is to be called.
    @ivar asleep: so it is before the next one, in any case.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.wheel = LockedWheel()
        self.limit = self.config.maxThreads
        self.busy = 0
        self.expectSlow = 0
        self.asleep = False
        self._main = self.leader = Runner()
        self._lock = threading.Lock()
        self._free = list(reversed(self._slot.cells[: self.limit]))
        self._runners: dict[int, Runner] = {}
        self._watchman: Runner | None = None
        self._parked: list[Runner] = []
        self._starting = 0
        self._threads: list[threading.Thread] = []
        self._counts: deque[tuple[int, int, int, int]] = deque()
        self._ended = False

    def lead(self, runner: Runner) -> None:
        """
        Take the turns of the loop until another thread leads, or all is over.
        """
        raise NotImplementedError

    def becameFree(self) -> None:
        """
        A thread has become free for another request.
        """
        raise NotImplementedError

    # The life of threads

    def work(self) -> bool:
        """
        Lead, or do what else there is to do, until all is over; in the main thread.

        @return: whether no thread is left that runs a request.
        """
        self._main.cell = self._free.pop()
        with self._lock:
            self._fill()
        self._live(self._main)
        for thread in self._threads:
            thread.join(0.05 if self._abandoned else None)
            if thread.is_alive():
                return False
        return True

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
            if runner is self.leader:
                self.lead(runner)
                if runner is not self.leader:
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
                        self._countThreads()
                        return False
                    # The main thread stays; another one comes here again and goes.
                    if self._parked:
                        self._parked.pop().ring()
                self._parked.append(runner)
                self._appoint()
                self._countThreads()
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
        room = self.limit - self.busy - self._spare()
        for _ in range(min(wanted - self._spare(), room)):
            self._starting += 1
            thread = threading.Thread(target=self._thread, daemon=True)
            self._threads = [t for t in self._threads if t.is_alive()] + [thread]
            thread.start()
        self._countThreads()

    def _countThreads(self) -> None:
        # The one that keeps the house when all others run is not counted.
        threads = self.busy + self._spare() + 1
        self._slot.words[THREADS] = min(threads, self.limit)

    def _account(self) -> None:
        # Also at the end: what the others had in hand ended after the last turn.
        while self._counts:
            served, bytesIn, bytesOut, errors = self._counts.popleft()
            self.served += served
            self.bytesIn += bytesIn
            self.bytesOut += bytesOut
            self.errors += errors
        super()._account()

    def _mayAccept(self) -> bool:
        # A thread that is about to be spare must not touch the listening sockets.
        return self._runners.get(threading.get_ident()) is self.leader

    def _allOver(self) -> None:
        self._ended = True
        with self._lock:
            for runner in [*self._runners.values(), *self._parked]:
                runner.ring()

    # The hand-over

    def callWatchman(self) -> None:
        """
        A request is about to begin that may be slow.
        """
        self.asleep = False
        if self.expectSlow:
            self.expectSlow -= 1
        watchman = self._watchman
        if watchman is not None:
            watchman.ring()

    def lostLead(self, cell: Cell) -> None:
        """
        A request is over whose thread does not lead any more.
        """
        if monotonic_ns() - cell.words[0] > _MOMENT:
            self.expectSlow = _EXPECT_SLOW
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
            if self.leader.cell is None:
                self.leader.cell = cell
            else:
                self._free.append(cell)
            self.busy -= 1
        self.becameFree()

    def _watch(self, runner: Runner) -> None:
        """
        Look after the leader, until it is time to take its place.
        """
        quiet = suspect = 0
        wait = _LOOK
        while runner is self._watchman and not self._ended:
            runner.bell.acquire(timeout=wait)
            wait = _LOOK
            leader = self.leader
            if not leader.lease:
                quiet += 1
                if quiet > _QUIET_LOOKS:
                    self.asleep = True
                    # A request that began before it could see this is seen here.
                    if not self.leader.lease and not self._ended:
                        runner.bell.acquire()
                    self.asleep = False
                    quiet = 0
                continue
            quiet = 0
            cell = leader.cell
            begun = cell.words[0] if cell is not None else 0
            if not begun:
                # Nothing, or something that has ended, or is about to begin.
                continue
            age = monotonic_ns() - begun
            limit = _GLIMPSE if self.expectSlow else _MOMENT
            if age <= limit:
                if self.expectSlow:
                    wait = (limit - age) / 1e9
            elif self.expectSlow or begun == suspect:
                if age > _MOMENT:
                    self.expectSlow = _EXPECT_SLOW
                self._takeLead(runner)
            else:
                # It may be this process that was slow to be given a processor.
                suspect = begun
                wait = _GLIMPSE / 1e9

    def _takeLead(self, runner: Runner) -> None:
        with self._lock:
            former = self.leader
            try:
                connection = former.lease.pop()
            except IndexError:
                # It was quicker after all.
                return
            connection.detach(former)
            self.busy += 1
            # There is a cell for each request that can run; with all of them in use
            # this thread will only keep the house.
            runner.cell = self._free.pop() if self._free else None
            self._watchman = None
            self.leader = runner
            self._fill()
