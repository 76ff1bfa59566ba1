"""
The commands: what the control socket answers, as plain functions.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred

from svctree.interfaces import IScalable
from svctree.process.daemon import DaemonService
from svctree.process.operations import OperationError, Operations
from svctree.process.signals import Stopper, eachService

__all__ = ["Command", "Commands", "describeTree"]

Command = Callable[[Mapping[str, Any]], object]


class Commands:
    """
    The commands on one tree.

    @ivar table: each command by its name. It takes the arguments and returns plain
        data, or a Deferred of them. More can be added.
    """

    def __init__(self, root: Any, reactor: Any) -> None:
        """
        @param root: the top of the tree.
        @param reactor: stops it, where there is no L{DaemonService}.
        """
        self._root = root
        self._reactor = reactor
        daemons = [one for one in eachService(root) if isinstance(one, DaemonService)]
        self._daemon = daemons[0] if daemons else None
        if self._daemon is not None:
            self._operations = self._daemon.operations
            self._stopper = self._daemon.stopper
        else:
            self._operations = Operations(root)
            self._stopper = Stopper(self._operations.hurry, reactor)
        self.table: dict[str, Command] = {
            "status": self.status,
            "tree": self.tree,
            "reload": self.reload,
            "scale": self.scale,
            "logrotate": self.logrotate,
            "drain": self.drain,
            "stop": self.stop,
        }

    def status(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """
        The daemon, and a report of every service that gives one.
        """
        _only(arguments)
        reports: dict[str, Any] = {}
        for one in eachService(self._root):
            if hasattr(one, "describe") and not hasattr(one, "services"):
                name = _nameOf(one)
                # Two of the same name, in different containers.
                key = getattr(one, "path", name) if name in reports else name
                reports[key] = dict(one.describe())
        pools = [
            _nameOf(one) for one in eachService(self._root) if IScalable.providedBy(one)
        ]
        state = "serving"
        if self._daemon is not None and not self._daemon.isReady:
            state = "starting"
        if self._stopper.stopping:
            state = "stopping"
        return {
            "pid": os.getpid(),
            "state": state,
            "pools": pools,
            "services": reports,
        }

    def tree(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """
        The whole tree.
        """
        _only(arguments)
        return describeTree(self._root)

    def reload(self, arguments: Mapping[str, Any]) -> Deferred[list[str]]:
        """
        C{pool}: only this one.
        """
        _only(arguments, "pool")
        return self._operations.reload(_text(arguments, "pool"))

    def scale(self, arguments: Mapping[str, Any]) -> Deferred[dict[str, int]]:
        """
        C{workers}: how many; or C{change}: how many more; C{pool}: which one.
        """
        _only(arguments, "workers", "change", "pool")
        number, change = _number(arguments, "workers"), _number(arguments, "change")
        if (number is None) == (change is None):
            raise OperationError("scale needs workers or change", exitStatus=2)
        if number is not None and number < 1:
            raise OperationError(
                f"got {number} workers, expected at least 1", exitStatus=2
            )
        return self._operations.scale(number, change or 0, _text(arguments, "pool"))

    def logrotate(self, arguments: Mapping[str, Any]) -> Deferred[str]:
        """
        Fires when every process writes to the new files.
        """
        _only(arguments)
        return self._operations.reopenLogs()

    def drain(self, arguments: Mapping[str, Any]) -> list[str]:
        """
        Accept nothing more, finish what is in hand.
        """
        _only(arguments)
        return self._operations.drain()

    def stop(self, arguments: Mapping[str, Any]) -> int:
        """
        C{fast}: do not wait for what is in hand.
        """
        _only(arguments, "fast")
        stop = self._stopper.fast if arguments.get("fast") else self._stopper.graceful
        # The answer first.
        self._reactor.callLater(0, stop)
        return os.getpid()


def describeTree(service: Any) -> dict[str, Any]:
    """
    @return: a service and what is below it as plain data: its name, its class, its
        own report, and its children under C{"services"}.
    """
    report: dict[str, Any] = {
        "name": getattr(service, "name", None),
        "class": type(service).__qualname__,
        "running": bool(getattr(service, "running", False)),
    }
    if hasattr(service, "describe"):
        report.update(service.describe())
    if "services" not in report and hasattr(service, "__iter__"):
        report["services"] = [describeTree(child) for child in service]
    return report


def _only(arguments: Mapping[str, Any], *known: str) -> None:
    unknown = sorted(set(arguments) - set(known))
    if unknown:
        expected = ", ".join(known) or "none"
        raise OperationError(
            f"unknown argument {unknown[0]!r}, expected {expected}", exitStatus=2
        )


def _number(arguments: Mapping[str, Any], name: str) -> int | None:
    value = arguments.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise OperationError(f"{name}: got {value!r}, expected a number", exitStatus=2)


def _text(arguments: Mapping[str, Any], name: str) -> str | None:
    value = arguments.get(name)
    if value is None or isinstance(value, str):
        return value
    raise OperationError(f"{name}: got {value!r}, expected a name", exitStatus=2)


def _nameOf(service: Any) -> str:
    return getattr(service, "name", None) or type(service).__name__
