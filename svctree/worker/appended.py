"""
A file that lines are appended to, exchanged while others write.
"""

from __future__ import annotations

import os
import sys

__all__ = ["AppendedFile", "LogFileError"]


class LogFileError(Exception):
    """
    A log cannot be opened.
    """

    exitStatus = 3


class AppendedFile:
    """
    An open log file, or one of the standard streams.

    @ivar fd: the descriptor; it stays the same when the file is reopened.
    """

    def __init__(self, option: str, path: str, stream: int) -> None:
        """
        @param option: whose value C{path} is, for messages.
        @param path: C{-} stands for C{stream}.
        @raise LogFileError: the file cannot be opened.
        """
        self._option = option
        self._path = path
        self.fd = stream if path == "-" else self._open()

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY
        try:
            return os.open(self._path, flags, 0o644)
        except OSError as error:
            raise LogFileError(
                f"{self._option} {self._path}: cannot open as uid {os.geteuid()}: "
                f"{error.strerror}"
            ) from error

    def reopen(self) -> None:
        """
        Write to the file that the path leads to by now, or go on with the old one and
        say why.
        """
        if self._path == "-":
            return
        try:
            fd = self._open()
        except LogFileError as error:
            sys.stderr.write(f"svctree: {error}; still writing to the old file\n")
            return
        # In one step: another thread may be writing.
        os.dup2(fd, self.fd, inheritable=False)
        os.close(fd)

    def write(self, line: str) -> None:
        """
        Append a line; a full disk is no reason to stop serving.
        """
        try:
            os.write(self.fd, line.encode("utf-8", "backslashreplace"))
        except OSError as error:
            sys.stderr.write(
                f"svctree: {self._option} {self._path}: {error.strerror}\n"
            )
