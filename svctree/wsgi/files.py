"""
C{wsgi.file_wrapper}: files as answers.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Any

__all__ = ["FileWrapper"]


class FileWrapper:
    """
    Iterates over a file; the gateway sends it by C{sendfile} where it can.
    """

    def __init__(self, filelike: Any, blksize: int = 65536) -> None:
        self.filelike = filelike
        self.blksize = blksize
        close = getattr(filelike, "close", None)
        if close is not None:
            self.close = close

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.filelike.read(self.blksize), b"")

    def extent(self) -> tuple[int, int, int] | None:
        """
        @return: descriptor, offset and size of what is left of the file, when it is
            a regular file; L{None} when it has to be read.
        """
        try:
            fd: int = self.filelike.fileno()
            offset: int = self.filelike.tell()
            status = os.fstat(fd)
        except (AttributeError, OSError, ValueError):
            # io.UnsupportedOperation is both of the latter.
            return None
        if not stat.S_ISREG(status.st_mode) or "b" not in getattr(
            self.filelike, "mode", "b"
        ):
            return None
        return fd, offset, max(status.st_size - offset, 0)
