"""
What a waiting command shows: on a terminal one line that keeps changing, elsewhere
nothing.
"""

from __future__ import annotations

import sys
from typing import TextIO

__all__ = ["Progress"]

_ERASE = "\r\x1b[K"


class Progress:
    """
    One line on a terminal.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream: TextIO | None = sys.stderr if stream is None else stream
        self._shown = False
        # There is no standard error at all where it was closed.
        self._live = self._stream is not None and self._stream.isatty()

    def show(self, text: str) -> None:
        """
        Replace the line.
        """
        if self._live and self._stream is not None:
            self._stream.write(f"{_ERASE}svctree: {text}")
            self._stream.flush()
            self._shown = True

    def clear(self) -> None:
        """
        Remove the line, so that something else can be printed.
        """
        if self._shown and self._stream is not None:
            self._stream.write(_ERASE)
            self._stream.flush()
            self._shown = False

    def tell(self, text: str) -> None:
        """
        Print a line that stays, on a terminal or not.
        """
        self.clear()
        if self._stream is not None:
            self._stream.write(f"svctree: {text}\n")
            self._stream.flush()
