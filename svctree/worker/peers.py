"""
Who is at the other end of one request, for L{svctree.worker.once}.
"""

from __future__ import annotations

import os
from typing import Protocol

from svctree.wsgi import ClientGone

__all__ = ["RECEIVE", "Peer", "Streams"]

RECEIVE = 65536
_BLOCK = 1 << 20


class Peer(Protocol):
    """
    The other end. Also the gateway's sink.
    """

    def receive(self, timeout: float) -> bytes:
        """
        @return: what came, C{b""} at the end.
        @raise OSError: nothing came in time, or the peer has left.
        """

    def write(self, data: bytes) -> None: ...

    def begin(self, data: bytes) -> None: ...

    def gather(self, on: bool) -> None: ...

    def sendFile(self, fd: int, offset: int, count: int) -> None: ...

    def finish(self, linger: bool) -> None:
        """
        Say that no more follows.
        """


class Streams:
    """
    A pair of descriptors: what the server reads of us, and what we read of it.
    """

    def __init__(self, source: int, target: int) -> None:
        self._source = source
        self._target = target

    def receive(self, timeout: float) -> bytes:
        # A regular file, a pipe, /dev/null: the server answers for its client's pace.
        return os.read(self._source, RECEIVE)

    def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._target, left) :]
            except OSError as error:
                raise ClientGone(str(error)) from None

    def begin(self, data: bytes) -> None:
        self.write(data)

    def gather(self, on: bool) -> None:
        pass

    def sendFile(self, fd: int, offset: int, count: int) -> None:
        while count:
            data = os.pread(fd, min(count, _BLOCK), offset)
            if not data:
                raise ClientGone("the file has become shorter while it was sent")
            self.write(data)
            offset += len(data)
            count -= len(data)

    def finish(self, linger: bool) -> None:
        """
        The end of the process closes the streams.
        """
