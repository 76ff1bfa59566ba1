"""
C{svctree run} for one request on standard input: a CGI script, or a connection that
inetd has accepted.

A web server starts such a process for each request and waits for its answer, so it does
what a daemon does in the same order and no more: there is no tree, no reactor, and
nothing of Twisted is loaded. (Measured: a quarter of the processor time.)
"""

from __future__ import annotations

import os
import signal
import sys
import time

from svctree.pool.source import Source, claimOutput, makeOnce, serveStandardInput
from svctree.process.errorlog import ErrorLog
from svctree.process.identity import Identity
from svctree.process.status import Foreground, fillStandardStreams
from svctree.process.surroundings import changeDirectory, changeRoot, setUmask
from svctree.settings import Settings
from svctree.worker.once import Once

__all__ = ["serveOnce"]

# What would end a daemon, or change it: the request in hand is answered first, which
# its time limit bounds.
_SIGNALS = ("HUP", "INT", "QUIT", "TERM", "TTIN", "TTOU", "USR1", "WINCH")

_LEVELS = ("debug", "info", "warn", "error", "critical")


def serveOnce(settings: Settings, source: Source) -> int:
    """
    Serve the request that came with standard input.

    @return: the exit status.
    """
    fillStandardStreams()
    output = claimOutput(source)
    status = Foreground()
    log = _Log(settings.loglevel, ErrorLog(settings.errorlogPath()))
    try:
        once = _prepare(settings, source, log)
    except Exception as error:
        if not hasattr(error, "exitStatus"):
            # Nobody meant this one for people's eyes.
            log.write("error", "something unexpected happened")
            sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        message = " ".join(str(error).split()) or type(error).__name__
        log.tellFile(f"the start failed: {message}")
        status.failed(message, details=str(getattr(error, "details", "") or ""))
        return int(getattr(error, "exitStatus", 1))
    finally:
        status.close()
    log.write("info", f"ready, pid {os.getpid()}")
    serveStandardInput(once, source, output)
    return 0


def _prepare(settings: Settings, source: Source, log: _Log) -> Once:
    """
    Steps 3 to 6 of L{svctree.process.runner}.
    """
    changeDirectory(settings.basedir)
    setUmask(settings.umask)
    identity = Identity.resolve(settings.user, settings.group)
    log.file.open(identity)
    for level, remark in identity.remarks():
        log.write("warn" if level == "warning" else "info", remark)
    if changeRoot(settings.chroot):
        log.write("info", f"the root directory is {settings.chroot} now")
    if identity.assume():
        os.environ.update(identity.environment())
        log.write("info", f"going on as {identity}")
    for name in _SIGNALS:
        # Not SIG_IGN, which the application's children would inherit.
        signal.signal(getattr(signal, f"SIG{name}"), lambda *_: None)
    return makeOnce(settings.pool(), source)


class _Log:
    """
    Lines as a daemon's log has them.

    @ivar file: the error log.
    """

    def __init__(self, level: str, file: ErrorLog) -> None:
        self._level = _LEVELS.index(level)
        self.file = file

    def write(self, level: str, text: str) -> None:
        if _LEVELS.index(level) >= self._level:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
            sys.stderr.write(f"{stamp} {text}\n")
            sys.stderr.flush()

    def tellFile(self, text: str) -> None:
        """
        Write an error for those who read the file only.
        """
        if self.file.attached:
            self.write("error", text)
