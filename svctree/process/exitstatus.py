"""
The exit status of a process whose runner is Twisted's.
"""

from __future__ import annotations

from typing import Any

__all__ = ["endInOrder"]


def endInOrder(reactor: Any) -> None:
    """
    Let a tree that was stopped by TERM or INT, and stopped in order, end the process
    with status 0.

    C{twistd} notes the signal on the reactor and kills itself with it once the
    reactor has ended, so that a service that did all it should looks as if it had
    died. Has no effect in a process with another runner.
    """

    def forget() -> None:
        if getattr(reactor, "_exitSignal", None) is not None:
            reactor._exitSignal = None

    reactor.addSystemEventTrigger("after", "shutdown", forget)
