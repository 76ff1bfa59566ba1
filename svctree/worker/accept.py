"""
Taking connections from listening sockets that several workers share.

Policy:

  - The sockets are registered with C{EPOLLEXCLUSIVE}: one connection wakes one
    worker, and never one that is busy with a request, since that one is not waiting.
  - Where workers share the sockets, a worker takes one connection at a time, when it
    is woken and after each request while there are more, and looks at once for its
    request. So connections spread over the workers as fast as these have time for
    them, nobody holds what an idle neighbour could serve, and who comes late waits no
    longer than who is connected already. A worker alone empties the queue.
  - The kernel wakes the first in the order of registration that is idle: always the
    same one, as long as clients only connect and do not ask yet. Who has accepted
    registers anew, and so goes to the end of the line. (Measured: of 32 such
    connections one worker of four got all, with this each got 8.)
  - Who stops accepting takes one more connection of each socket: the kernel may have
    woken this worker for it, and then nobody else.
  - When descriptors or memory have run out (EMFILE, ENFILE, ENOBUFS, ENOMEM), the
    connections stay in the kernel's queue, and the sockets leave the poll set, so
    that the processor is not spent on trying. They come back when a connection of
    this worker ends, or after a moment, since other processes free descriptors, too.
  - Who drains the queue at its end goes on in the same way until it is empty.
  - A connection that was reset in the queue (ECONNABORTED) is passed over.
"""

from __future__ import annotations

import errno
import select
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from svctree.worker.brief import Brief
from svctree.worker.connection import Connection
from svctree.worker.origin import Origin
from svctree.worker.polling import EXCLUSIVE, READ, IPoller
from svctree.worker.timers import NEVER, Wheel

__all__ = ["Acceptor", "isReadable"]

_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_PAUSE = 0.25
_SILENCE = 10.0
_BURST = 64


class IHouse(Protocol):
    """
    What an acceptor needs of its loop.
    """

    brief: Brief | None
    poller: IPoller
    handlers: dict[int, Callable[[], None]]
    wheel: Wheel
    now: float

    def welcome(self, sock: socket.socket, address: Any, origin: Origin) -> Connection:
        """
        Take over an accepted connection.
        """


