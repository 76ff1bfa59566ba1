"""
What a client has not taken yet.
"""

from __future__ import annotations

import os
import select
import socket
import tempfile
from collections import deque
from time import monotonic

__all__ = ["Output"]

_AT_ONCE = 1 << 20
"""Bytes of a file for one turn, so that one fast client does not keep the others."""

_PATIENCE = 1
"""
Milliseconds that a client gets for each megabyte to make room, before what it has not
taken goes to a file. One that reads as fast as it can needs less, and is spared the way
through the file; for one that does not, the file would cost as much time.
"""

_SHARE = 1 << 20


def _copy(target: int, source: int, offset: int, count: int) -> int:
    """
    What C{sendfile} does, where there is none.
    """
    return os.write(target, os.pread(source, min(count, _COPIED), offset))


_send = getattr(os, "sendfile", _copy)
_COPIED = 65536


class _Extent:
    """
    A part of a file that is to be sent.
    """

    __slots__ = ("count", "fd", "offset")

    def __init__(self, fd: int, offset: int, count: int) -> None:
        self.fd = fd
        self.offset = offset
        self.count = count


class Output:
    """
    An ordered queue of blocks and parts of files for one socket, held in memory up to
    a threshold and in an unnamed temporary file above.
    """

    __slots__ = (
        "_items",
        "_memory",
        "_new",
        "_slow",
        "_socket",
        "_spool",
        "_threshold",
    )

    def __init__(self, sock: socket.socket, threshold: int) -> None:
        self._socket = sock
        self._threshold = threshold
        self._items: deque[memoryview | _Extent] = deque()
        self._memory = 0
        # Bytes since the client was last waited for, and whether that was in vain.
        self._new = 0
        self._slow = False
        self._spool: _Extent | None = None

    def add(self, data: memoryview) -> int:
        """
        Queue a block.

        @return: bytes that went out meanwhile.
        @raise OSError: neither the socket nor the temporary file takes it.
        """
        more = bool(self._items)
        self._new += len(data)
        if self._spool is None:
            self._items.append(data)
            self._memory += len(data)
        else:
            self._toFile(data)
        sent = 0
        full = self._memory > self._threshold
        if self._new > _SHARE or ((more or full) and not self._slow):
            sent = self._letTake()
        if self._memory > self._threshold:
            self._spill()
        return sent

    def _letTake(self) -> int:
        shares = max(self._new / _SHARE, 1.0)
        until = monotonic() + _PATIENCE / 1000 * shares
        self._new = 0
        sent = 0
        while self._items and monotonic() < until:
            self._slow = not self._soon()
            if self._slow:
                break
            sent += self.flush()
        return sent

    def _soon(self) -> bool:
        poll = select.poll()
        poll.register(self._socket, select.POLLOUT)
        return bool(poll.poll(_PATIENCE))

    def _spill(self) -> None:
        """
        Move the blocks at the end of the queue to a file, down to the threshold.
        """
        moved: list[memoryview] = []
        while self._items and self._memory > self._threshold:
            last = self._items[-1]
            if isinstance(last, _Extent):
                break
            self._items.pop()
            self._memory -= len(last)
            keep = self._threshold - self._memory
            if 0 < keep < len(last):
                self._items.append(last[:keep])
                self._memory += keep
                last = last[keep:]
            moved.append(last)
        for block in reversed(moved):
            self._toFile(block)

    def _toFile(self, data: memoryview) -> None:
        spool = self._spool
        if spool is None:
            with tempfile.TemporaryFile(buffering=0) as file:
                spool = self._spool = _Extent(os.dup(file.fileno()), 0, 0)
            self._items.append(spool)
        while data:
            written = os.pwrite(spool.fd, data, spool.offset + spool.count)
            spool.count += written
            data = data[written:]

    def addFile(self, fd: int, offset: int, count: int) -> None:
        """
        Queue a part of a file; the descriptor is duplicated.
        """
        self._spool = None
        self._items.append(_Extent(os.dup(fd), offset, count))

    def flush(self) -> int:
        """
        Send what the socket takes, but not without end.

        @return: the bytes that went out.
        @raise OSError: the client has left.
        """
        sent = 0
        items = self._items
        try:
            while items and sent < _AT_ONCE:
                item = items[0]
                if isinstance(item, _Extent):
                    sent += self._sendExtent(item)
                    continue
                count = self._socket.send(item)
                sent += count
                self._memory -= count
                if count == len(item):
                    items.popleft()
                else:
                    items[0] = item[count:]
        except BlockingIOError:
            pass
        return sent

    def _sendExtent(self, item: _Extent) -> int:
        if item.count:
            size = min(item.count, _AT_ONCE)
            count = _send(self._socket.fileno(), item.fd, item.offset, size)
            if not count:
                raise OSError("the file has become shorter while it was sent")
            item.offset += count
            item.count -= count
        else:
            count = 0
        if not item.count:
            self._items.popleft()
            os.close(item.fd)
            if item is self._spool:
                self._spool = None
        return count

    def __bool__(self) -> bool:
        """
        @return: whether anything is left to be sent.
        """
        return bool(self._items)

    def close(self) -> None:
        """
        Forget everything.
        """
        for item in self._items:
            if isinstance(item, _Extent):
                os.close(item.fd)
        self._items.clear()
        self._spool = None
