"""
The pidfile: says who the daemon is, and makes sure that there is one only.

Promises:

 - the truth is the lock, not the content: C{flock} on the open file, which survives
   another open and close of the file in the same process (POSIX record locks do
   not) and which the kernel clears however the daemon dies. The content is for
   people and for other programs;
 - nothing is ever written through a symbolic link, into a hard link of another
   file, a pipe or a device;
 - whoever holds the lock on the file I{that the path leads to} is the daemon. A
   starter that locked a file which was unlinked meanwhile starts over.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from typing import Any

from svctree.process.holder import Holder, lockHolder

__all__ = ["AlreadyRunning", "NoPidFile", "PidFile", "PidFileError"]

# How long a starter tries to get the lock, in seconds. A running daemon never gives
# it up; a command that tidies up holds it for some microseconds.
_PATIENCE = 0.05


class PidFileError(Exception):
    """
    The pidfile cannot be used.

    @ivar path: the pidfile.
    """

    exitStatus = 1

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"pidfile {path}: {reason}")
        self.path = path


class AlreadyRunning(PidFileError):
    """
    Somebody else holds the lock.

    @ivar pid: who; 0 when the kernel does not tell.
    """

    exitStatus = 5

    def __init__(self, path: str, pid: int) -> None:
        who = f"with pid {pid}" if pid else "in a process that cannot be seen from here"
        super().__init__(path, f"already running {who}")
        self.pid = pid


class PidFile:
    """
    One pidfile, as its daemon or as a command that looks for the daemon.

    @ivar path: where it is.
    @ivar remarks: sentences about what C{acquire} found, for the log.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.abspath(os.fspath(path))
        self.remarks: list[str] = []
        self._fd = -1
        self._folder = -1

    @property
    def held(self) -> bool:
        """
        Whether this object holds the lock.
        """
        return self._fd >= 0

    def acquire(self) -> None:
        """
        Create the file if need be, lock it and empty it.

        The folder is kept open, so that C{release} finds the file again after a
        change of the root directory.

        @raise AlreadyRunning: another daemon lives.
        @raise PidFileError: the file cannot be used, and why.
        """
        if self.held:
            raise RuntimeError(f"{self.path} is held already")
        self.remarks = []
        self._openFolder()
        try:
            self._acquire()
        except BaseException:
            self._close()
            raise

    def write(self, pid: int | None = None) -> None:
        """
        Write the pid, by default that of this process.

        @raise PidFileError: the disk is full, for instance.
        """
        text = b"%d\n" % (os.getpid() if pid is None else pid)
        try:
            # First the new text, then the cut: a reader sees the whole number.
            written = os.pwrite(self._fd, text, 0)
            os.ftruncate(self._fd, len(text))
        except OSError as error:
            raise PidFileError(self.path, f"cannot write: {error.strerror}") from error
        if written != len(text):
            raise PidFileError(self.path, "cannot write: the disk is full")

    def release(self) -> bool:
        """
        Remove the file, or empty it where that is forbidden (after the identity was
        given away in a folder of root's), and give up the lock.

        @return: whether the file is gone.
        """
        if not self.held:
            return True
        try:
            # What stands there under our name now need not be ours.
            if not self._isAtPath(self._fd):
                return True
            try:
                os.unlink(os.path.basename(self.path), dir_fd=self._folder)
            except OSError:
                os.ftruncate(self._fd, 0)
                return False
            return True
        finally:
            self._close()

    def read(self) -> int | None:
        """
        @return: the pid that the file names; L{None} for none. Who really is the
            daemon, C{holder} knows.
        @raise PidFileError: the file cannot be read.
        """
        fd = self._openToRead()
        if fd < 0:
            return None
        try:
            return _parse(os.pread(fd, 64, 0))
        finally:
            os.close(fd)

    def holder(self) -> Holder | None:
        """
        Find the daemon, without disturbing a start that is under way.

        @return: the process that holds the lock, also while it starts and has not
            written its pid yet; L{None} when nobody does. Close it after use.
        @raise PidFileError: the file cannot be read, or the holder not be named.
        """
        fd = self._openToRead()
        if fd < 0:
            return None
        try:
            for _ in range(20):
                written = _parse(os.pread(fd, 64, 0))
                pid = lockHolder(fd, written)
                if pid is None:
                    return None
                if pid == 0:
                    raise AlreadyRunning(self.path, 0)
                found = Holder.of(pid)
                # Between the question and the pidfd the pid may have got another
                # owner; it has not if it still holds the lock.
                if found is not None and lockHolder(fd, written) == pid:
                    return found
                if found is not None:
                    found.close()
            raise PidFileError(self.path, "the daemon changes faster than I can look")
        finally:
            os.close(fd)

    def sweep(self) -> bool:
        """
        Remove a file that its daemon could only empty. Anything else is left alone:
        a stale file does no harm, and a file in use is not ours.

        @return: whether a file was removed.
        """
        fd = self._openToRead()
        if fd < 0:
            return False
        try:
            if os.fstat(fd).st_size:
                return False
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_size or not os.path.samestat(
                os.fstat(fd), os.lstat(self.path)
            ):
                return False
            os.unlink(self.path)
        except OSError:
            return False
        finally:
            os.close(fd)
        return True

    def _openFolder(self) -> None:
        folder = os.path.dirname(self.path)
        try:
            self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise PidFileError(
                self.path, f"cannot open the folder {folder}: {error.strerror}"
            ) from error

    def _acquire(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            fd = self._open()
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pid = lockHolder(fd, _parse(os.pread(fd, 64, 0)))
                os.close(fd)
                if time.monotonic() > deadline:
                    raise AlreadyRunning(self.path, pid or 0) from None
                time.sleep(0.005)
                continue
            except OSError as error:
                os.close(fd)
                raise PidFileError(
                    self.path, f"cannot lock: {error.strerror}"
                ) from error
            # The daemon before us may have unlinked the file after we opened it.
            if self._isAtPath(fd):
                break
            os.close(fd)
        self._fd = fd
        self._takeOver()

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            fd = os.open(os.path.basename(self.path), flags, 0o644, dir_fd=self._folder)
        except OSError as error:
            raise PidFileError(self.path, _whyNot(error)) from error
        status = os.fstat(fd)
        reason = None
        if not stat.S_ISREG(status.st_mode):
            reason = "not a regular file, refusing to write"
        elif status.st_nlink > 1:
            reason = "has another name (hard link), refusing to write"
        if reason:
            os.close(fd)
            raise PidFileError(self.path, reason)
        return fd

    def _takeOver(self) -> None:
        status = os.fstat(self._fd)
        if status.st_uid == os.geteuid() or os.geteuid() == 0:
            # Whatever the umask and whoever made the file.
            os.fchmod(self._fd, 0o644)
            if status.st_uid != os.geteuid():
                os.fchown(self._fd, os.geteuid(), os.getegid())
        old = os.pread(self._fd, 64, 0)
        pid = _parse(old)
        if pid is not None:
            self.remarks.append(f"pidfile {self.path}: was stale (pid {pid})")
        elif old.strip():
            self.remarks.append(
                f"pidfile {self.path}: had no pid in it but {old[:40]!r}; overwritten"
            )
        os.ftruncate(self._fd, 0)

    def _isAtPath(self, fd: int) -> bool:
        try:
            there = os.stat(
                os.path.basename(self.path), dir_fd=self._folder, follow_symlinks=False
            )
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(fd))

    def _openToRead(self) -> int:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            return os.open(self.path, flags)
        except (FileNotFoundError, NotADirectoryError):
            return -1
        except OSError as error:
            raise PidFileError(self.path, _whyNot(error)) from error

    def _close(self) -> None:
        for fd in (self._fd, self._folder):
            if fd >= 0:
                os.close(fd)
        self._fd = self._folder = -1


class NoPidFile:
    """
    In place of a pidfile where none is wanted.
    """

    path = ""
    held = False

    def __init__(self) -> None:
        self.remarks: list[str] = []

    def acquire(self) -> None:
        """
        Nothing to lock.
        """

    def write(self, pid: int | None = None) -> None:
        """
        Nothing to write.
        """

    def release(self) -> bool:
        return True

    def read(self) -> None:
        return None

    def holder(self) -> None:
        return None

    def sweep(self) -> bool:
        return False


def _parse(content: bytes) -> int | None:
    text = content.strip()
    # Longer than any pid there is: garbage, even when it is all digits.
    if text.isdigit() and len(text) < 11 and int(text) > 0:
        return int(text)
    return None


def _whyNot(error: Any) -> str:
    if error.errno == errno.ELOOP:
        return "is a symbolic link, refusing to follow it"
    return f"cannot open: {error.strerror}"
