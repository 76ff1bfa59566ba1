"""
Which loop serves which worker model.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from svctree.pool.scoreboard import Slot
from svctree.worker.config import WorkerConfig
from svctree.worker.polling import IPoller
from svctree.worker.relay import Ends
from svctree.worker.single import SingleLoop
from svctree.worker.threads import ThreadedLoop

if TYPE_CHECKING:
    from svctree.worker.accesslog import AccessLog

__all__ = ["ILoop", "makeLoop"]


class ILoop(Protocol):
    """
    A worker's loop, as the process around it uses it.

    @ivar onRetireWanted: called with a reason (C{max-requests}, C{max-age},
        C{max-memory}) when the worker has done its share. It goes on serving until
        L{retire}, so that a replacement can be ready first.
    @ivar poller: what it waits with.
    """

    onRetireWanted: Callable[[str], None]
    poller: IPoller

    def logAccess(self, log: AccessLog) -> None:
        """
        Have a line written for each request.
        """

    def joinRelay(self, ends: Ends, slots: Sequence[Slot]) -> None:
        """
        Share connections with the other workers of the pool, whose C{slots} these are.
        """

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """
        Call C{callback} in the loop whenever C{fd} is readable.
        """

    def unwatch(self, fd: int) -> None:
        """
        Undo L{watch}.
        """

    def retire(self, grace: float, drain: bool) -> None:
        """
        Stop accepting; L{run} returns when nothing is in hand.

        @param grace: seconds that an idle connection has to send its next request,
            whose answer says C{Connection: close}. One that was accepted and has sent
            nothing yet has at least half a second.
        @param drain: first accept what the kernel's queues hold, because nobody else
            will.
        """

    def abandon(self) -> None:
        """
        Let L{run} return as soon as possible, whatever is in hand.
        """

    def run(self) -> None:
        """
        Serve. Returns after L{retire} or L{abandon}.
        """


def makeLoop(
    application: Callable[..., Any],
    config: WorkerConfig,
    sockets: Sequence[socket.socket],
    slot: Slot,
) -> ILoop:
    """
    Choose and make the loop for a worker.

    @param sockets: listening, non-blocking, perhaps shared with other processes.
    @param slot: this worker's part of the scoreboard.
    """
    kind = ThreadedLoop if config.maxThreads > 1 else SingleLoop
    return kind(application, config, sockets, slot)
