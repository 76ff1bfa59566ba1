"""
The error log: a file on descriptor 2, exchanged while everybody writes.

Nothing is lost when the file is moved away and reopened: C{dup2} exchanges the
descriptor in one step, so a line that is being written goes whole into the old file,
the next one into the new. All lines are single writes to a file opened for
appending, so they do not tear each other either.

Descriptor 2 is the one that everybody has: tracebacks of the interpreter, C
libraries and child processes end up in the same file as the messages of the log.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from svctree.process.identity import Identity

__all__ = ["ErrorLog", "ErrorLogError"]

_STANDARD = ("", "-", "/dev/stderr")


class ErrorLogError(Exception):
    """
    The error log cannot be opened.

    @ivar path: the error log.
    """

    exitStatus = 1

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"errorlog {path}: {reason}")
        self.path = path


class ErrorLog:
    """
    An error log, attached to a descriptor.

    @ivar path: the file; L{None} to leave the descriptor as it is.
    @ivar attached: whether the descriptor has become this file.
    @ivar observers: called with the descriptor after each C{reopen}, for those who
        have handed it on to other processes.
    """

    def __init__(self, path: str | None = None, fd: int = 2) -> None:
        """
        @param fd: the descriptor to attach the file to.
        """
        self.path = None if path is None or path in _STANDARD else os.path.abspath(path)
        self.observers: list[Callable[[int], object]] = []
        self.attached = False
        self._fd = fd
        self._folder = -1

    def fileno(self) -> int:
        return self._fd

    def open(self, owner: Identity | None = None) -> None:
        """
        Open the file and attach it; to be called while privileged.

        The folder is kept open too, so that C{reopen} finds the file again after a
        change of the root directory.

        @param owner: who will write and reopen; a file that is created here is
            given to it.
        @raise ErrorLogError: it cannot be opened, and why.
        """
        if self.path is None:
            return
        try:
            # O_PATH: a folder that may be searched but not listed is enough.
            self._folder = os.open(
                os.path.dirname(self.path), getattr(os, "O_PATH", 0) | os.O_DIRECTORY
            )
            fd = self._openFile(owner)
        except OSError as error:
            self.close()
            raise ErrorLogError(self.path, f"cannot open: {error.strerror}") from error
        self._attach(fd)

    def reopen(self) -> int:
        """
        Attach the file that the path leads to by now, created if need be.

        @return: the descriptor that is attached, for handing on.
        @raise ErrorLogError: it cannot be opened; the old file stays attached, and
            no line is lost.
        """
        if self.path is not None:
            try:
                fd = self._openFile(None)
            except OSError as error:
                raise ErrorLogError(self.path, self._whyNot(error)) from error
            self._attach(fd)
        return self._fd

    def close(self) -> None:
        """
        Forget the folder; the descriptor stays attached, for the last words.
        """
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1

    def _openFile(self, owner: Identity | None) -> int:
        assert self.path is not None
        name = os.path.basename(self.path)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY
        # Links are followed on purpose (/var/log/app.log -> /dev/stdout is common),
        # but ownership is only given to a file that did not exist: O_EXCL follows
        # no link.
        with contextlib.suppress(FileExistsError):
            fd = os.open(
                name, flags | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=self._folder
            )
            if owner is not None and os.geteuid() == 0:
                os.fchown(
                    fd,
                    -1 if owner.uid is None else owner.uid,
                    -1 if owner.gid is None else owner.gid,
                )
            return fd
        return os.open(name, flags | os.O_CREAT, 0o644, dir_fd=self._folder)

    def _attach(self, fd: int) -> None:
        if fd != self._fd:
            os.dup2(fd, self._fd)
            os.close(fd)
        self.attached = True

    def _whyNot(self, error: OSError) -> str:
        reason = f"cannot reopen: {error.strerror}; still writing to the old file"
        if isinstance(error, PermissionError) and self.path is not None:
            reason += (
                f". It is opened as uid {os.geteuid()} now: let the rotation create "
                "the new file for that user, or give it the folder "
                f"{os.path.dirname(self.path)}"
            )
        return reason
