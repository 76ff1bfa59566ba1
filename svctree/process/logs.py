"""
The master's own messages, on descriptor 2.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    eventAsText,
    formatEvent,
    globalLogBeginner,
)

__all__ = ["DescriptorStream", "logObserver", "startLogging"]


class DescriptorStream:
    """
    A text stream that makes each C{write} one system call, so that the lines of
    several processes in one file do not tear each other.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, text: str) -> int:
        data = text.encode("utf-8", "backslashreplace")
        try:
            # A pipe may take less than everything; a file only on a full disk.
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            # There is no place left to complain in, and a daemon does not end
            # because the disk with its log is full.
            pass
        return len(text)

    def flush(self) -> None:
        """
        Nothing is held back.
        """


Leave = Callable[[LogEvent], bool]


def logObserver(
    level: str = "info", fd: int = 2, leaveOut: Leave = lambda event: False
) -> ILogObserver:
    """
    @param level: the lowest level that is written.
    @param leaveOut: asked for each event whether it is not written.
    @return: writes one line for each event (more for a traceback) to C{fd}.
    """
    wanted = LogLevel.levelWithName(level)
    predicate = LogLevelFilterPredicate(defaultLogLevel=wanted)
    if wanted is LogLevel.info:
        # That every service of the tree has come up or gone down in order is worth a
        # line to whoever looks for a mistake; failures are of a higher level.
        predicate.setLogLevelForNamespace("svctree.tree", LogLevel.warn)
    observer = FileLogObserver(
        DescriptorStream(fd),  # type: ignore[arg-type]
        lambda event: None if leaveOut(event) else _format(event),
    )
    return FilteringLogObserver(observer, [predicate])


def startLogging(level: str = "info", leaveOut: Leave = lambda event: False) -> None:
    """
    Write Twisted's log to descriptor 2 from now on. The standard streams stay as
    they are: C{print} is not turned into events.

    @param leaveOut: asked for each event whether it is not written.
    """
    observer = logObserver(level, leaveOut=leaveOut)
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)


# Remarks of Twisted's own that tell an operator nothing: that the reactor has ended
# stands below the reason why a start failed, and what listens says so itself.
_CHATTER = re.compile(r"Main loop terminated\.|\((?:TCP|UNIX) Port \S+ Closed\)")


def _format(event: LogEvent) -> str | None:
    if _CHATTER.fullmatch(formatEvent(event)):
        return None
    text = eventAsText(event, includeSystem=False)
    if not text:
        return None
    # A message of several lines stays together, and is told apart by its indent.
    return text.replace("\n", "\n\t") + "\n"
