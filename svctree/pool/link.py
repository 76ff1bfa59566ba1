"""
The master's end of a zygote: its process, and the messages to and from it.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorProcess
from twisted.internet.protocol import Factory, ProcessProtocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from svctree.pool.messages import Boot, Message, MessageError, decode, encode

__all__ = ["ZygoteLink"]

_log = Logger("svctree.pool")

# For reading what a zygote wrote before its end.
_LAST_WORDS = 0.1


class _Control(LineOnlyReceiver):
    """
    Turns lines into messages.
    """

    delimiter = b"\n"
    MAX_LENGTH = 1 << 24

    def __init__(
        self, received: Callable[[Message], None], lost: Callable[[], None]
    ) -> None:
        self._received = received
        self._lost = lost

    def lineReceived(self, line: bytes) -> None:
        try:
            message = decode(line)
        except MessageError as error:
            _log.error("zygote: {error}", error=error)
        else:
            self._received(message)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost()


class ZygoteLink(ProcessProtocol):
    """
    Starts one zygote and talks to it.

    @ivar pid: the zygote's, L{None} when it has ended.
    @ivar ended: it has ended, and its last message was read.
    """

    pid: int | None = None

    def __init__(
        self,
        reactor: Any,
        received: Callable[[Message], None],
        ended: Callable[[str], None],
    ) -> None:
        """
        @param reactor: provides L{IReactorProcess} and C{adoptStreamConnection}.
        @param received: called with each message.
        @param ended: called once, with how the zygote ended, after its last message.
        """
        self._reactor = reactor
        self._received = received
        self._ended = ended
        self._line = -1
        self._control: _Control | None = None
        self._how: str | None = None
        self.ended = False
        self._lastWords: IDelayedCall | None = None

    def start(self, boot: Boot, scoreboard: int, sockets: Sequence[int]) -> None:
        """
        Spawn the zygote and send it its first message.

        @param scoreboard: descriptor of the scoreboard's memory.
        @param sockets: descriptors of the listening sockets, and of the relay.
        @raise OSError: the system gave no process or no descriptors.
        """
        _checkExecutable()
        try:
            self._spawn(boot, scoreboard, sockets)
        except BaseException:
            self.hangUp()
            raise

    def _spawn(self, boot: Boot, scoreboard: int, sockets: Sequence[int]) -> None:
        with ExitStack() as passed:
            ours, theirs = socket.socketpair()
            passed.enter_context(theirs)
            with ours:
                lineRead, self._line = os.pipe()
                passed.callback(os.close, lineRead)
                null = os.open(os.devnull, os.O_RDONLY)
                passed.callback(os.close, null)
                ours.setblocking(False)
                # The zygote finds it there, also when this process is stopped after
                # the spawn: what the transport is given waits for the reactor.
                message = encode(boot)
                rest = message[ours.send(message) :]
                self._adopt(ours)
                self._write(rest)
            fds = [null, 1, 2, theirs.fileno(), lineRead, scoreboard, *sockets]
            transport = IReactorProcess(self._reactor).spawnProcess(
                self,
                sys.executable,
                [sys.executable, "-m", "svctree.worker", f"{boot.pool}"],
                env=_environment(),
                childFDs=dict(enumerate(fds)),
            )
            self.pid = transport.pid

    def _adopt(self, ours: socket.socket) -> None:
        control = _Control(self._received, self._controlLost)
        # The reactor duplicates the descriptor.
        self._reactor.adoptStreamConnection(
            ours.fileno(), socket.AF_UNIX, Factory.forProtocol(lambda: control)
        )
        self._control = control

    def send(self, message: Message, fd: int | None = None) -> None:
        """
        Send a message, and with it a descriptor; nothing happens when the zygote is
        gone.
        """
        self._write(encode(message), fd)

    def _write(self, data: bytes, fd: int | None = None) -> None:
        if self._control is None or self._control.transport is None:
            return
        if fd is not None:
            self._control.transport.sendFileDescriptor(fd)  # type: ignore[attr-defined]
        self._control.transport.write(data)

    def kill(self, signal: int) -> None:
        """
        Send a signal to the zygote itself, if it still runs.
        """
        if self.pid is not None:
            os.kill(self.pid, signal)

    def hangUp(self) -> None:
        """
        End the generation whatever its zygote does: everybody in it sees the end of
        the line.
        """
        if self._line >= 0:
            os.close(self._line)
            self._line = -1
        if self._control is not None and self._control.transport is not None:
            self._control.transport.loseConnection()

    def processEnded(self, reason: Failure) -> None:
        """
        The zygote was reaped.
        """
        self.pid = None
        value = reason.value
        signal = getattr(value, "signal", None)
        status = getattr(value, "exitCode", None)
        self._how = f"signal {signal}" if signal else f"exit status {status}"
        if self._control is not None:
            # What the application started may hold the other end for ever.
            self._lastWords = self._reactor.callLater(_LAST_WORDS, self._hearNoMore)
        self._endIfComplete()

    def _hearNoMore(self) -> None:
        self._lastWords = None
        if self._control is not None and self._control.transport is not None:
            self._control.transport.abortConnection()  # type: ignore[attr-defined]

    def _controlLost(self) -> None:
        self._control = None
        if self._lastWords is not None:
            self._lastWords.cancel()
            self._lastWords = None
        self._endIfComplete()

    def _endIfComplete(self) -> None:
        # The last messages may be read after the process was reaped.
        if self._how is not None and self._control is None:
            self.ended = True
            self._ended(self._how)


def _checkExecutable() -> None:
    """
    The privileges are shed by now: an interpreter in root's own folders is out of
    reach, and the failure of C{exec} would only be seen in the child.

    @raise PermissionError: the interpreter cannot be started.
    """
    effective = os.access in os.supports_effective_ids
    if not os.access(sys.executable, os.X_OK, effective_ids=effective):
        raise PermissionError(
            f"user {os.geteuid()} may not execute {sys.executable}; install Python "
            "and svctree where that user can read them"
        )


def _environment() -> dict[str, str]:
    """
    The zygote must not find modules of its own in the working directory
    (C{PYTHONSAFEPATH}, since Python 3.11).
    """
    return {**os.environ, "PYTHONSAFEPATH": "1"}
