"""
Request bodies, collected before the application is called.

Policy:

  - Every body may hold C{buffer-request} bytes of memory.
  - Beyond it a worker has a L{Reserve} for all of them, since a file costs more than
    the bytes that it holds: pages are found for each body and given back after it, and
    each byte is copied twice more. A body of known length gets its share at once, or
    none. (Measured with bodies of 5 MB, least processor time for each: 1.3 ms in blocks
    of memory, 1.7 ms in a file that is mapped and used again; in the same run uWSGI,
    which does not collect, 1.0 ms, and bjoern, which keeps bodies in memory, 1.8 ms.)
  - What finds no room there goes to an unnamed temporary file.
"""

from __future__ import annotations

import io
from _thread import allocate_lock
from typing import IO, TYPE_CHECKING, cast

from svctree.wsgi.blocks import BLOCK, Blocks

if TYPE_CHECKING:
    import socket

__all__ = ["Body", "Reserve"]

_RECEIVE = 262144
_AT_ONCE = 1 << 20
"""Bytes of a body for one turn, so that one fast client does not keep the others."""

_RESERVE = 8 << 20
_STEP = 1 << 20
"""Bytes by which a body of unknown length takes from the reserve."""


class Reserve:
    """
    Memory that the large bodies of a worker share. May be used by several threads.
    """

    def __init__(self, size: int = _RESERVE) -> None:
        self._left = size
        self._lock = allocate_lock()

    def take(self, size: int) -> bool:
        """
        @return: whether so many bytes were left, and are taken now.
        """
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True

    def give(self, size: int) -> None:
        """
        Give back what was taken.
        """
        with self._lock:
            self._left += size


class Body:
    """
    Collects a body.

    @ivar size: bytes so far.
    """

    __slots__ = (
        "_blocks",
        "_file",
        "_fill",
        "_limit",
        "_parts",
        "_reserve",
        "_taken",
        "size",
    )

    def __init__(
        self, threshold: int, reserve: Reserve | None = None, expected: int = -1
    ) -> None:
        """
        @param threshold: bytes that it may hold in memory.
        @param reserve: where more can be had.
        @param expected: how many will come; -1 where only the end will tell.
        """
        self.size = 0
        self._limit = threshold
        self._reserve = reserve
        self._taken = 0
        self._blocks: list[bytes] = []
        # What is to become the next block.
        self._parts: list[bytes] = []
        self._fill = 0
        self._file: IO[bytes] | None = None
        if expected > threshold and not self._take(expected - threshold):
            self._reserve = None

    def _take(self, size: int) -> bool:
        """
        @return: whether so much more may be held in memory.
        """
        if self._reserve is None or not self._reserve.take(size):
            return False
        self._taken += size
        self._limit += size
        return True

    def add(self, data: bytes) -> None:
        """
        @raise OSError: the temporary file does not take it.
        """
        self.size += len(data)
        while self.size > self._limit and self._file is None:
            if not self._take(_STEP):
                self._spill()
        if self._file is not None:
            _write(self._file, data)
        else:
            self._keep(data)

    def _spill(self) -> None:
        """
        Go on in a temporary file.
        """
        # A worker has it from its zygote; a CGI script can mostly do without.
        import tempfile

        # Unbuffered: pieces are as large as the socket gives them.
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        for piece in (*self._blocks, *self._parts):
            _write(self._file, piece)
        self._blocks.clear()
        self._parts.clear()
        self._giveBack()

    def _keep(self, data: bytes) -> None:
        end = 0
        while self._fill + len(data) - end >= BLOCK:
            start, end = end, end + BLOCK - self._fill
            block = data[start:end]
            if self._parts:
                block = b"".join([*self._parts, block])
                self._parts.clear()
                self._fill = 0
            self._blocks.append(block)
        if end < len(data):
            self._parts.append(data[end:])
            self._fill += len(data) - end

    def receive(self, sock: socket.socket, most: int) -> int:
        """
        Take from a socket what comes next: as much as is there, and to where it will
        stay.

        @return: how many bytes came, 0 at the end.
        @raise OSError: nothing has come, or nothing will; or as L{add}.
        """
        if self.size + most > self._limit:
            data = sock.recv(min(most, _RECEIVE))
            self.add(data)
            return len(data)
        left = most = min(most, _AT_ONCE)
        wanted = min(left, BLOCK - self._fill)
        receive = sock.recv
        try:
            while wanted:
                data = receive(wanted)
                size = len(data)
                if size == BLOCK:
                    self._blocks.append(data)
                else:
                    self._keep(data)
                left -= size
                if size < wanted:
                    break
                wanted = min(left, BLOCK)
        except BlockingIOError:
            if left == most:
                raise
        self.size += most - left
        return most - left

    def stream(self) -> IO[bytes]:
        """
        @return: C{wsgi.input}, at the beginning of the whole body.
        """
        if self._file is not None:
            self._file.seek(0)
            # Buffered now: applications read lines.
            return io.BufferedReader(self._file)  # type: ignore[type-var]
        last = b"".join(self._parts)
        if not self._blocks:
            return io.BytesIO(last)
        if last:
            self._blocks.append(last)
        return cast(IO[bytes], Blocks(self._blocks, self.size))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        self._giveBack()

    def _giveBack(self) -> None:
        if self._taken and self._reserve is not None:
            self._reserve.give(self._taken)
            self._taken = 0


def _write(file: IO[bytes], data: bytes) -> None:
    written = file.write(data)
    while written < len(data):
        # A full disk takes a part, and says so at the next try.
        data = data[written:]
        written = file.write(data)
