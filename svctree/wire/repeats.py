"""
Requests that come again.

Clients that keep their connection to the front end, and poll or fetch the same things,
send the same request again and again; the front end then sends the same bytes, down to
REMOTE_PORT. To read these anew each time is most of what a codec does.

To look for what never comes again costs half a microsecond, too. Each look takes a
credit, each find gives eight; without credit nobody looks for a while.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["Known", "Repeats"]

_MOST = 256
_LONGEST = 2048
"""Of so many requests with so many bytes: a megabyte or two, at the very most."""

_MARKS = 4096

_CREDIT = 256
_WORTH = 8
_REST = 1024
"""Requests that are let pass when there is no credit."""


class Known(NamedTuple):
    """
    A request without a body, as read before.

    @ivar variables: what the environ has beyond its template; to be copied.
    @ivar line: for the log.
    @ivar isHead: the method is HEAD.
    """

    variables: dict[str, object]
    line: bytes
    isHead: bool


class Repeats:
    """
    Remembers requests that were seen twice.

    @ivar known: by the bytes of each.
    @ivar rest: so many requests are let pass, without L{find} and without L{saw};
        whoever lets one pass counts down.
    """

    __slots__ = ("_credit", "_marks", "known", "rest")

    def __init__(self) -> None:
        self.known: dict[bytes, Known] = {}
        self._credit = _CREDIT
        self.rest = 0
        # Of those that were seen once, only the hash: most will never come again.
        self._marks: set[int] = set()

    def find(self, data: bytes) -> Known | None:
        """
        Hot path; not while there is L{rest}.

        @return: the request with these bytes, if it is known.
        """
        found = self.known.get(data)
        if found is not None and self._credit < _CREDIT:
            self._credit += _WORTH
        return found

    def saw(
        self,
        data: bytes,
        environ: Mapping[str, object],
        own: Mapping[str, object],
        line: bytes,
        isHead: bool,
    ) -> None:
        """
        A request without a body was read; not while there is L{rest}.

        @param data: its bytes.
        @param environ: what was made of them.
        @param own: has the names that the environ has beyond its template.
        """
        self._credit -= 1
        if self._credit <= 0:
            self.rest, self._credit = _REST, _CREDIT // 2
        mark = hash(data)
        if mark not in self._marks:
            if len(self._marks) >= _MARKS:
                self._marks.clear()
            self._marks.add(mark)
            return
        if len(data) > _LONGEST or "REQUEST_URI" not in own:
            return
        if len(self.known) >= _MOST:
            self.known.clear()
        kept = {name: environ[name] for name in own}
        self.known[data] = Known(kept, line, isHead)
