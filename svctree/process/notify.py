"""
Telling systemd how the service is (sd_notify(3)).

A datagram for each report goes to the socket that C{NOTIFY_SOCKET} names. Everything
works the same without systemd: then L{NoNotify} is in its place.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from svctree.interfaces import IPinged
from svctree.process.signals import eachService
from svctree.service import Service

__all__ = ["NoNotify", "Notify", "WatchdogService", "notifier", "watchdogInterval"]


class Notify:
    """
    Reports to a socket of systemd's.

    The socket is connected at once, so that reports still arrive after the root
    directory or the identity has changed.
    """

    def __init__(self, address: str) -> None:
        """
        @param address: a path, or C{@name} for an abstract socket.
        @raise OSError: there is no such socket.
        """
        self._socket = socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
        )
        try:
            self._socket.connect(
                "\0" + address[1:] if address.startswith("@") else address
            )
        except OSError:
            self._socket.close()
            raise

    def ready(self, status: str = "") -> None:
        """
        The service serves (again). MAINPID tells systemd who it is after detaching.
        """
        self._send(READY="1", MAINPID=str(os.getpid()), STATUS=status)

    def reloading(self) -> None:
        """
        A reload has begun; C{ready} ends it. C{Type=notify-reload} asks for the time.
        """
        self._send(RELOADING="1", MONOTONIC_USEC=str(time.monotonic_ns() // 1000))

    def stopping(self) -> None:
        self._send(STOPPING="1")

    def status(self, text: str) -> None:
        """
        @param text: one line, shown by C{systemctl status}.
        """
        self._send(STATUS=text)

    def watchdog(self) -> None:
        """
        All is well.
        """
        self._send(WATCHDOG="1")

    def extend(self, seconds: float) -> None:
        """
        Starting or stopping takes longer; the time out begins anew.
        """
        self._send(EXTEND_TIMEOUT_USEC=str(int(seconds * 1e6)))

    def close(self) -> None:
        self._socket.close()

    def _send(self, **fields: str) -> None:
        lines = (
            f"{name}={value.splitlines()[0]}" for name, value in fields.items() if value
        )
        try:
            # A report is not worth waiting for.
            self._socket.send("\n".join(lines).encode(), socket.MSG_DONTWAIT)
        except OSError as error:
            Logger().warn("cannot report to systemd: {error}", error=error)


class NoNotify:
    """
    Where nobody wants to be told.
    """

    def ready(self, status: str = "") -> None:
        """
        Nobody listens.
        """

    def reloading(self) -> None:
        """
        Nobody listens.
        """

    def stopping(self) -> None:
        """
        Nobody listens.
        """

    def status(self, text: str) -> None:
        """
        Nobody listens.
        """

    def watchdog(self) -> None:
        """
        Nobody listens.
        """

    def extend(self, seconds: float) -> None:
        """
        Nobody listens.
        """

    def close(self) -> None:
        """
        Nothing is open.
        """


def notifier(
    environ: MutableMapping[str, str] | None = None,
) -> Notify | NoNotify:
    """
    Make the reporter that the environment asks for. The variable is removed, so
    that no child reports in our name.

    @param environ: C{os.environ} when omitted.
    """
    environ = os.environ if environ is None else environ
    address = environ.pop("NOTIFY_SOCKET", "")
    if not address:
        return NoNotify()
    try:
        return Notify(address)
    except OSError as error:
        Logger().warn(
            "NOTIFY_SOCKET={address} cannot be reached: {error}",
            address=address,
            error=error,
        )
        return NoNotify()


def watchdogInterval(
    environ: MutableMapping[str, str] | None = None, pid: int | None = None
) -> float:
    """
    Read the period of systemd's watchdog, and remove the variables.

    C{WATCHDOG_PID} names who was started; after detaching that is our parent, which
    is what C{pid} is for.

    @return: seconds, 0.0 for none.
    """
    environ = os.environ if environ is None else environ
    period, wanted = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
    if not period.isdigit():
        return 0.0
    if wanted and wanted != str(os.getpid() if pid is None else pid):
        return 0.0
    return int(period) / 1e6


class WatchdogService(Service):
    """
    Reports to the watchdog, as long as everything in the tree that is L{IPinged}
    answers. One that fails or stays silent ends the reports, and systemd acts.
    """

    _log = Logger()
    name = "watchdog"

    def __init__(
        self, notify: Notify | NoNotify, period: float, root: Any, reactor: Any = None
    ) -> None:
        """
        @param period: seconds in which systemd wants to hear from us once.
        @param root: the service whose tree is asked.
        """
        self._notify = notify
        self._period = period
        self._root = root
        self._loop = LoopingCall(self._beat)
        self._silent: str = ""
        if reactor is not None:
            self._loop.clock = reactor

    def startService(self) -> None:
        super().startService()
        if self._period > 0:
            # Twice in a period, as sd_watchdog_enabled(3) recommends.
            self._loop.start(self._period / 2).addErrback(
                lambda failure: self._log.failure("the watchdog ended", failure)
            )

    def stopService(self) -> None:
        super().stopService()
        if self._loop.running:
            self._loop.stop()

    def describe(self) -> dict[str, object]:
        return {"period": self._period, "silent": self._silent}

    def _beat(self) -> None:
        asked = [one for one in eachService(self._root) if IPinged.providedBy(one)]
        answers: list[Deferred[object]] = [maybeDeferred(one.ping) for one in asked]
        everybody = gatherResults(answers, consumeErrors=True)
        everybody.addCallbacks(self._well, self._unwell)

    def _well(self, _: object) -> None:
        # An answer to an old question may come when we are stopped already.
        if self._loop.running:
            self._silent = ""
            self._notify.watchdog()

    def _unwell(self, failure: Any) -> None:
        reason = failure.value.subFailure.getErrorMessage()
        if reason != self._silent:
            self._silent = reason
            self._log.warn("not reporting to the watchdog: {reason}", reason=reason)
