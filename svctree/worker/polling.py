"""
What a loop waits with: C{epoll} where there is one, and else C{poll}, which every Unix
has. The second looks at every descriptor in every turn.
"""

from __future__ import annotations

import math
import select
from collections.abc import Callable
from typing import Protocol

__all__ = [
    "EXCLUSIVE",
    "READ",
    "WRITE",
    "IPoller",
    "Poller",
    "newInner",
    "newPoller",
]

Event = tuple[int, int]

INNER = -1
"""Stands for all descriptors of another poller."""

# Where both ways exist, their numbers are the same.
READ = select.POLLIN
WRITE = select.POLLOUT

EXCLUSIVE: int = getattr(select, "EPOLLEXCLUSIVE", 0)
"""For a descriptor that several processes wait for: wake one of them. Elsewhere all
wake, and all but one find nothing."""


class IPoller(Protocol):
    """
    What is used of C{select.epoll}.
    """

    def register(self, fd: int, eventmask: int, /) -> None:
        """
        Wait for C{fd}, too.
        """

    def modify(self, fd: int, eventmask: int, /) -> None:
        """
        Wait for something else.
        """

    def unregister(self, fd: int, /) -> None:
        """
        Wait for it no more.
        """

    def poll(self, timeout: float = -1, maxevents: int = -1, /) -> list[Event]:
        """
        @param timeout: seconds; -1 for ever.
        @param maxevents: not more at once; -1 for no limit.
        @return: descriptors, and what they are ready for.
        """

    def close(self) -> None:
        """
        Let go of everything.
        """


class Poller:
    """
    The same with C{poll}.

    What another thread registers is noticed in the next turn only: such a thread has
    to wake the one that waits.
    """

    def __init__(self) -> None:
        self._poll = select.poll()
        self._fds: set[int] = set()
        self._outer: Poller | None = None
        self._inner: Poller | None = None

    def include(self, inner: Poller) -> None:
        """
        Wait for whatever C{inner} waits for, too; that is an event for L{INNER}.
        """
        self._inner = inner
        inner._outer = self

    def register(self, fd: int, eventmask: int, /) -> None:
        self._fds.add(fd)
        self._poll.register(fd, eventmask & (READ | WRITE))
        if self._outer is not None:
            self._outer._poll.register(fd, eventmask & (READ | WRITE))

    modify = register

    def unregister(self, fd: int, /) -> None:
        self._fds.remove(fd)
        self._poll.unregister(fd)
        if self._outer is not None:
            self._outer._poll.unregister(fd)

    def poll(self, timeout: float = -1, maxevents: int = -1, /) -> list[Event]:
        # Rounded up: a moment too early would be a turn in vain.
        events = self._poll.poll(None if timeout < 0 else math.ceil(timeout * 1000))
        if self._inner is not None:
            own = [event for event in events if event[0] not in self._inner._fds]
            if len(own) < len(events):
                own.insert(0, (INNER, READ))
            events = own
        return events if maxevents < 0 else events[:maxevents]

    def close(self) -> None:
        self._poll = select.poll()
        self._fds.clear()


newPoller: Callable[[], IPoller] = getattr(select, "epoll", Poller)


def newInner(outer: IPoller) -> tuple[IPoller, int]:
    """
    @return: a poller of whose events C{outer} tells, and for which descriptor it does.
    """
    if isinstance(outer, Poller):
        own = Poller()
        outer.include(own)
        return own, INNER
    inner = select.epoll()
    outer.register(inner.fileno(), READ)
    return inner, inner.fileno()
