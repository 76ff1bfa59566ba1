"""
One thread that reads, runs and writes: the models C{single} and C{prefork}.
"""

from __future__ import annotations

from time import monotonic, monotonic_ns
from typing import TYPE_CHECKING

from svctree.pool.scoreboard import BEAT, NOTE, STATE, THREADS, State
from svctree.worker.brief import Brief
from svctree.worker.loop import EVENTS, Loop

if TYPE_CHECKING:
    from svctree.worker.connection import Connection

__all__ = ["SingleLoop"]


class SingleLoop(Loop):
    """
    Runs one request at a time, to its end, and never waits for a client.
    """

    def run(self) -> None:
        """
        Serve until retired (or abandoned).
        """
        self._cell = self._slot.cells[0]
        if self.config.protocol != "http":
            self.brief = Brief(self)
        self._begin()
        words = self._slot.words
        words[THREADS] = 1
        poll = self.epoll.poll
        handlers = self.handlers
        wheel = self.wheel
        acceptor = self.acceptor
        while not self._over():
            events = poll(self._timeout(), EVENTS)
            now = self.now = monotonic()
            if not self.retiring:
                words[STATE] = State.BUSY
            words[BEAT] = int(now * 1e9)
            if now >= self._nextTick:
                self._tick()
            if acceptor.pressed and len(events) > 1:
                for fd, _ in events:
                    handlers[fd]()
                    if acceptor.pressed:
                        acceptor.offer()
            else:
                for fd, _ in events:
                    handlers[fd]()
            if now >= wheel.due:
                wheel.sweep(now)
            self._account()
            if not self.retiring:
                words[STATE] = State.IDLE
        self._end()

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
