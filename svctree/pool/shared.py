"""
What all generations of one pool have in common.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
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
        self._free = set(range(slots))

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

    def isAlive(self, pid: int) -> bool:
        """
        @return: whether the process exists and is not just waiting to be reaped.
        """
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return False  # the number is somebody else's by now
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return os.path.isdir("/proc/self") is False
        return stat.rpartition(")")[2].split()[0] not in "ZX"

    def close(self) -> None:
        """
        The pool has ended.
        """
        self.scoreboard.close()
