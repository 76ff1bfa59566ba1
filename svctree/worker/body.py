"""
Request bodies, collected before the application is called.
"""

from __future__ import annotations

import io
from typing import IO

__all__ = ["Body"]


class Body:
    """
    Collects a body: in memory up to a threshold, in an unnamed temporary file above.

    @ivar size: bytes so far.
    """

    __slots__ = ("_file", "_parts", "_threshold", "size")

    def __init__(self, threshold: int) -> None:
        self.size = 0
        self._threshold = threshold
        self._parts: list[bytes] = []
        self._file: IO[bytes] | None = None

    def add(self, data: bytes) -> None:
        """
        @raise OSError: the temporary file does not take it.
        """
        self.size += len(data)
        if self._file is not None:
            self._file.write(data)
            return
        self._parts.append(data)
        if self.size > self._threshold:
            # A worker has it from its zygote; a CGI script can mostly do without.
            import tempfile

            # Unbuffered: pieces are as large as the socket gives them.
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
            self._file.write(b"".join(self._parts))
            self._parts.clear()

    def stream(self) -> IO[bytes]:
        """
        @return: C{wsgi.input}, at the beginning of the whole body.
        """
        if self._file is None:
            return io.BytesIO(b"".join(self._parts))
        self._file.seek(0)
        # Buffered now: applications read lines.
        return io.BufferedReader(self._file)  # type: ignore[type-var]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
