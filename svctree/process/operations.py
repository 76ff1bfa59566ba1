"""
What an operator can ask of a tree: the same for signals and for commands.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.logger import Logger

from svctree.interfaces import (
    IDrained,
    IListener,
    ILogHolder,
    IReloadable,
    IScalable,
)
from svctree.process.errorlog import ErrorLog, ErrorLogError
from svctree.process.notify import NoNotify, Notify
from svctree.process.signals import Action, Stopper, eachService, hurryTree

__all__ = ["OperationError", "Operations", "hasTerminal", "signalActions"]


class OperationError(Exception):
    """
    The tree cannot do what was asked.

    @ivar details: what to show below the message, a traceback for instance.
    @ivar exitStatus: for the command that asked.
    """

    def __init__(self, message: str, details: str = "", exitStatus: int = 1) -> None:
        super().__init__(message)
        self.details = details
        self.exitStatus = exitStatus


class Operations:
    """
    Finds who in the tree can do a thing, by its interface, and lets it.

    @ivar root: the service whose tree is meant.
    @ivar lastReload: what became of the last reload; empty before the first.
    """

    _log = Logger()

    def __init__(
        self,
        root: Any,
        errorLog: ErrorLog | None = None,
        notify: Notify | NoNotify | None = None,
        summary: Callable[[], str] = lambda: "",
    ) -> None:
        """
        @param errorLog: what C{reopenLogs} reopens.
        @param notify: told of reloads.
        @param summary: the state in a few words, for systemd.
        """
        self.root = root
        self.errorLog = ErrorLog() if errorLog is None else errorLog
        self.notify = NoNotify() if notify is None else notify
        self.lastReload = ""
        self._summary = summary

    def reload(self, name: str | None = None) -> Deferred[list[str]]:
        """
        Reload everything that can be reloaded, one after the other; but listeners
        first, and at once. A service that takes new code when its listeners change
        counts in C{reloads} how often it did, and does so once.

        @param name: only the service of this name.
        @return: fires with the names of what was reloaded; fails with
            L{OperationError} when something serves on as it was. The others are
            reloaded all the same.
        """
        return Deferred.fromCoroutine(self._reload(name))

    async def _reload(self, name: str | None) -> list[str]:
        chosen = self._find(IReloadable, "reloaded", name)
        self.notify.reloading()
        before = [getattr(service, "reloads", 0) for service in chosen]
        listeners = [one for one in chosen if IListener.providedBy(one)]
        # All have bound what is new before the first pool takes it.
        found = await gatherResults(
            [Deferred.fromCoroutine(_reloaded(one)) for one in listeners]
        )
        for service, count in zip(chosen, before, strict=True):
            if service not in listeners and getattr(service, "reloads", 0) == count:
                found.append(await _reloaded(service))
        failures = [error for error in found if error is not None]
        self.lastReload = str(failures[0]) if failures else "done"
        # For systemd a reload ends when the service serves, in whatever version.
        self.notify.ready(
            f"reload failed: {failures[0]}" if failures else self._summary()
        )
        if failures:
            raise failures[0]
        return [_nameOf(service) for service in chosen]

    def scale(
        self, number: int | None = None, change: int = 0, name: str | None = None
    ) -> Deferred[dict[str, int]]:
        """
        Have another number of workers.

        @param number: so many.
        @param change: or so many more (or fewer, never less than one).
        @param name: only the service of this name; the only one when omitted.
        @return: fires with the number for each name, when they are ready.
        """
        return Deferred.fromCoroutine(self._scale(number, change, name))

    async def _scale(
        self, number: int | None, change: int, name: str | None
    ) -> dict[str, int]:
        chosen = self._find(IScalable, "scaled", name)
        if number is not None and len(chosen) > 1:
            names = ", ".join(_nameOf(one) for one in chosen)
            raise OperationError(f"which one? there are several to scale: {names}")
        for service in chosen:
            wanted = max(1, service.size + change) if number is None else number
            try:
                await maybeDeferred(service.scale, wanted)
            except Exception as error:
                raise _explain(service, error) from error
        return {_nameOf(one): one.size for one in chosen}

    def reopenLogs(self) -> Deferred[str]:
        """
        Reopen the error log, here and in every process that has it.

        @return: fires with its path when everybody writes to the new file; fails
            with L{ErrorLogError} when the old one had to be kept.
        """
        return Deferred.fromCoroutine(self._reopenLogs())

    async def _reopenLogs(self) -> str:
        problem: ErrorLogError | None = None
        try:
            fd = self.errorLog.reopen()
        except ErrorLogError as error:
            # The others have logs of their own to reopen.
            problem, fd = error, self.errorLog.fileno()
        holders: list[Callable[[int], object]] = [
            one.logReopened for one in self._providers(ILogHolder)
        ]
        for holder in [*self.errorLog.observers, *holders]:
            await maybeDeferred(holder, fd)  # type: ignore[arg-type]
        if problem is not None:
            raise problem
        return self.errorLog.path or ""

    def drain(self) -> list[str]:
        """
        Let everything that can stop accepting and finish what it has.

        @return: the names.
        """
        chosen = self._find(IDrained, "drained", None)
        for service in chosen:
            service.drain()
        return [_nameOf(one) for one in chosen]

    def hurry(self) -> None:
        """
        Do not wait for what is in hand.
        """
        hurryTree(self.root)

    def _providers(self, interface: Any) -> list[Any]:
        return [one for one in eachService(self.root) if interface.providedBy(one)]

    def _find(self, interface: Any, verb: str, name: str | None) -> list[Any]:
        found = self._providers(interface)
        if name is not None:
            known = ", ".join(_nameOf(one) for one in found) or "nothing"
            found = [one for one in found if name in (_nameOf(one), _pathOf(one))]
            if not found:
                raise OperationError(
                    f"no {name!r} that can be {verb}; there is {known}", exitStatus=2
                )
        elif not found:
            raise OperationError(f"nothing in this tree can be {verb}")
        return found


async def _reloaded(service: Any) -> OperationError | None:
    """
    @return: why it serves on as it was, or L{None}.
    """
    try:
        await maybeDeferred(service.reload)
    except Exception as error:
        return _explain(service, error)
    return None


def _explain(service: Any, error: Exception) -> OperationError:
    """
    Put the name in front, unless the message begins with it.
    """
    message, name = str(error) or type(error).__name__, _nameOf(service)
    return OperationError(
        message if name in message else f"{name}: {message}",
        str(getattr(error, "details", "") or ""),
        int(getattr(error, "exitStatus", 1)),
    )


def _nameOf(service: Any) -> str:
    return getattr(service, "name", None) or type(service).__name__


def _pathOf(service: Any) -> str:
    return str(getattr(service, "path", ""))


def signalActions(operations: Operations, stopper: Stopper) -> dict[int, Action]:
    """
    @return: what each signal means to a daemon; see the page on signals.
    """
    return {
        signal.SIGTERM: stopper.graceful,
        signal.SIGINT: stopper.fast,
        signal.SIGQUIT: stopper.fast,
        signal.SIGHUP: operations.reload,
        signal.SIGUSR1: operations.reopenLogs,
        signal.SIGTTIN: lambda: operations.scale(change=1),
        signal.SIGTTOU: lambda: operations.scale(change=-1),
        # On a terminal it only says that the window has another size.
        signal.SIGWINCH: lambda: None if hasTerminal() else operations.drain(),
    }


def hasTerminal() -> bool:
    """
    @return: whether a terminal controls this process, whose signals it gets then.
    """
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