class Acceptor:
    """
    Accepts for one worker.

    @ivar paused: descriptors have run out.
    @ivar left: what L{drain} could not take for that reason: from where, how many.
    @ivar origins: by descriptor.
    @ivar pressed: the last look found a connection: more may wait for this worker.
    """

    def __init__(self, house: IHouse, origins: Sequence[Origin], shared: bool) -> None:
        """
        @param shared: other workers accept from the same sockets.
        """
        self.paused = False
        self.pressed = False
        self.deadline = NEVER
        self.bucket = 0
        self._house = house
        self.origins = {origin.socket.fileno(): origin for origin in origins}
        self.left: list[tuple[Origin, int]] = []
        self._burst = 1 if shared else _BURST
        self._registered = False
        self._silentUntil = 0.0

    def start(self) -> None:
        """
        Begin to accept.
        """
        house = self._house
        for fd, origin in self.origins.items():
            house.handlers[fd] = partial(self._woken, origin)
            house.poller.register(fd, READ | EXCLUSIVE)
        self._registered = True
        self.paused = False

    def stop(self) -> None:
        """
        Accept no more.
        """
        house = self._house
        if not self.left:
            house.wheel.disarm(self)
            self.paused = False
        if not self._registered:
            return
        self._registered = False
        for fd in self.origins:
            del house.handlers[fd]
            house.poller.unregister(fd)

    def drain(self, most: int = sys.maxsize) -> None:
        """
        Take the connections that the kernel's queues hold now.

        @param most: so many of each.
        """
        self.left.clear()
        for origin in self.origins.values():
            self._accept(origin, most)

    def offer(self) -> None:
        """
        Take one connection of each socket, between two requests.
        """
        for origin in self.origins.values():
            if self._registered:
                self._accept(origin, 1)

    def take(self, fd: int) -> Connection | None:
        """
        Take one connection, and do not look for its request yet.

        @param fd: the listening socket's.
        @return: none also when this worker has stopped accepting since it was woken.
        """
        if not self._registered:
            return None
        origin = self.origins[fd]
        found = self._next(origin, 1, origin.socket.accept)
        if found is None:
            return None
        self._standBehind(fd)
        return self._house.welcome(*found, origin)

    def _woken(self, origin: Origin) -> None:
        self._accept(origin, self._burst)

    def _accept(self, origin: Origin, most: int) -> None:
        house = self._house
        accept: Callable[[], tuple[Any, Any]] = origin.socket.accept
        welcome: Callable[[Any, Any, Origin], Connection | None] = house.welcome
        if house.brief is not None and origin.isPlain:
            # The descriptor is all that it takes, and it looks for the request itself.
            accept = origin.socket._accept  # type: ignore[attr-defined]
            welcome = house.brief.welcome
        for taken in range(most):
            found: Any
            try:
                found = accept()
            except OSError as error:
                if not self._mayTryAgain(error, origin, most - taken):
                    return
                found = self._next(origin, most - taken, accept)
                if found is None:
                    return
            sock, address = found
            guest = welcome(sock, address, origin)
            if most == 1 and self._registered:
                self.pressed = True
                self._standBehind(origin.socket.fileno())
                if guest is not None:
                    guest.readable()

    def _next(
        self, origin: Origin, most: int, accept: Callable[[], tuple[Any, Any]]
    ) -> tuple[Any, Any] | None:
        """
        @return: what C{accept} gives, or L{None} when there is nothing to be had.
        """
        while True:
            try:
                return accept()
            except OSError as error:
                if not self._mayTryAgain(error, origin, most):
                    return None

    def _mayTryAgain(self, error: OSError, origin: Origin, most: int) -> bool:
        """
        An C{accept} has failed.
        """
        if isinstance(error, BlockingIOError):
            # Another worker was faster.
            self.pressed = False
            return False
        if error.errno in _EXHAUSTED:
            self._pause(error, origin, most)
            return False
        if error.errno in (errno.EINVAL, errno.EBADF, errno.ENOTSOCK):
            raise error
        # ECONNABORTED, or an error of the network that Linux hands to the next
        # accept() (accept(2), "Error handling"): that connection only.
        return True

    def _standBehind(self, fd: int) -> None:
        poller = self._house.poller
        poller.unregister(fd)
        poller.register(fd, READ | EXCLUSIVE)

    def _pause(self, error: OSError, origin: Origin, most: int) -> None:
        self.pressed = False
        if not self._registered and not isReadable(origin.socket.fileno()):
            # A descriptor is missed before it is known that nobody waits.
            return
        # While descriptors come and go one by one, it would be said for each.
        if self._house.now >= self._silentUntil:
            self._silentUntil = self._house.now + _SILENCE
            sys.stderr.write(
                f"svctree: cannot accept connections: {error.strerror}; they wait "
                "until descriptors are free\n"
            )
        if self._registered:
            self.stop()
        else:
            self.left.append((origin, most))
        self.paused = True
        self._house.wheel.arm(self, self._house.now + _PAUSE)

    def resume(self) -> None:
        """
        A descriptor will be free when this returns: try again.
        """
        if self.left:
            self._house.wheel.arm(self, self._house.now)
        elif self.paused:
            self._house.wheel.disarm(self)
            self.start()

    def expired(self, now: float) -> None:
        self.paused = False
        if not self.left:
            self.start()
            return
        left, self.left = self.left, []
        for origin, most in left:
            self._accept(origin, most)


def isReadable(fd: int) -> bool:
    """
    @return: whether something waits at C{fd}, at this moment.
    """
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))
