"""
Into the background, with a parent that waits until the daemon serves.

The command that the operator typed stays in the foreground until the daemon says
that it is ready, or why it is not. The two talk over a pipe: one JSON object a line,
each with one key that names it::

    {"pid": 4711}                       who the daemon is
    {"progress": "waiting for web"}     shown on a terminal
    {"ready": "serving at ..."}         printed; the parent exits with status 0
    {"failed": "...", "exitStatus": 3, "details": "...", "pidfile": null,
     "sockets": []}                     printed; the parent exits with that status
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import sys
from collections.abc import Collection, Iterator
from typing import Any, TextIO

from svctree.process.holder import Holder
from svctree.process.leftovers import sweepLeftovers
from svctree.process.progress import Progress
from svctree.process.status import complain, fillStandardStreams

__all__ = [
    "StatusPipe",
    "awaitDaemon",
    "closeInherited",
    "detachProcess",
]

# How long a daemon that has said why it ends may take to be gone, in seconds.
_LAST_GRACE = 5.0


class StatusPipe:
    """
    Reports to the parent that waits at the other end of a pipe. A parent that does
    not wait any more is none of our business: the daemon goes on.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._send(pid=os.getpid())

    def progress(self, what: str) -> None:
        self._send(progress=what)

    def ready(self, summary: str = "") -> None:
        self._send(ready=summary)
        self.close()

    def failed(
        self,
        message: str,
        exitStatus: int = 1,
        details: str = "",
        pidfile: str | None = None,
        sockets: Collection[str] = (),
    ) -> None:
        self._send(
            failed=message,
            exitStatus=exitStatus,
            details=details,
            pidfile=pidfile,
            sockets=list(sockets),
        )
        self.close()

    def _send(self, **message: object) -> None:
        data = json.dumps(message).encode() + b"\n"
        # Blocking, and the parent reads: even a long traceback gets through.
        with contextlib.suppress(OSError):
            while data and self._fd >= 0:
                data = data[os.write(self._fd, data) :]

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def detachProcess(keep: Collection[int] = ()) -> StatusPipe:
    """
    Go on as a daemon: in a new session without a terminal, child of nobody, with
    descriptors 0 and 1 on C{/dev/null} and nothing else inherited. Descriptor 2
    stays until the error log takes its place, so that early troubles are seen.

    @param keep: inherited descriptors to keep (sockets handed over by systemd).
    @return: in the daemon, where to report to.
    @raise SystemExit: in the calling process, when the daemon is ready or has
        failed; the code is the exit status.
    """
    fillStandardStreams()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    reader, writer = os.pipe()
    # Before the fork: an interrupt at any moment must reach the daemon.
    interrupts = _Interrupts()
    child = os.fork()
    if child:
        os.close(writer)
        os.waitpid(child, 0)
        raise SystemExit(awaitDaemon(reader, interrupts=interrupts))
    interrupts.restore()
    os.close(reader)
    os.setsid()
    # The second fork: who leads no session never gets a controlling terminal.
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    closeInherited({writer, *keep})
    return StatusPipe(writer)


class _Interrupts:
    """
    Notes Ctrl-C instead of raising an exception somewhere.

    @ivar fd: readable when there was one.
    """

    def __init__(self) -> None:
        self.fd, self._writer = os.pipe()
        self._previous = signal.signal(signal.SIGINT, self._note)

    def _note(self, number: int, frame: object) -> None:
        os.write(self._writer, b"x")

    def restore(self) -> None:
        """
        Let it be an exception again.
        """
        signal.signal(signal.SIGINT, self._previous)
        os.close(self.fd)
        os.close(self._writer)


def awaitDaemon(
    reader: int, stream: TextIO | None = None, interrupts: _Interrupts | None = None
) -> int:
    """
    Wait for a daemon's last word on its start, showing its progress on a terminal.
    An interrupt (Ctrl-C) ends the daemon too.

    @param reader: the pipe; it is closed.
    @param stream: where to show and complain; standard error when omitted.
    @return: the exit status for the waiting process.
    """
    stream = sys.stderr if stream is None else stream
    interrupts = _Interrupts() if interrupts is None else interrupts
    progress = Progress(stream)
    pid, status, interrupted, told = 0, None, False, False
    try:
        for message in _messages(reader, interrupts.fd):
            if message is None:
                interrupted = True
            else:
                pid = message.get("pid", pid)
            if interrupted and pid and not told:
                told = _interrupt(pid)
            if message is not None and not interrupted:
                status = _understand(message, progress, stream, pid)
                if status is not None:
                    return status
    finally:
        os.close(reader)
        interrupts.restore()
        progress.clear()
    if interrupted:
        complain(stream, "interrupted; the daemon was told to stop")
        return 130
    who = f" (pid {pid})" if pid else ""
    complain(
        stream,
        f"the daemon{who} ended before it was ready and could not say why; "
        "see its error log",
    )
    return 1


def closeInherited(keep: Collection[int] = ()) -> None:
    """
    Close what whoever started this program left open.

    What this process has opened itself is marked close-on-exec (PEP 446) and stays:
    some object owns it and would close the number again later.

    @param keep: descriptors to leave open.
    """
    for fd in _descriptors():
        if fd <= 2 or fd in keep:
            continue
        with contextlib.suppress(OSError):
            if not fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC:
                os.close(fd)


def _descriptors() -> list[int]:
    for folder in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return [int(name) for name in os.listdir(folder)]
    return list(range(3, os.sysconf("SC_OPEN_MAX")))


def _messages(reader: int, interrupts: int) -> Iterator[dict[str, Any] | None]:
    """
    @return: each message as it comes, L{None} for an interrupt; ends with the pipe.
    """
    data = b""
    while True:
        readable, _, _ = select.select([reader, interrupts], [], [])
        if interrupts in readable:
            os.read(interrupts, 64)
            yield None
        if reader in readable:
            chunk = os.read(reader, 65536)
            if not chunk:
                return
            *lines, data = (data + chunk).split(b"\n")
            for line in lines:
                yield json.loads(line)


def _understand(
    message: dict[str, Any], progress: Progress, stream: TextIO, pid: int
) -> int | None:
    """
    @return: the exit status, once it is known.
    """
    if "progress" in message:
        progress.show(message["progress"])
        return None
    progress.clear()
    if "ready" in message:
        if message["ready"] and sys.stdout is not None:
            sys.stdout.write(message["ready"] + "\n")
            sys.stdout.flush()
        return 0
    if "failed" in message:
        # Only then nobody listens on its sockets any more.
        _awaitEnd(pid)
        complain(stream, message["failed"], message["details"])
        sweepLeftovers(message["pidfile"], message["sockets"])
        return int(message["exitStatus"])
    return None


def _awaitEnd(pid: int) -> None:
    daemon = Holder.of(pid) if pid else None
    if daemon is not None:
        with daemon:
            daemon.wait(_LAST_GRACE)


def _interrupt(pid: int) -> bool:
    """
    Pass an interrupt on; the pipe ends with the daemon.
    """
    daemon = Holder.of(pid)
    if daemon is not None:
        with daemon:
            daemon.signal(signal.SIGINT)
    return True
