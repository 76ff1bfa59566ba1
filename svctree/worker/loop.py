"""
What the loops of all worker models have in common: the house around the connections.
"""

from __future__ import annotations

import os
import random
import socket
import sys
from collections.abc import Callable, Sequence
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from svctree.pool.scoreboard import (
    BYTES_IN,
    BYTES_OUT,
    CONNECTIONS,
    ERRORS,
    REQUESTS,
    Slot,
)
from svctree.wire.contract import ICodec
from svctree.wire.registry import codecs
from svctree.worker import polling
from svctree.worker.accept import Acceptor
from svctree.worker.body import Reserve
from svctree.worker.brief import Brief
from svctree.worker.config import WorkerConfig
from svctree.worker.connection import Connection
from svctree.worker.origin import Origin
from svctree.worker.polling import READ
from svctree.worker.relay import Ends, Relay
from svctree.worker.timers import NEVER, Wheel
from svctree.worker.trust import Trust
from svctree.worker.waiting import Waiting
from svctree.wsgi import Gateway

if TYPE_CHECKING:
    from svctree.worker.accesslog import AccessLog, Answer

__all__ = ["EVENTS", "Loop"]

EVENTS = 256
"""How many events one turn takes: a bound on how long a new one waits."""

_KEPT = 4 << 20
"""
Bytes. glibc gives freed memory back to the system at once, from 128 KB on, and takes a
fault for each page when it is wanted again; but not less than the largest block that it
has seen freed. So one of this size is freed (and never touched) before the first
request. Measured with answers of 100 MB in blocks of 64 KB that wait for the client:
500 page faults for each without it, none with it.
"""

_PAGE = os.sysconf("SC_PAGE_SIZE")


class _Handlers(dict[int, Callable[[], None]]):
    """
    From a descriptor to what to call. A descriptor that an earlier event of the same
    turn has closed gives a call that does nothing.
    """

    def __missing__(self, fd: int) -> Callable[[], None]:
        return _nothing


def _nothing() -> None:
    pass


