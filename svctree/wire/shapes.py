"""
What the requests of a front end have in common.

A front end writes the same variables in the same order, again and again, and most of
them with the same values: its own settings, and a client's habits. A L{Shape} is what
was the same in the requests seen so far. It is a row of stretches of text, and between
them holes, each of them the value of one variable::

    CONTENT_LENGTH 0 REQUEST_METHOD GET REQUEST_URI [ ] QUERY_STRING [ ] SCGI 1...

To read a request that fits costs a comparison for each stretch and a slice for each
hole, however many variables there are.

B{A shape never decides what bytes mean.} What fits has, by construction, the variables
that the protocol's parser would find: a stretch consists of whole pairs, written as in
a request which that parser took, and a hole is as long as its own length says (or goes
to its own end mark). What does not fit is left to the parser.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from svctree.wire.contract import Limits

__all__ = ["Notation", "Shape", "Step", "kindOf"]

Step = tuple[str, int, str]
"""A stretch of text, its length, and the variable whose value follows it."""

_TELLING = ("REQUEST_METHOD", "REQUEST_SCHEME", "HTTPS")
"""Variables with few values, on which much depends: each value has a shape of its
own."""


class Notation(NamedTuple):
    """
    How a protocol writes variables: name, value, name, value, all in one block.

    @ivar takeVariables: the parser: C{(block, text)}, where C{text} is the block in
        latin-1; raises L{svctree.wire.contract.RequestError}.
    @ivar takeHoles: C{(block, text, steps, tail, into)}: if the block consists of the
        steps, each followed by a value, and the tail, put the values into a
        dictionary and say so; else the dictionary is spoilt.
    @ivar pair: C{(name, value)} as they are written.
    @ivar opening: of a name: the last of what is written before its value that says
        nothing about the value.
    @ivar closing: what is written after a value.
    @ivar bodyLength: what the variables say, as
        L{svctree.wire.cgivars.declaredLength}.
    """

    takeVariables: Callable[[bytes, str], dict[str, str]]
    takeHoles: Callable[[bytes, str, tuple[Step, ...], str, dict[str, Any]], bool]
    pair: Callable[[str, str], str]
    opening: Callable[[str], str]
    closing: str
    bodyLength: Callable[[dict[str, str], Limits], int]


def kindOf(sent: dict[str, str]) -> tuple[object, ...]:
    """
    @param sent: the variables of a request as they were sent.
    @return: what all requests that may have one shape have in common.
    """
    return (tuple(sent), *map(sent.get, _TELLING))


class Shape:
    """
    See the module. Never changed, since threads share it.

    @ivar kind: see L{kindOf}.
    @ivar sent: the variables of a request that has it.
    @ivar holes: those whose values may differ.
    """

    __slots__ = ("_notation", "holes", "kind", "sent", "steps", "tail")

    def __init__(
        self, notation: Notation, sent: dict[str, str], holes: frozenset[str]
    ) -> None:
        self._notation = notation
        self.kind = kindOf(sent)
        self.sent = sent
        self.holes = holes
        steps: list[Step] = []
        text = ""
        for name, value in sent.items():
            if name in holes:
                text += notation.opening(name)
                steps.append((text, len(text), name))
                text = notation.closing
            else:
                text += notation.pair(name, value)
        self.steps = tuple(steps)
        self.tail = text

    def widened(self, sent: dict[str, str]) -> Shape:
        """
        @param sent: by a request of the same kind.
        @return: a shape that both fit.
        """
        mine = self.sent
        differ = {name for name, value in sent.items() if value != mine[name]}
        return Shape(self._notation, sent, self.holes | differ)
