"""
One thread that reads, runs and writes: the models C{single} and C{prefork}.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic, monotonic_ns
from typing import TYPE_CHECKING, Any

from svctree.pool.scoreboard import BEAT, NOTE, STATE, THREADS, State
from svctree.worker.brief import Brief
from svctree.worker.loop import EVENTS, Loop
from svctree.worker.relay import SLOW

if TYPE_CHECKING:
    from svctree.worker.connection import Connection

__all__ = ["SingleLoop"]


class SingleLoop(Loop):
    """
    Runs one request at a time, to its end, and never waits for a client.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._cell = self._slot.cells[0]

    def run(self) -> None:
        """
        Serve until retired (or abandoned).
        """
        if self.config.protocol != "http":
            self.brief = Brief(self)
        self._begin()
        words = self._slot.words
        words[THREADS] = 1
        idle, busy = State.IDLE, State.BUSY
        poll = self.poller.poll
        handlers = self.handlers
        wheel = self.wheel
        relay = self.relay
        shared = self.config.shared
        while not (self.retiring or self._abandoned) or not self._isDone():
            events = poll(self._timeout(), EVENTS)
            now = self.now = monotonic()
            if not self.retiring:
                words[STATE] = busy
            words[BEAT] = int(now * 1e9)
            if now >= self._nextTick:
                self._tick()
            if shared and len(events) > 1:
                self._several(events, now)
            else:
                for fd, _ in events:
                    handlers[fd]()
                if relay is not None:
                    took = monotonic() - now
                    if took > SLOW or relay.average > SLOW:
                        relay.observe(took)
            if now >= wheel.due:
                wheel.sweep(now)
            self._account()
            if not self.retiring:
                words[STATE] = idle
        self._end()

    def _isDone(self) -> bool:
        while self._over():
            if not self._inherits():
                return True
        return False

    def _several(self, events: Sequence[tuple[int, int]], begun: float) -> None:
        """
        Handle more than one event: other workers may have time for some.

        A look at the clock costs more than anything else in here. So there is one after
        the first event, and fewer and fewer as long as all are quick.

        @param begun: the time.
        """
        handlers = self.handlers
        acceptor = self.acceptor
        relay = self.relay
        position = 0
        count = 1 if relay is not None else len(events)
        while position < len(events):
            if relay is not None and relay.average > SLOW and relay.isWorthIt():
                events = relay.share(events[position:])
                position = 0
            chunk = events[position : position + count]
            for fd, _ in chunk:
                handlers[fd]()
                if acceptor.pressed:
                    acceptor.offer()
            position += count
            if relay is not None:
                now = monotonic()
                took = (now - begun) / len(chunk)
                begun = now
                if took > SLOW or relay.average > SLOW:
                    relay.observe(took)
                    count = 1
                else:
                    count *= 4

    def serve(
        self, connection: Connection, environ: dict[str, object], line: bytes
    ) -> int:
        """
        Hot path. See L{Loop.serve}.
        """
        cell = self._cell
        NOTE(cell.memory, 0, monotonic_ns(), len(line), line)
        outcome = self._answer(environ, connection.codec, connection)
        cell.words[0] = 0
        self.served += 1
        return outcome
