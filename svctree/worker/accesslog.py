"""
The access log: a line for each request, written by the worker that answered it.

Without the option there is nothing in the way of a request. With it, the gateway's
answer is called with one object between it and the codec and the sink, which notes
what goes by. A line is one write to a file opened for appending, so that the lines of
many workers do not tear each other.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

from svctree.logformat import Answered, compileFormat
from svctree.wire.contract import Fields, ICodec
from svctree.worker.appended import AppendedFile
from svctree.wsgi import ISink

__all__ = ["AccessLog", "Answer"]

Answer = Callable[[dict[str, Any], ICodec, ISink], int]


class _Noted:
    """
    One exchange: the codec and the sink that the gateway sees.
    """

    __slots__ = ("_codec", "_sink", "block", "size", "status")

    def __init__(self, codec: ICodec, sink: ISink) -> None:
        self._codec = codec
        self._sink = sink
        self.status = ""
        self.block = b""
        self.size = 0

    @property
    def transparent(self) -> bool:
        return self._codec.transparent

    def whole(self, status: str, fields: Fields, body: bytes) -> bytes:
        self.status, self.block, self.size = status, fields.block, len(body)
        return self._codec.whole(status, fields, body)

    def head(self, status: str, fields: Fields, length: int) -> bytes:
        self.status, self.block = status, fields.block
        return self._codec.head(status, fields, length)

    def piece(self, data: bytes) -> bytes:
        self.size += len(data)
        return self._codec.piece(data)

    def end(self) -> bytes:
        return self._codec.end()

    def interim(self, status: int, block: bytes = b"") -> bytes:
        return self._codec.interim(status, block)

    def write(self, data: bytes) -> None:
        self._sink.write(data)

    def begin(self, data: bytes) -> None:
        self._sink.begin(data)

    def gather(self, on: bool) -> None:
        self._sink.gather(on)

    def sendFile(self, fd: int, offset: int, count: int) -> None:
        self.size += count
        self._sink.sendFile(fd, offset, count)


class AccessLog:
    """
    An open access log.
    """

    def __init__(
        self,
        path: str,
        form: str = "combined",
        worker: tuple[int, int] | None = None,
    ) -> None:
        """
        @param path: C{-} is standard output.
        @param form: see L{svctree.logformat}.
        @param worker: its number in the pool and its generation.
        @raise svctree.worker.appended.LogFileError: the file cannot be opened.
        """
        self._line = compileFormat(form)
        self._worker = worker
        self._file = AppendedFile("accesslog", path, 1)
        self.reopen = self._file.reopen

    def around(self, answer: Answer) -> Answer:
        """
        @return: the same, writing a line for each call.
        """

        def noting(environ: dict[str, Any], codec: ICodec, sink: ISink) -> int:
            began = time.monotonic_ns()
            noted = _Noted(codec, sink)
            outcome = answer(environ, noted, noted)  # type: ignore[arg-type]
            size = 0 if environ.get("REQUEST_METHOD") == "HEAD" else noted.size
            spent = time.monotonic_ns() - began
            self._write(environ, noted.status, noted.block, size, spent)
            return outcome

        return noting

    def refused(self, sock: socket.socket, status: int) -> None:
        """
        Write the line of a request that never became one.

        @param status: what the client was told.
        """
        try:
            name = sock.getpeername()
        except OSError:
            name = ""
        environ = {"REMOTE_ADDR": name[0]} if isinstance(name, tuple) else {}
        self._write(environ, str(status), b"", 0, 0)

    def _write(
        self, environ: dict[str, Any], status: str, block: bytes, size: int, spent: int
    ) -> None:
        ended = time.time()
        one = Answered(environ, status, block, size, spent, ended, self._worker)
        self._file.write(self._line(one))
