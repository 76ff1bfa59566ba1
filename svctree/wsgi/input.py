"""
C{wsgi.input} of a request without a body.

Requests with one get a C{BytesIO} or a temporary file: the whole body has been
collected before the application is called, so reading it never waits and never ends
short.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["NO_INPUT", "NoInput"]


class NoInput:
    """
    A stream with nothing in it. It has no state, so all requests share one.
    """

    __slots__ = ()

    def read(self, size: int | None = -1, /) -> bytes:
        return b""

    def readline(self, size: int | None = -1, /) -> bytes:
        return b""

    def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        return []

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def close(self) -> None:
        pass


NO_INPUT = NoInput()
