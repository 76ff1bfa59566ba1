"""
What a daemon had to leave behind, because it had given its rights away.

A daemon that is C{nobody} cannot remove files from a folder of root's. The command
that started or stopped it often can: it is told the paths and tidies up, touching
nothing that somebody still uses.
"""

from __future__ import annotations

import os
import socket
import stat

from svctree.process.pidfile import PidFile

__all__ = ["sweepLeftovers", "sweepSocket"]


def sweepLeftovers(pidfile: str | None, sockets: list[str]) -> list[str]:
    """
    Remove an emptied pidfile and socket files on which nobody listens.

    @return: the paths that were removed.
    """
    removed = [path for path in sockets if sweepSocket(path)]
    if pidfile and PidFile(pidfile).sweep():
        removed.append(pidfile)
    return removed


def sweepSocket(path: str) -> bool:
    """
    Remove a socket file that no process listens on.

    @return: whether it was removed; everything that is not a socket, or answers,
        stays.
    """
    try:
        before = os.lstat(path)
        if not stat.S_ISSOCK(before.st_mode):
            return False
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            probe.connect(path)
    except ConnectionRefusedError:
        pass
    except OSError:
        return False
    else:
        return False
    try:
        if os.path.samestat(before, os.lstat(path)):
            os.unlink(path)
            return True
    except OSError:
        return False
    return False
