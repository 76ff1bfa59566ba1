"""
What all generations of one pool have in common.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from svctree.interfaces import IListener, IWorkerModel
from svctree.pool.messages import Boot
from svctree.pool.scoreboard import Scoreboard
from svctree.settings import PoolSettings

__all__ = ["Shared"]

# More slots than workers: while generations overlap, each has its own. A slot is a
# few hundred bytes of memory that is only touched when it is used.
_LEAST_SLOTS = 64

_GRACE = 3.0


class Shared:
    """
    @ivar name: the pool's.
    @ivar reactor: Twisted's.
    @ivar random: gives numbers from 0 to 1.
    @ivar scoreboard: outlives the generations, so that counters never fall.
    @ivar relay: where workers pass connections on to each other, if there are many:
        two ends, and the master has them, too, so that what waits there outlives
        whoever put it in.
    @ivar crashes: unplanned ends of workers so far.
    @ivar graceOfReload: seconds that an idle keep-alive connection of a retiring
        worker has for one more request.
    """

    graceOfReload = _GRACE

    def __init__(
        self,
        name: str,
        settings: PoolSettings,
        model: IWorkerModel,
        listeners: Sequence[IListener],
        path: Sequence[str],
        reactor: Any,
        random: Callable[[], float],
    ) -> None:
        self.name = name
        self.settings = settings
        self.model = model
        self.listeners = listeners
        self.path = path
        self.reactor = reactor
        self.random = random
        self.crashes = 0
        slots = max(_LEAST_SLOTS, 4 * model.processes(settings)[1])
        self.scoreboard = Scoreboard.create(slots, model.threads(settings))
        self.relay: tuple[socket.socket, ...] = ()
        if settings.workermodel == "prefork":
            self.relay = _pairForMessages()
        self._free = set(range(slots))
        self._waiting: list[Callable[[], None]] = []

    def boot(self, generation: int) -> Boot:
        """
        @return: the first message to the zygote of a generation.
        """
        settings = attrs.asdict(self.settings)
        settings.update(self.model.flags(self.settings))
        settings["proxied"] = [
            self.settings.proxyProtocol or bool(getattr(one, "proxyProtocol", False))
            for one in self.listeners
            for _socket in one.sockets()
        ]
        return Boot(
            pool=self.name,
            generation=generation,
            path=list(self.path),
            settings=settings,
            sockets=len(self.descriptors()),
            slots=len(self.scoreboard.slots),
            cells=self.scoreboard.cells,
            relay=bool(self.relay),
        )

    def descriptors(self) -> list[int]:
        """
        @return: the listening sockets, in the order of the listeners.
        """
        return [
            sock.fileno() for listener in self.listeners for sock in listener.sockets()
        ]

    def takeSlot(self) -> int | None:
        """
        @return: the number of the lowest free slot, or L{None}.
        """
        if not self._free:
            return None
        slot = min(self._free)
        self._free.discard(slot)
        return slot

    def releaseSlot(self, slot: int) -> None:
        self._free.add(slot)
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()

    def whenSlotIsFree(self, callback: Callable[[], None]) -> None:
        """
        All slots are in use, by generations that take their time to go.
        """
        if callback not in self._waiting:
            self._waiting.append(callback)

    def close(self) -> None:
        """
        The pool has ended, and nobody is left who writes into the scoreboard.
        """
        self.letGo()
        self.scoreboard.release()

    def letGo(self) -> None:
        """
        Keep no descriptor, though somebody may be left.
        """
        self.scoreboard.close()
        for end in self.relay:
            end.close()


def _pairForMessages() -> tuple[socket.socket, socket.socket]:
    try:
        return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    except OSError:
        # macOS has none; between the two ends nothing is lost in this way, either.
        return socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
