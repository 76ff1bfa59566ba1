"""
What C{startService} and C{stopService} may return, and how results travel up.
"""

from __future__ import annotations

import inspect
import sys
from collections import deque
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure


def asDeferred(result: object) -> Deferred[Any] | None:
    """
    @return: a Deferred where C{result} is something to wait for (a Deferred, a
        coroutine), else L{None}: whatever else a service returns is ignored, as
        Twisted does.
    """
    if result is None:
        return None
    if isinstance(result, Deferred):
        return result
    if inspect.iscoroutine(result):
        return Deferred.fromCoroutine(result)
    return None


def isPending(waiting: Deferred[Any]) -> bool:
    """
    @return: whether the result of C{waiting} is still to come. One that has fired and
        now waits for a Deferred that a callback of its own returned counts as called
        to Twisted.
    """
    return not waiting.called or waiting.paused > 0


def drive(walk: Generator[Any, Any, Any]) -> Any:
    """
    Run a generator that yields generators, with a stack of its own.

    Containers are nested as deeply as users like; Python's stack is not.

    @return: what C{walk} returns. A yielded generator's result is sent back to the
        one that yielded it, or its exception thrown there.
    """
    stack = [walk]
    value: Any = None
    error: BaseException | None = None
    while stack:
        try:
            if error is None:
                inner = stack[-1].send(value)
            else:
                raised, error = error, None
                inner = stack[-1].throw(raised)
        except StopIteration as end:
            stack.pop()
            value = end.value
        except BaseException as caught:
            stack.pop()
            error = caught
        else:
            stack.append(inner)
            value = None
    if error is not None:
        try:
            raise error
        finally:
            error = None
    return value


class _Trampoline:
    """
    Runs calls one after another instead of inside each other.

    The end of one child can be the end of its parent, and so on to the top: done
    by nested callbacks, a chain of containers would be as long as Python's stack.
    Everything has run when the outermost call returns; there is no reactor turn.
    """

    def __init__(self) -> None:
        self._calls: deque[Callable[[], object]] = deque()
        self._running = False

    def __call__(self, call: Callable[[], object]) -> None:
        self._calls.append(call)
        if self._running:
            return
        self._running = True
        try:
            while self._calls:
                self._calls.popleft()()
        finally:
            self._running = False


afterThis = _Trampoline()
"""Run a call when the calls under way are done."""


class _Waiter(Deferred[Any]):
    """
    A Deferred that knows whether anybody has shown an interest in it.
    """

    heard = False

    def addCallbacks(self, *args: Any, **keywords: Any) -> Any:
        self.heard = True
        return super().addCallbacks(*args, **keywords)

    def addCallback(self, *args: Any, **keywords: Any) -> Any:
        self.heard = True
        return super().addCallback(*args, **keywords)

    def addErrback(self, *args: Any, **keywords: Any) -> Any:
        self.heard = True
        return super().addErrback(*args, **keywords)

    def addBoth(self, *args: Any, **keywords: Any) -> Any:
        self.heard = True
        return super().addBoth(*args, **keywords)


class Waiters:
    """
    Deferreds that fire together, each with a result of its own.
    """

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[_Waiter] = []

    def wait(self) -> Deferred[Any]:
        """
        @return: a new Deferred for the next L{fire}.
        """
        waiter = _Waiter()
        self._waiting.append(waiter)
        return waiter

    def fire(self, result: object) -> bool:
        """
        Fire all with C{result}, which may be a L{Failure}.

        @return: whether anybody has been told.
        """
        waiting, self._waiting = self._waiting, []
        told = False
        while waiting:
            waiter = waiting.pop(0)
            references = _references(waiter)
            if isinstance(result, Failure) and _forgotten(waiter, references):
                # Firing it could only write "Unhandled error in Deferred".
                continue
            # Its owner may have cancelled it.
            if not waiter.called:
                told = True
                afterThis(partial(_fire, waiter, result))
        return told


def _fire(waiter: Deferred[Any], result: object) -> None:
    if not waiter.called:
        waiter.callback(result)


def _references(waiter: _Waiter) -> int:
    return sys.getrefcount(waiter)


def _calibrated() -> int:
    waiting = [_Waiter()]
    waiter = waiting.pop(0)
    return _references(waiter)


# How often an interpreter counts a waiter that only L{Waiters.fire} refers to.
_OURS = _calibrated()


def _forgotten(waiter: _Waiter, references: int) -> bool:
    """
    @return: whether nobody can notice any more what becomes of C{waiter}: it has
        no callbacks, and only we still refer to it.
    """
    return not waiter.heard and references <= _OURS


__all__ = ["Waiters", "afterThis", "asDeferred", "drive", "isPending"]
