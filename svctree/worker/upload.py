"""
Request bodies on their way from a socket.
"""

from __future__ import annotations

import socket
from typing import IO, Any, cast

from svctree.wire.contract import ICodec, IStraight
from svctree.worker.body import Body

__all__ = ["Upload"]

_RECEIVE = 262144


class Upload:
    """
    A request that waits for its body.

    @ivar line: see L{svctree.wire.contract.Request}.
    """

    __slots__ = ("_environ", "_stream", "body", "line")

    def __init__(self, environ: dict[str, Any], line: bytes, body: Body) -> None:
        self._environ = environ
        self.line = line
        self.body = body
        self._stream: IO[bytes] | None = None

    def receive(self, sock: socket.socket, codec: ICodec) -> tuple[int, Any]:
        """
        Take from a socket, on the short way where there is one: from the kernel to
        where the body is kept.

        @return: how many bytes came, 0 at the end, and the codec's next event.
        @raise OSError: nothing has come, or nothing will.
        @raise svctree.wire.contract.WireError: as L{ICodec.feed}.
        """
        if hasattr(codec, "straight"):
            passing = cast(IStraight, codec)
            missing = passing.straight()
            if missing:
                count = self.body.receive(sock, missing)
                return count, passing.passed(count) if count else codec.feed(b"")
        data = sock.recv(_RECEIVE)
        return len(data), codec.feed(data)

    def complete(self) -> dict[str, Any]:
        """
        @return: the environ of the request, whose body has come.
        """
        stream = self._stream = self.body.stream()
        self._environ["wsgi.input"] = stream
        self._environ["CONTENT_LENGTH"] = str(self.body.size)
        return self._environ

    def close(self) -> None:
        """
        Forget the body; whoever reads on gets an error.
        """
        if self._stream is not None:
            self._stream.close()
        self.body.close()
