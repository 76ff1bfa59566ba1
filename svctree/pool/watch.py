"""
What a pool looks at now and then: requests that take too long, and the load.

Everything else in a pool is an event. A request that hangs makes none, so its time
is read from the scoreboard.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from svctree.pool.deadline import Deadline
from svctree.pool.messages import SLOW_SIGNAL
from svctree.pool.record import WorkerRecord
from svctree.pool.roster import Roster
from svctree.pool.scoreboard import STATE, State

if TYPE_CHECKING:
    from svctree.pool.service import PoolService
    from svctree.pool.shared import Shared

__all__ = ["Watch"]

_log = Logger("svctree.pool")

# Time for the stacks to be written before the process is killed; on a busy machine the
# zygote may wait for a processor before it passes the signal on, and the worker, too.
_DUMP_TIME = 1.0

# The load: share of busy workers (or of their threads), over so many looks, and what
# it leads to. One worker more as soon as nearly all are busy; one less only when the
# remaining ones would still be half idle, so that the number does not swing.
_LOOKS = 8
_GROW_ABOVE = 0.75
_SHRINK_BELOW = 0.4
_SHRINK_LOOKS = 40

_DUMP_SIGNAL = signal.SIGUSR2


class Watch:
    """
    Looks at the scoreboard of one pool.
    """

    def __init__(self, pool: PoolService, shared: Shared) -> None:
        self._pool = pool
        self._shared = shared
        self._least, self._most = shared.model.processes(shared.settings)
        self._busy: list[float] = []
        self._slow: set[tuple[int, int]] = set()
        self._loop = LoopingCall(self._look)
        self._loop.clock = shared.reactor

    def start(self) -> None:
        """
        Begin to look, as often as the settings need it.
        """
        timeout = self._shared.settings.timeout
        intervals = []
        if timeout:
            intervals.append(min(1.0, timeout / 10))
        if self._shared.settings.slowRequest:
            intervals.append(min(1.0, self._shared.settings.slowRequest / 4))
        if self._least < self._most:
            intervals.append(0.25)
        if intervals and not self._loop.running:
            self._loop.start(max(0.02, min(intervals)), now=False)

    def stop(self) -> None:
        if self._loop.running:
            self._loop.stop()

    def _look(self) -> None:
        try:
            self._lookAtAll()
        except Exception:
            # One bad look must not be the last.
            _log.failure("{pool}: looking at the workers", pool=self._shared.name)

    def _lookAtAll(self) -> None:
        timeout = self._shared.settings.timeout
        if timeout:
            limit = time.monotonic_ns() - int(timeout * 1e9)
            succession = self._pool.succession
            for generation in succession.generations if succession else ():
                for record in list(generation.roster.workers.values()):
                    self._checkRequests(generation.roster, record, limit)
        if self._shared.settings.slowRequest:
            self._lookForSlow()
        if self._least < self._most:
            self._followLoad()

    def _lookForSlow(self) -> None:
        """
        Have the stacks written once for each request that takes longer than it
        should.
        """
        settings = self._shared.settings
        limit = time.monotonic_ns() - int(settings.slowRequest * 1e9)
        running: set[tuple[int, int]] = set()
        succession = self._pool.succession
        for generation in succession.generations if succession else ():
            for record in list(generation.roster.workers.values()):
                slot = self._shared.scoreboard.slots[record.slot]
                for start, line in [cell.read() for cell in slot.cells]:
                    if not start or start > limit or not record.ready:
                        continue
                    running.add((record.pid, start))
                    if (record.pid, start) not in self._slow:
                        self._noteSlow(record, start, line)
                        generation.roster.kill(record, SLOW_SIGNAL)
        self._slow = running

    def _noteSlow(self, record: WorkerRecord, start: int, line: str) -> None:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        age = (time.monotonic_ns() - start) / 1e9
        text = (
            f"{moment} {self._shared.name}: worker {record.slot} (pid {record.pid}): "
            f"{line or 'a request'!r} runs for {age:.1f} s\n"
        )
        path = self._shared.settings.slowlog
        if path in (None, "-"):
            os.write(2, text.encode())
            return
        try:
            with open(path, "a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            _log.error("slowlog {path}: {reason}", path=path, reason=error.strerror)

    def _checkRequests(self, roster: Roster, record: WorkerRecord, limit: int) -> None:
        slot = self._shared.scoreboard.slots[record.slot]
        started = slot.starts()
        late = [start for start in started if start <= limit]
        if not late:
            return
        if not record.stuck:
            record.stuck = True
            slot.words[STATE] = State.STUCK
            self._report(record, min(late))
            # The handler writes the stacks without needing the interpreter.
            roster.kill(record, _DUMP_SIGNAL)
            roster.replace(record, "a request took too long")
            if len(started) > len(late):
                roster.retire(record, 0.0)
        if len(started) == len(late) and "kill" not in record.timers:
            # Nobody else's request is in there (any more).
            record.timers["kill"] = Deadline(
                self._shared.reactor,
                _DUMP_TIME,
                roster.kill,
                record,
                signal.SIGKILL,
                "a request took too long",
            )

    def _report(self, record: WorkerRecord, start: int) -> None:
        cells = self._shared.scoreboard.slots[record.slot].cells
        lines = [line for begun, line in (c.read() for c in cells) if begun == start]
        _log.error(
            "{pool}: worker {slot} (pid {pid}): {request} runs for {age:.1f} s, "
            "timeout is {timeout:g} s; the stacks of its threads follow, then it is "
            "replaced",
            pool=self._shared.name,
            slot=record.slot,
            pid=record.pid,
            request=repr(lines[0]) if lines and lines[0] else "a request",
            age=(time.monotonic_ns() - start) / 1e9,
            timeout=self._shared.settings.timeout,
        )

    def _followLoad(self) -> None:
        succession = self._pool.succession
        generation = succession.current if succession else None
        if generation is None:
            return
        slots = self._shared.scoreboard.slots
        records = [r for r in generation.roster.workers.values() if r.ready]
        if not records:
            return
        # Of a worker with threads each is a part.
        cells = [cell for r in records for cell in slots[r.slot].cells]
        busy = sum(1 for cell in cells if cell.words[0])
        self._busy.append(busy / len(cells))
        del self._busy[:-_SHRINK_LOOKS]
        target = self._pool.size
        recent = self._busy[-_LOOKS:]
        share = sum(recent) / len(recent)
        if len(recent) == _LOOKS and share > _GROW_ABOVE and target < self._most:
            self._scale(target + 1, share)
        elif len(self._busy) == _SHRINK_LOOKS and target > self._least:
            share = sum(self._busy) / _SHRINK_LOOKS
            # The share that the remaining workers would have.
            if share * target / (target - 1) < _SHRINK_BELOW:
                self._scale(target - 1, share)

    def _scale(self, target: int, share: float) -> None:
        self._busy.clear()
        _log.info(
            "{pool}: {share:.0%} of the workers are busy, {target} from now on",
            pool=self._shared.name,
            share=share,
            target=target,
        )
        self._pool.scale(target).addErrback(
            lambda failure: _log.failure(
                "{pool}: scaling", failure, pool=self._shared.name
            )
        )
