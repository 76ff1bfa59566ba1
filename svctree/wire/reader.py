"""
From the variables of a request, as a protocol wrote them, to its environ.

A L{Reader} belongs to a worker, and not to a connection, since it learns: requests that
come again, byte for byte (L{svctree.wire.repeats}), and what others have in common
(L{svctree.wire.shapes}). It uses what it learned only for what it would find anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from svctree.wire.cgivars import (
    environOf,
    place,
    requestLine,
    screened,
    suspicious,
)
from svctree.wire.contract import Limits
from svctree.wire.repeats import Repeats
from svctree.wire.shapes import Notation, Shape, kindOf

__all__ = ["Head", "Reader"]

Head = tuple[dict[str, object], int, bytes, bool, Mapping[str, object]]
"""
A request without its body: the environ; the size of the body, see
L{svctree.wire.cgivars.declaredLength}; the line for the log; whether the method is
HEAD; a mapping with the names that the environ has beyond its template.
"""

_MOST = 8
_LONGEST = 8192
_MARKS = 1024
_LESSONS = 64
"""So many shapes are kept, of blocks with so many bytes; and so often in a second one
is made: a peer that never sends the same names twice costs little more than parsing."""

_DECIDING = frozenset(
    (
        "CONTENT_LENGTH",
        "CONTENT_TYPE",
        "SERVER_NAME",
        "SERVER_PORT",
        "wsgi.url_scheme",
    )
)
"""Variables on which more of the environ depends than L{place} makes anew; and one that
is never what the peer says."""

_FROM_URI = ("PATH_INFO", "SCRIPT_NAME", "QUERY_STRING", "RAW_URI")


class _Lesson:
    """
    A shape, and what a request that fits it means.

    @ivar ready: a template, and what L{begin} copies where it is that one's turn. Both
        in one attribute, since threads share it.
    @ivar isGiven: SCRIPT_NAME, PATH_INFO and QUERY_STRING are as they were sent.
    @ivar before: what stands before the URI in the line for the log; C{""} when that is
        to be put together anew.
    @ivar after: what stands behind it.
    @ivar own: what the environ has beyond its template; L{None} stands for what is to
        be made from the URI. L{None} itself when more than the path depends on the
        holes: the variables are then understood as those of any other request.
    """

    __slots__ = (
        "after",
        "before",
        "isGiven",
        "isHead",
        "length",
        "own",
        "ready",
        "shape",
        "steps",
        "tail",
    )

    def __init__(
        self, shape: Shape, head: Head, extra: Mapping[str, str], mount: str
    ) -> None:
        environ, self.length, _, self.isHead, own = head
        self.shape = shape
        self.steps, self.tail = shape.steps, shape.tail
        self.ready: tuple[object, dict[str, Any]] = (None, {})
        self.own: dict[str, object] | None = None
        sent, fixed = shape.sent, _DECIDING.union(extra)
        if not (sent.get("SERVER_NAME") and sent.get("SERVER_PORT")):
            # They were made of it.
            fixed = fixed.union(("HTTP_HOST",))
        if "REQUEST_URI" in own and shape.holes <= own.keys() - fixed:
            self.own = {name: environ[name] for name in own}
            self.own.update((name, sent.get(name)) for name in _FROM_URI)
        # What place() would do: nothing more, where all of it was sent.
        self.isGiven = (
            self.own is not None
            and not mount
            and "PATH_INFO" in sent
            and "QUERY_STRING" in sent
            and not sent.get("SCRIPT_NAME")
            and "SCRIPT_NAME" not in shape.holes
        )
        if self.isGiven:
            assert self.own is not None
            self.own["SCRIPT_NAME"] = ""
        # What stands around the URI in the line for the log, where it is always that.
        self.before = self.after = ""
        if "SERVER_PROTOCOL" in sent and "SERVER_PROTOCOL" not in shape.holes:
            self.before = f"{sent['REQUEST_METHOD']} "
            self.after = f" {sent['SERVER_PROTOCOL']}"

    def begin(self, template: dict[str, object]) -> dict[str, Any]:
        """
        @return: a fresh dictionary for the holes to be filled into.
        """
        if self.own is None:
            start: dict[str, Any] = dict(self.shape.sent)
        else:
            start = {**template, **self.own}
        # A template is never changed, and mostly it is that of the last request.
        self.ready = (template, start)
        return start.copy()


class Reader:
    """
    Reads the heads of requests from peers who may say the same.

    @ivar repeats: what was read before, by the bytes in which the codec finds it.
    """

    __slots__ = (
        "_extra",
        "_left",
        "_lessons",
        "_limits",
        "_marks",
        "_mount",
        "_notation",
        "_takeHoles",
        "_trusted",
        "repeats",
    )

    def __init__(
        self,
        notation: Notation,
        limits: Limits,
        mount: str,
        trusted: bool,
        extra: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """
        @param trusted: the peers are trusted proxies.
        @param extra: variables to set, whatever the peer says.
        """
        self._notation = notation
        self._takeHoles = notation.takeHoles
        self._limits = limits
        self._mount = mount
        self._trusted = trusted
        self._extra = extra
        self.repeats = Repeats()
        # The one that was of use last comes first.
        self._lessons: list[_Lesson] = []
        # Of kinds that were seen once, only the hash: many will never come again.
        self._marks: set[int] = set()
        self._left = _LESSONS

    def tick(self) -> None:
        """
        A new second has begun.
        """
        self._left = _LESSONS

    def read(self, block: bytes, template: dict[str, object]) -> Head:
        """
        Hot path. Make sense of a block of variables.

        @raise svctree.wire.contract.RequestError: there is none.
        """
        text = block.decode("latin-1")
        for lesson in self._lessons:
            of, start = lesson.ready
            environ = start.copy() if of is template else lesson.begin(template)
            if self._takeHoles(block, text, lesson.steps, lesson.tail, environ):
                if lesson is not self._lessons[0]:
                    self._prefer(lesson)
                if lesson.own is None:
                    return self._understand(block, environ, template)
                uri = environ["REQUEST_URI"]
                if lesson.isGiven:
                    environ["RAW_URI"] = uri
                else:
                    place(environ, self._mount)
                if uri and lesson.before:
                    text = f"{lesson.before}{uri}{lesson.after}"
                    line = text.encode("latin-1")
                else:
                    line = requestLine(environ)
                return environ, lesson.length, line, lesson.isHead, lesson.own
        variables = self._notation.takeVariables(block, text)
        sent = variables.copy()
        head = self._understand(block, variables, template)
        if self._left > 0 and len(block) <= _LONGEST:
            self._learn(block, text, sent, head, template)
        return head

    def _understand(
        self, block: bytes, variables: dict[str, str], template: dict[str, object]
    ) -> Head:
        if suspicious(block):
            variables = screened(variables, self._trusted)
        length = self._notation.bodyLength(variables, self._limits)
        variables.update(self._extra)
        environ = environOf(variables, template, self._mount)
        isHead = variables["REQUEST_METHOD"] == "HEAD"
        return environ, length, requestLine(variables), isHead, variables

    def _prefer(self, lesson: _Lesson) -> None:
        # A new list, since other threads go through the old one.
        others = [other for other in self._lessons if other is not lesson]
        self._lessons = [lesson, *others[: _MOST - 1]]

    def _learn(
        self,
        block: bytes,
        text: str,
        sent: dict[str, str],
        head: Head,
        template: dict[str, object],
    ) -> None:
        """
        @param sent: what the parser found.
        """
        kind = kindOf(sent)
        similar = [one for one in self._lessons if one.shape.kind == kind]
        if similar:
            shape = similar[0].shape.widened(sent)
        elif hash(kind) in self._marks:
            shape = Shape(self._notation, sent, frozenset())
        else:
            if len(self._marks) >= _MARKS:
                self._marks.clear()
            self._marks.add(hash(kind))
            return
        self._left -= 1
        lesson = _Lesson(shape, head, self._extra, self._mount)
        # Not so when a name was sent twice, or a length written in an unusual way.
        found = lesson.begin(template)
        if self._takeHoles(block, text, shape.steps, shape.tail, found):
            self._lessons = [one for one in self._lessons if one not in similar]
            self._prefer(lesson)
