"""
Where a process stands in the file system, and the mask of the files it makes.
"""

from __future__ import annotations

import os

__all__ = ["SurroundingsError", "changeDirectory", "changeRoot", "setUmask"]


class SurroundingsError(Exception):
    """
    A directory cannot be entered.
    """

    exitStatus = 1


def setUmask(umask: int | None) -> None:
    """
    @param umask: the mask; L{None} keeps the one of the caller.
    """
    if umask is not None:
        os.umask(umask)


def changeDirectory(path: str | None) -> None:
    """
    @param path: the working directory; L{None} or empty keeps the present one.
    @raise SurroundingsError: it cannot be entered.
    """
    if not path:
        return
    try:
        os.chdir(path)
    except OSError as error:
        raise SurroundingsError(
            f"basedir: cannot enter {path}: {error.strerror}"
        ) from error


def changeRoot(path: str | None) -> bool:
    """
    Make C{path} the root directory; the working directory stays when it is below,
    and becomes the new root otherwise: a working directory outside would be a way
    out.

    @param path: L{None} or empty does nothing, and so does being an ordinary user.
    @return: whether the root was changed.
    @raise SurroundingsError: it cannot be entered.
    """
    if not path or os.geteuid() != 0:
        return False
    root = os.path.realpath(path)
    here = os.getcwd()
    inside = here == root or here.startswith(root.rstrip("/") + "/")
    try:
        os.chroot(root)
        os.chdir("/" + here[len(root.rstrip("/")) :].lstrip("/") if inside else "/")
    except OSError as error:
        raise SurroundingsError(
            f"chroot: cannot enter {path}: {error.strerror}"
        ) from error
    return True
