"""
The process that holds the lock on a file: found, watched and signalled.

The kernel knows who locked what (C{/proc/locks}), so nothing depends on a number
that somebody wrote into a file once. Signals and waiting go through a pidfd, which
means one process for ever, where a pid may mean another one a moment later.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import time

__all__ = ["Holder", "lockHolder"]


class Holder:
    """
    A process that was seen holding a lock.

    @ivar pid: its process id.
    """

    def __init__(self, pid: int, pidfd: int | None) -> None:
        """
        @param pidfd: stands for the process; L{None} where the kernel has no such
            thing. It belongs to this object.
        """
        self.pid = pid
        self._pidfd = pidfd

    @classmethod
    def of(cls, pid: int) -> Holder | None:
        """
        @return: the process, or L{None} when it is gone.
        """
        try:
            return cls(pid, os.pidfd_open(pid))
        except ProcessLookupError:
            return None
        except (AttributeError, OSError):
            # macOS and the BSDs; a kernel before 5.3; a filter of system calls that
            # is older than this one.
            return cls(pid, None) if _exists(pid) else None

    def signal(self, *numbers: int) -> bool:
        """
        Send signals, in this order.

        @return: whether the process was there to get them.
        @raise PermissionError: it belongs to somebody else.
        """
        try:
            for number in numbers:
                if self._pidfd is None:
                    os.kill(self.pid, number)
                else:
                    signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return False
        return True

    def wait(self, timeout: float) -> bool:
        """
        Wait for the end of the process.

        @param timeout: seconds.
        @return: whether it has ended.
        """
        if self._pidfd is None:
            deadline = time.monotonic() + timeout
            while _exists(self.pid):
                if time.monotonic() >= deadline:
                    return False
                time.sleep(0.02)
            return True
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(max(timeout, 0.0) * 1000))

    def close(self) -> None:
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    def __enter__(self) -> Holder:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


def lockHolder(fd: int, written: int | None = None) -> int | None:
    """
    Find the process that holds the C{flock} lock on an open file.

    Reading C{/proc/locks} takes no lock of its own; asking the kernel by trying to
    lock would make a simultaneous start believe that a daemon runs.

    @param written: the pid that the file names, believed only where the kernel
        does not tell (no C{/proc/locks}, or the holder in another pid namespace)
        but somebody does hold the lock.
    @return: its pid; 0 when somebody holds the lock who cannot be named; L{None}
        when nobody does.
    """
    status = os.fstat(fd)
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
    similar = []
    for lockedBy, where, inode in _locks():
        if inode != status.st_ino or lockedBy <= 0:
            continue
        opened = _hasOpen(lockedBy, status)
        # On btrfs and overlayfs the device of a lock is not the one that stat()
        # reports, so that the inode has to do, together with the open file.
        if opened or (opened is None and where == device):
            return lockedBy
        similar.append(lockedBy)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        if written and _hasOpen(written, status) is not False and _exists(written):
            return written
        return similar[0] if len(similar) == 1 else 0
    fcntl.flock(fd, fcntl.LOCK_UN)
    return None


def _locks() -> list[tuple[int, str, int]]:
    """
    @return: (pid, device, inode) of every C{flock} lock held for writing.
    """
    try:
        with open("/proc/locks", encoding="ascii") as file:
            lines = file.read().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        # 7: FLOCK  ADVISORY  WRITE 1234 fe:01:393325 0 EOF
        fields = line.split()
        if len(fields) < 6 or fields[1] != "FLOCK" or fields[3] != "WRITE":
            continue
        device, _, inode = fields[5].rpartition(":")
        found.append((int(fields[4]), device, int(inode)))
    return found


def _hasOpen(pid: int, status: os.stat_result) -> bool | None:
    """
    @return: whether the process has that file open; L{None} when we may not know.
    """
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError as error:
        return None if isinstance(error, PermissionError) else False
    for name in names:
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(f"{folder}/{name}"), status):
                return True
    return False


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
