"""
C{wsgi.input} of a large body that is kept in memory.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence

__all__ = ["BLOCK", "Blocks"]

BLOCK = 65536
"""Bytes that applications ask for at once: Django, Werkzeug and C{shutil} do."""


class Blocks(io.BufferedIOBase):
    """
    Blocks of bytes as a file.

    Who reads block by block gets the very blocks: they were received into what the
    application gets, and are not copied again. Nobody waits for a copy when all has
    come, and it costs less: see L{svctree.worker.body}.
    """

    def __init__(self, blocks: Sequence[bytes], size: int) -> None:
        """
        @param blocks: all of them but the last of L{BLOCK} bytes.
        @param size: of all together.
        """
        self._blocks = blocks
        self._whole = size // BLOCK
        self._size = size
        # Where to read next: in which block, and where in it.
        self._index = self._start = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """
        Hot path, block by block.
        """
        index = self._index
        if size == BLOCK and not self._start and index < self._whole:
            self._index = index + 1
            return self._blocks[index]
        return self._take(self._until(size))

    read1 = read

    def _until(self, size: int | None) -> int:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        position = self.tell()
        left = self._size - position
        return position + (left if size is None or size < 0 else min(size, left))

    def _take(self, end: int) -> bytes:
        index, start = self._index, self._start
        last, stop = self._index, self._start = divmod(end, BLOCK)
        if last == index:
            return self._blocks[index][start:stop] if stop > start else b""
        parts = [self._blocks[index][start:], *self._blocks[index + 1 : last]]
        if stop:
            parts.append(self._blocks[last][:stop])
        return b"".join(parts)

    def readline(self, size: int | None = -1, /) -> bytes:  # type: ignore[override]
        end = self._until(size)
        index, start = self._index, self._start
        while index * BLOCK + start < end:
            stop = end - index * BLOCK
            found = self._blocks[index].find(b"\n", start, stop)
            if found >= 0:
                return self._take(index * BLOCK + found + 1)
            index, start = index + 1, 0
        return self._take(end)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._index * BLOCK + self._start

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = (0, self.tell(), self._size)[whence]
        # Behind the end there is nothing to read, as in any file.
        position = max(0, min(start + offset, self._size))
        self._index, self._start = divmod(position, BLOCK)
        return position

    def close(self) -> None:
        # What is read from now on takes the way that looks.
        self._whole = 0
        self._blocks = ()
        super().close()
