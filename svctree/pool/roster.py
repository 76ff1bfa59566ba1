"""
The workers of one generation: how many there are, and what follows when one ends.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from svctree.pool import messages
from svctree.pool.backoff import Backoff
from svctree.pool.deadline import Deadline
from svctree.pool.errors import BootError
from svctree.pool.messages import Message
from svctree.pool.record import WorkerRecord
from svctree.pool.scoreboard import REQUESTS
from svctree.pool.shared import Shared

__all__ = ["IRosterOwner", "Roster"]

_log = Logger("svctree.pool")

# A worker that ends earlier, and without having answered anything, counts as one
# that does not work; its successor has to wait.
_PROVEN_AFTER = 1.0


class IRosterOwner(Protocol):
    """
    What a roster asks of its generation.
    """

    isReady: bool
    retiring: bool

    def send(self, message: Message) -> None:
        """
        Pass a message to the zygote.
        """

    def enoughWorkers(self) -> None:
        """
        The full number of workers is ready.
        """

    def cannotBoot(self, error: BootError) -> None:
        """
        A worker ended before it was ever ready.
        """


class Roster:
    """
    @ivar workers: pid to record, in the order of their start.
    @ivar target: how many there shall be.
    @ivar backoff: of failed starts.
    """

    def __init__(self, owner: IRosterOwner, shared: Shared, target: int) -> None:
        self._owner = owner
        self._shared = shared
        self._clock = shared.reactor
        self.target = target
        self.workers: dict[int, WorkerRecord] = {}
        self.backoff = Backoff(shared.random)
        # Whether there is a zygote that takes orders.
        self._open = False
        self._pending: set[int] = set()
        self._delayed: set[IDelayedCall] = set()
        self._settled: list[Deferred[None]] = []
        self.handlers: dict[type, Callable[..., None]] = {
            messages.Forked: self._forked,
            messages.ForkFailed: self._forkFailed,
            messages.Ready: self._ready,
            messages.RetireWanted: self._retireWanted,
            messages.Exited: self._exited,
        }

    @property
    def empty(self) -> bool:
        """
        No worker is there and none was asked for.
        """
        return not self.workers and not self._pending

    def readyCount(self) -> int:
        """
        @return: how many workers accept requests.
        """
        return sum(1 for r in self.workers.values() if r.ready and not r.retiring)

    # -- orders

    def open(self) -> None:
        """
        The zygote takes orders: ask for the workers.
        """
        self._open = True
        self.fill()

    def scaleTo(self, target: int) -> Deferred[None]:
        """
        Have this many workers; of those that are too many the ones that want to
        leave retire first, then the youngest.

        @return: fires when just so many are ready and no other is left.
        """
        self.target = target
        staying = [r for r in self.workers.values() if not r.retiring]
        staying.sort(key=lambda record: bool(record.leaving))
        if self._open:
            for record in staying[target:]:
                self.retire(record, self._shared.graceOfReload)
        self.fill()
        waiter: Deferred[None] = Deferred()
        self._settled.append(waiter)
        self._checkSettled()
        return waiter

    def retire(self, record: WorkerRecord, grace: float) -> None:
        """
        Let one worker end in good order.
        """
        record.retiring = True
        deadline = self._shared.settings.gracefulTimeout
        self._owner.send(messages.Retire(record.pid, grace, False, deadline))

    def replace(self, record: WorkerRecord, why: str) -> None:
        """
        Start the successor of a worker at once; the worker retires when there are
        enough without it.
        """
        record.leaving = record.leaving or why
        self.fill()

    def kill(self, record: WorkerRecord, number: int, why: str = "") -> None:
        """
        Send a signal to a worker.

        @param why: noted as the reason of its end.
        """
        if self.workers.get(record.pid) is not record:
            return
        record.killed = why or record.killed
        if self._open:
            self._owner.send(messages.Kill(record.pid, number))
        else:
            record.signal(number)

    def killAll(self) -> None:
        """
        End the workers of a zygote that does not do it.
        """
        for record in self.workers.values():
            record.signal(signal.SIGKILL)

    def retireAll(self) -> None:
        """
        The owner ends the generation: whatever happens from now on is no news.
        """
        for call in self._delayed:
            call.cancel()
        self._delayed.clear()
        for record in self.workers.values():
            record.retiring = True
        self._checkSettled()

    def fill(self) -> None:
        """
        Ask for the workers that are missing.
        """
        if self._owner.retiring or not self._open:
            return
        staying = sum(
            1 for r in self.workers.values() if not r.retiring and not r.leaving
        )
        for _ in range(self.target - staying - len(self._pending) - len(self._delayed)):
            slot = self._shared.takeSlot()
            if slot is None:
                self._shared.whenSlotIsFree(self.fill)
                return
            self._pending.add(slot)
            self._owner.send(messages.Spawn(slot))

    def _fillLater(self, delay: float) -> None:
        if not delay:
            self.fill()
            return

        def now() -> None:
            self._delayed.discard(call)
            self.fill()

        call = self._clock.callLater(delay, now)
        self._delayed.add(call)

    # -- what the zygote reports

    def _forked(self, message: messages.Forked) -> None:
        self._pending.discard(message.slot)
        words = self._shared.scoreboard.slots[message.slot].words
        record = WorkerRecord(
            message.slot, message.pid, self._clock.seconds(), words[REQUESTS]
        )
        self.workers[message.pid] = record
        record.retiring = self._owner.retiring
        record.timers["boot"] = Deadline(
            self._clock, self._shared.settings.bootTimeout, self._bootTimedOut, record
        )
        staying = sum(
            1 for r in self.workers.values() if not r.retiring and not r.leaving
        )
        if staying > self.target:
            # Fewer are wanted by now than when it was asked for.
            self.retire(record, self._shared.graceOfReload)

    def _forkFailed(self, message: messages.ForkFailed) -> None:
        self._pending.discard(message.slot)
        delay = max(0.1, self.backoff.failed())
        _log.warn(
            "{pool}: no process for another worker ({reason}); serving with {count}, "
            "next try in {delay:.1f} s",
            pool=self._shared.name,
            reason=message.reason,
            count=self.readyCount(),
            delay=delay,
        )
        if not self._owner.retiring:
            self._fillLater(delay)
        self._shared.releaseSlot(message.slot)

    def _ready(self, message: messages.Ready) -> None:
        record = self.workers.get(message.pid)
        if record is None:
            return
        record.ready = True
        record.since = self._clock.seconds()
        record.cancel("boot")
        for leaving in list(self.workers.values()):
            if self.readyCount() <= self.target:
                break
            if leaving.leaving and not leaving.retiring:
                self.retire(leaving, self._shared.graceOfReload)
        self._checkSettled()

    def _retireWanted(self, message: messages.RetireWanted) -> None:
        record = self.workers.get(message.pid)
        if record is not None and not (record.retiring or record.leaving):
            _log.info(
                "{pool}: worker {slot} (pid {pid}) is replaced: {reason}",
                pool=self._shared.name,
                slot=record.slot,
                pid=record.pid,
                reason=message.reason,
            )
            self.replace(record, message.reason)

    def _exited(self, message: messages.Exited) -> None:
        record = self.workers.pop(message.pid, None)
        if record is None:
            # It was found dead already, its zygote being about to end.
            return
        self._forget(record)
        if not record.retiring:
            self._ended(record, message.status)
        self._checkSettled()

    def _ended(self, record: WorkerRecord, status: int) -> None:
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        if not record.ready and not self._owner.isReady:
            early = (
                f"a worker of pool {self._shared.name!r} ended with {how} before it "
                "was ready"
            )
            self._owner.cannotBoot(BootError(record.killed or early))
            return
        delay = self._delayAfter(record)
        _log.warn(
            "{pool}: worker {slot} (pid {pid}) ended with {how}{why}; "
            "replacement {when}",
            pool=self._shared.name,
            slot=record.slot,
            pid=record.pid,
            how=how,
            why=f" ({record.killed})" if record.killed else "",
            when=f"in {delay:.1f} s" if delay else "at once",
        )
        self._shared.crashes += 1
        self._fillLater(delay)

    def _delayAfter(self, record: WorkerRecord) -> float:
        requests = self._shared.scoreboard.slots[record.slot].words[REQUESTS]
        lived = self._clock.seconds() - record.since
        proven = requests > record.requestsBefore or lived >= _PROVEN_AFTER
        if record.ready and proven:
            self.backoff.succeeded()
            return 0.0
        return self.backoff.failed()

    def forgetDead(self) -> None:
        """
        Drop the workers that have ended unreported, their zygote being gone.
        """
        for pid in [p for p, r in self.workers.items() if not r.isAlive()]:
            record = self.workers.pop(pid)
            self._shared.scoreboard.slots[record.slot].clear()
            self._forget(record)

    def zygoteGone(self) -> None:
        """
        What was asked for will not come.
        """
        self._open = False
        for record in self.workers.values():
            # Nobody reports any more that it is ready.
            record.cancel("boot")
        for slot in self._pending:
            self._shared.releaseSlot(slot)
        self._pending.clear()
        for call in self._delayed:
            call.cancel()
        self._delayed.clear()

    def _forget(self, record: WorkerRecord) -> None:
        record.cancelAll()
        self._shared.releaseSlot(record.slot)

    def _bootTimedOut(self, record: WorkerRecord) -> None:
        self.kill(
            record,
            signal.SIGKILL,
            f"a worker of pool {self._shared.name!r} was not ready within "
            f"boot-timeout = {self._shared.settings.bootTimeout:g} s",
        )

    def _checkSettled(self) -> None:
        if self.readyCount() >= self.target:
            self._owner.enoughWorkers()
        settled = self._owner.retiring or (
            self.readyCount() == len(self.workers) == self.target
        )
        if settled:
            waiters, self._settled = self._settled, []
            for waiter in waiters:
                waiter.callback(None)
