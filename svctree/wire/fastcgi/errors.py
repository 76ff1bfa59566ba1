"""
Messages of an application to its front end's error log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TextIO

__all__ = ["FrontEndLog"]


class FrontEndLog:
    """
    A text stream as C{wsgi.errors} has to be (PEP 3333), written to the front end.
    """

    def __init__(self, send: Callable[[bytes], bool], otherwise: TextIO) -> None:
        """
        @param send: says whether it will send that along with the answer.
        @param otherwise: where to write what is too late, or too much.
        """
        self._send = send
        self._otherwise = otherwise

    def write(self, text: str) -> int:
        if not self._send(text.encode("utf-8", "backslashreplace")):
            self._otherwise.write(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """
        It leaves with the next bytes of the answer, and not before.
        """
        self._otherwise.flush()
