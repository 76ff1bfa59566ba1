"""
Connections on their way from a worker that has too many at once to one that is free.

A connection stays with the worker that accepted it, since that costs nothing. But a
worker with one thread may find several with a request while its neighbours idle. So
all workers of a pool share one socket pair, the I{relay}: whoever finds more than it
can begin with puts the rest there, and whoever is free takes one out. What waits
there waits for the first worker of the pool, in the order in which it came.

Policy:

  - Only where requests are slow. To pass a connection on costs some 60 microseconds of
    processor time, as much as several quick requests: their worker serves them sooner
    itself. Above C{_WORTH} it is done when some worker is idle, above C{_ALWAYS} in
    any case, since one will be idle sooner than this one has served them all.
  - Only connections between two requests, of which nothing was read and for which
    nothing is left to be written: the descriptor says it all, but for what a PROXY
    header said.
  - Both ends are open in the master and in all its children, and belong to the pool,
    not to a generation: no connection is lost with a worker, whatever becomes of it,
    and what a retiring generation has put there its successor takes.
  - The receiving end is polled with C{EPOLLEXCLUSIVE}: what is put in wakes one who
    waits. Who has been woken, and cannot take it, wakes another (L{Relay.poke}).
  - Where the relay is full, the connection stays where it is. Who has no descriptor
    left takes nothing out: the kernel would drop what it cannot deliver.

What becomes ready while a worker with one thread runs the application is noticed when
that returns: it waits for the one request in hand, and for no other.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from svctree.pool.scoreboard import STATE, Slot, State
from svctree.worker.accept import isReadable
from svctree.worker.connection import Connection
from svctree.worker.origin import Origin
from svctree.worker.polling import EXCLUSIVE, READ
from svctree.worker.timers import NEVER

if TYPE_CHECKING:
    from svctree.wire.proxy import ProxyHeader
    from svctree.worker.loop import Loop

__all__ = ["SLOW", "Ends", "Relay"]

Ends = tuple[socket.socket, socket.socket]
"""Where connections come out, and where they are put in; a pair for messages
(C{SOCK_SEQPACKET}, or C{SOCK_DGRAM}) that all workers share."""

Event = tuple[int, int]

SLOW = 0.0005
"""Seconds from which on a request counts by itself, and not with all others of a turn
of the loop."""

_WORTH = 0.001
_ALWAYS = 0.003
_WEIGHT = 0.125
# A request that takes longer counts as much as this: where processors are scarce a
# quick one may look slow, and by itself it shall mean nothing.
_MOST_COUNTED = 0.006

_PAUSE = 0.25
_MOST = 4096
_DONTWAIT = socket.MSG_DONTWAIT
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
_ROOM = socket.CMSG_SPACE(array.array("i").itemsize)

# What is said with a connection: C{PLAIN}, C{EXPECTED} (a PROXY header is to come), or
# what the header said. And a message without one.
_PLAIN, _EXPECTED, _POKE = b"-", b"?", b"!"
_NO_PROXY = object()


class Relay:
    """
    One worker's access.

    @ivar paused: there is no descriptor for another connection.
    @ivar average: what a request takes, in seconds: a moving average over some eight.
    """

    def __init__(self, loop: Loop, ends: Ends, slots: Sequence[Slot], own: int) -> None:
        """
        @param slots: all workers.
        @param own: the number of this one.
        """
        self.paused = False
        self.average = 0.0
        self.deadline = NEVER
        self.bucket = 0
        self._loop = loop
        self._out, self._in = ends
        self._fd = self._out.fileno()
        self._others = [slot.words for slot in slots if slot.number != own]
        self._registered = False

    # Polling

    def start(self) -> None:
        """
        Begin to take connections.
        """
        if not (self._registered or self.paused or self._loop.retiring):
            self._registered = True
            self._loop.handlers[self._fd] = self.take
            self._loop.poller.register(self._fd, READ | EXCLUSIVE)

    def stop(self) -> None:
        """
        Wait for no more. If this worker was woken for one, another is.
        """
        self._loop.wheel.disarm(self)
        self.paused = False
        if self._registered:
            self._registered = False
            del self._loop.handlers[self._fd]
            self._loop.poller.unregister(self._fd)
            if isReadable(self._fd):
                self.poke()

    def poke(self) -> None:
        """
        Wake another worker that waits for connections.
        """
        # Where there is no room, others come anyway.
        with contextlib.suppress(OSError):
            self._in.send(_POKE, _DONTWAIT)

    # Giving

    def observe(self, seconds: float) -> None:
        """
        A request took so long.
        """
        self.average += (min(seconds, _MOST_COUNTED) - self.average) * _WEIGHT

    def isWorthIt(self) -> bool:
        """
        @return: whether requests that wait are better served elsewhere.
        """
        if self.average < _WORTH:
            return False
        return any(words[STATE] == State.IDLE for words in self._others) or (
            self.average > _ALWAYS and self._areOthers()
        )

    def _areOthers(self) -> bool:
        serving = (State.IDLE, State.BUSY)
        return any(words[STATE] in serving for words in self._others)

    def shareAll(self, events: Sequence[Event]) -> Sequence[Event]:
        """
        As L{share}, for a worker that cannot begin with any request: it takes nothing
        more, either, until L{start}.
        """
        if not self._areOthers():
            return events
        self.stop()
        return self.share(events, True)

    def share(self, events: Sequence[Event], busy: bool = False) -> Sequence[Event]:
        """
        Of everything that may be a request, leave one and give the others away.

        @param events: what the loop is about to handle.
        @param busy: leave none.
        @return: what is left of them.
        """
        loop = self._loop
        handlers = loop.handlers
        acceptor = loop.acceptor
        left: list[Event] = []
        for event in events:
            # What waits in the relay was there before all others.
            if event[0] == self._fd and self._registered:
                busy = True
                left.append(event)
        for event in events:
            fd = event[0]
            if fd == self._fd:
                continue
            connection = _readerOf(handlers[fd])
            if connection is not None and event[1] != READ:
                pass  # it has ended
            elif connection is not None:
                if busy and connection.isBetween() and self.give(connection):
                    continue
                busy = True
            elif fd in acceptor.origins:
                if busy:
                    # It would wait in the kernel, and nobody else be woken for it.
                    fresh = acceptor.take(fd)
                    if fresh is not None:
                        self.give(fresh)
                    continue
                busy = True
            left.append(event)
        return left

    def give(self, connection: Connection) -> bool:
        """
        Put a connection that L{isBetween <Connection.isBetween>} into the relay.

        @return: whether it is this worker's no more.
        """
        header = getattr(connection.codec, "proxyHeader", _NO_PROXY)
        said = _PLAIN
        if header is not _NO_PROXY:
            said = _EXPECTED if header is None else json.dumps(header).encode()
        rights = array.array("i", [connection.fd])
        try:
            self._in.sendmsg(
                [said], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)], _DONTWAIT
            )
        except OSError:
            # No room, or more on the way than the user may have (unix(7),
            # ETOOMANYREFS).
            return False
        connection.close()
        return True

    # Taking

    def take(self) -> None:
        """
        Serve a connection from the relay, if one is there.
        """
        try:
            taken = self._receive()
        except BlockingIOError:
            # Another worker was faster.
            return
        if taken is None:
            return
        said, fd = taken
        sock = socket.socket(fileno=fd)
        try:
            connection = self._welcome(sock, said)
        except OSError:
            # Its client has reset it.
            sock.close()
        else:
            connection.readable()

    def inherit(self) -> bool:
        """
        For a worker that has nothing more to do: take a connection that nobody else
        will take.

        @return: whether there was one.
        """
        if self._areOthers() or not isReadable(self._fd):
            return False
        self.take()
        return True

    def _receive(self) -> tuple[bytes, int] | None:
        try:
            os.close(os.dup(self._fd))
        except OSError:
            self._pause()
            return None
        said, ancillary, _flags, _address = self._out.recvmsg(
            _MOST, _ROOM, _DONTWAIT | _CLOEXEC
        )
        fds = array.array("i")
        for _level, _kind, content in ancillary:
            fds.frombytes(content)
        return (said, fds[0]) if fds else None

    def _welcome(self, sock: socket.socket, said: bytes) -> Connection:
        loop = self._loop
        address: Any = sock.getpeername()
        origin = Origin(sock, loop.config, loop.trust, said != _PLAIN)
        header: ProxyHeader | None = None
        if said not in (_PLAIN, _EXPECTED):
            # Only where proxies are trusted is this loaded at all.
            from svctree.wire.proxy import ProxyHeader

            header = ProxyHeader(*json.loads(said))
        return loop.adopt(sock, origin.codec(loop.codecs, sock, address, header))

    def _pause(self) -> None:
        self.stop()
        self.paused = True
        self._loop.wheel.arm(self, self._loop.now + _PAUSE)

    def resume(self) -> None:
        """
        A descriptor will be free when this returns: try again.
        """
        self._loop.wheel.disarm(self)
        self.paused = False
        self.start()

    def expired(self, now: float) -> None:
        self.resume()


_READABLE = Connection.readable


def _readerOf(handler: Callable[[], None]) -> Connection | None:
    """
    @return: whose turn it is to read, if this is what C{handler} does.
    """
    if getattr(handler, "__func__", None) is not _READABLE:
        return None
    connection: Connection = handler.__self__  # type: ignore[attr-defined]
    return connection