class Loop:
    """
    Serves an application to the clients of some listening sockets. The models add
    C{run()}, the turns of the loop, and C{serve()}, the call of the application.

    @ivar onRetireWanted: called with a reason when the worker has done its share
        (C{max-requests}, C{max-age}, C{max-memory}); the loop serves on until it is
        told to retire.
    @ivar brief: what takes the connections that are accepted, where it pays.
    @ivar now: the monotonic clock at the beginning of this turn, in seconds.
    @ivar keepalive: seconds that a connection may be idle.
    @ivar keepaliveIsSoon: that deadline may have to be brought closer.
    @ivar relay: what shares connections with other workers, where there are some.
    @ivar reserve: for the large bodies of requests.
    @ivar retiring: L{retire} was called.
    @ivar grace: what it was called with.
    """

    def __init__(
        self,
        application: Callable[..., Any],
        config: WorkerConfig,
        sockets: Sequence[socket.socket],
        slot: Slot,
    ) -> None:
        self.config = config
        self.keepalive = config.keepaliveTimeout
        # Else the wheel looks at a connection before it can have been idle too long.
        self.keepaliveIsSoon = config.keepaliveTimeout < config.headerTimeout
        self.poller = polling.newPoller()
        self.handlers: dict[int, Callable[[], None]] = _Handlers()
        self.wheel = Wheel()
        self.reserve = Reserve()
        self.now = monotonic()
        self.connections: set[Waiting] = set()
        self.brief: Brief | None = None
        self.onRetireWanted: Callable[[str], None] = _nobody
        self.bytesIn = self.bytesOut = self.errors = self.served = 0
        self._slot = slot
        self._answer: Answer = Gateway(application).answer
        self.refused: Callable[[socket.socket, int], None] | None = None
        self.codecs = codecs(config.protocol)(
            config.limits, config.mount, config.serverName
        )
        self.relay: Relay | None = None
        trust = Trust(config.forwardedAllow) if config.forwardedAllow else None
        self.trust = trust
        proxied = config.proxied or [config.proxyProtocol] * len(sockets)
        origins = [
            Origin(sock, config, trust, expected)
            for sock, expected in zip(sockets, proxied, strict=True)
        ]
        self.acceptor = Acceptor(self, origins, config.shared)
        self._nextTick = 0.0
        self.retiring = False
        self.grace = 0.0
        self._abandoned = False
        self._total = 0
        self._most = _jittered(config.maxRequests, config.maxRequestsJitter)
        self._askedToRetire = False
        # The deadline of the worker itself is its greatest age.
        self.deadline = self.now + config.maxAge if config.maxAge else NEVER
        self.bucket = 0

    # The world's side

    def logAccess(self, log: AccessLog) -> None:
        """
        Have a line written for each request.
        """
        self._answer = log.around(self._answer)
        self.refused = log.refused

    def joinRelay(self, ends: Ends, slots: Sequence[Slot]) -> None:
        """
        Share connections with the other workers of the pool.

        @param slots: of all of them.
        """
        self.relay = Relay(self, ends, slots, self._slot.number)

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """
        Call C{callback} in this loop whenever C{fd} is readable.
        """
        self.handlers[fd] = callback
        self.poller.register(fd, READ)

    def unwatch(self, fd: int) -> None:
        """
        Undo L{watch}.
        """
        del self.handlers[fd]
        self.poller.unregister(fd)

    def retire(self, grace: float, drain: bool) -> None:
        """
        Accept no more, and let L{run} return when nothing is in hand.

        @param grace: seconds that an idle connection has to send its next request,
            which is answered with C{Connection: close}.
        @param drain: first take the connections that wait in the kernel's queues.
        """
        first = not self.retiring
        self.acceptor.stop()
        if self.relay is not None:
            self.relay.stop()
        self.retiring = True
        if drain:
            self.acceptor.drain()
        elif first:
            # A connection that woke this worker, and so no other, may still wait.
            self.acceptor.drain(1)
        self.grace = grace
        for connection in list(self.connections):
            connection.retire(self.now, grace)

    def abandon(self) -> None:
        """
        Let L{run} return as soon as possible.
        """
        self._abandoned = True

    # The connections' side

    def welcome(self, sock: socket.socket, address: Any, origin: Origin) -> Connection:
        """
        Begin with a connection that was accepted.
        """
        sock.setblocking(False)
        return self.adopt(sock, origin.codec(self.codecs, sock, address))

    def adopt(self, sock: socket.socket, codec: ICodec) -> Connection:
        """
        @param sock: a connection, non-blocking.
        @return: the same, looked after by this loop.
        """
        connection = Connection(self, sock, codec)
        self.connections.add(connection)
        connection.start()
        if self.retiring:
            connection.retire(self.now, 0.0)
        return connection

    def goodbye(self, connection: Waiting) -> None:
        """
        A connection has ended; its descriptor is about to be free.
        """
        self.handlers.pop(connection.fd, None)
        self.wheel.disarm(connection)
        self.connections.discard(connection)
        if self.acceptor.paused and self._mayAccept():
            self.acceptor.resume()
        if self.relay is not None and self.relay.paused and self._mayAccept():
            self.relay.resume()

    def _mayAccept(self) -> bool:
        """
        @return: whether this thread may touch the listening sockets.
        """
        return True

    def interest(self, fd: int, before: int, mask: int) -> None:
        """
        Change what a connection waits for.

        @param before: the mask so far, 0 for none.
        @param mask: C{READ}, C{WRITE} or 0.
        """
        if not mask:
            self.poller.unregister(fd)
        elif before:
            self.poller.modify(fd, mask)
        else:
            self.poller.register(fd, mask)

    def mayServe(self, otherwise: Callable[[], None]) -> bool:
        """
        @param otherwise: is called when a request may be run again.
        @return: whether L{serve} may be called now, outside of the turn's events.
        """
        return True

    def serve(
        self, connection: Connection, environ: dict[str, object], line: bytes
    ) -> int:
        """
        Run the application.

        @return: the outcome, as L{Gateway.answer} says.
        """
        raise NotImplementedError

    # The turns

    def run(self) -> None:
        """
        Serve until retired or abandoned.
        """
        raise NotImplementedError

    def _begin(self) -> None:
        bytearray(_KEPT)
        self.acceptor.start()
        if self.relay is not None:
            self.relay.start()
        self.now = monotonic()
        if self.deadline != NEVER:
            self.wheel.arm(self, self.deadline)
        self._tick()

    def expired(self, now: float) -> None:
        """
        The worker has come of age.
        """
        self._wantRetirement("max-age")

    def _over(self) -> bool:
        return self._abandoned or (
            self.retiring
            and not self.connections
            and not self.acceptor.left
            and not (self.relay is not None and self.relay.paused)
        )

    def _inherits(self) -> bool:
        """
        @return: whether it is not over after all: there was something that nobody
            else would have done.
        """
        return not self._abandoned and self.relay is not None and self.relay.inherit()

    def _timeout(self) -> float:
        """
        @return: seconds until the wheel wants to be looked at; -1 for never.
        """
        due = self.wheel.due
        return -1 if due == NEVER else max(due - monotonic(), 0.0)

    def _tick(self) -> None:
        """
        What is due once in a second in which something happens.
        """
        wall = time()
        self._nextTick = self.now + 1.0 - wall % 1.0
        self.codecs.tick(wall)
        limit = self.config.maxMemory
        if limit and _residentMemory() > limit:
            self._wantRetirement("max-memory")

    def _account(self) -> None:
        """
        Write what this turn did into the scoreboard.
        """
        words = self._slot.words
        if self.served:
            words[REQUESTS] += self.served
            self._total += self.served
            self.served = 0
            if self._most and self._total >= self._most:
                self._wantRetirement("max-requests")
        if self.bytesIn or self.bytesOut:
            words[BYTES_IN] += self.bytesIn
            words[BYTES_OUT] += self.bytesOut
            self.bytesIn = self.bytesOut = 0
        if self.errors:
            words[ERRORS] += self.errors
            self.errors = 0
        words[CONNECTIONS] = len(self.connections)

    def _wantRetirement(self, reason: str) -> None:
        if not self._askedToRetire and not self.retiring:
            self._askedToRetire = True
            self.onRetireWanted(reason)

    def _end(self) -> None:
        self.acceptor.stop()
        for connection in list(self.connections):
            connection.close()
        self._account()
        self.poller.close()


def _nobody(reason: str) -> None:
    pass


def _jittered(most: int, jitter: str | float) -> int:
    """
    @param jitter: a part (C{0.1}, C{"10%"}) that is added at random, so that workers
        which started together do not retire together.
    """
    if not most:
        return 0
    part = float(jitter[:-1]) / 100 if isinstance(jitter, str) else jitter
    return most + random.randint(0, int(most * part))


def _residentMemory() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except OSError:
        import resource

        # The peak; kilobytes but on macOS.
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
