"""
A socket pair that carries messages and descriptors, from plain Python.

The master's end is a Twisted transport (C{svctree.pool.link}); zygote and workers
use this one.
"""

from __future__ import annotations

import array
import contextlib
import os
import socket
import sys
from collections.abc import Iterable, Iterator

from svctree.pool.messages import Message, MessageError, decode, encode

__all__ = ["Channel"]

_MOST_FDS = 8
_FD_SIZE = array.array("i").itemsize


class Channel:
    """
    One end of a stream socket pair.

    Writing blocks: messages are few and small, and their order is their meaning.

    @ivar open: false once the other end is gone.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = b""
        self._fds: list[int] = []
        self.open = True

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """
        @return: two ends that are connected to each other.
        """
        left, right = socket.socketpair()
        return cls(left), cls(right)

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, message: Message, fd: int | None = None) -> None:
        """
        Send a message, and with it a descriptor. If the other end is gone, nothing
        happens: its end is reported where it is read.
        """
        data = encode(message)
        # The end of the stream is noted where it is read: there may be messages on
        # this side of it.
        with contextlib.suppress(OSError):
            if fd is not None:
                rights = [
                    (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))
                ]
                sent = self._socket.sendmsg([data], rights)
                data = data[sent:]
            self._socket.sendall(data)

    def receive(self, wait: bool = False) -> list[Message]:
        """
        Read what has arrived.

        @param wait: wait until something has.
        @return: the messages that are complete; L{open} turns false at the end of
            the stream.
        """
        flags = 0 if wait else socket.MSG_DONTWAIT
        space = socket.CMSG_SPACE(_MOST_FDS * _FD_SIZE)
        try:
            data, ancillary, _, _ = self._socket.recvmsg(65536, space, flags)
        except BlockingIOError:
            return []
        except OSError:
            data, ancillary = b"", []
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds = array.array("i")
                fds.frombytes(content[: len(content) - len(content) % _FD_SIZE])
                for fd in fds:
                    os.set_inheritable(fd, False)
                self._fds += fds
        if not data:
            self.open = False
            return []
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return list(_messages(lines))

    def takeFd(self) -> int | None:
        """
        @return: the descriptor that came with the message being handled, which is the
            caller's now; L{None} when the system had none left to deliver it.
        """
        return self._fds.pop(0) if self._fds else None

    def close(self) -> None:
        self._socket.close()
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()


def _messages(lines: Iterable[bytes]) -> Iterator[Message]:
    for line in lines:
        try:
            yield decode(line)
        except MessageError as error:
            # An application wrote to a descriptor that is not its own.
            sys.stderr.write(f"svctree: {error}\n")
