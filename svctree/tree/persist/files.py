"""
Writing a file so that there is always a whole one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat

__all__ = ["writeWhole"]


def writeWhole(filename: str, content: bytes, secret: bool = False) -> None:
    """
    Put C{content} into C{filename}: a reader, and whoever comes after a crash, finds
    the old content or the new one, never a part.

    @param secret: only the owner may read the file (mode 0600). Otherwise the file
        keeps the mode it has; a new one gets what the umask says.
    @raise OSError: the directory does not take the file; C{filename} is as before.
    """
    directory = os.path.dirname(filename) or os.curdir
    temporary = f"{filename}.{secrets.token_hex(8)}.new"
    # O_EXCL: the name cannot be one that somebody prepared, nor a symbolic link.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600 if secret else 0o666)
    try:
        with open(descriptor, "wb") as stream:
            mode = 0o600 if secret else _modeOf(filename)
            if mode is not None:
                os.fchmod(descriptor, mode)
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        os.rename(temporary, filename)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    # The rename itself is on the disk only with its directory.
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _modeOf(filename: str) -> int | None:
    try:
        status = os.lstat(filename)
    except FileNotFoundError:
        return None
    return stat.S_IMODE(status.st_mode) if stat.S_ISREG(status.st_mode) else None
