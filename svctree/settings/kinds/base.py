"""
What a kind of value is.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from svctree.settings.problems import BadValue

__all__ = ["Kind"]

T = TypeVar("T")


class Kind(Generic[T]):
    """
    How the value of an option is written.

    @ivar expected: completes "expected ...", for messages.
    @ivar metavar: the placeholder in C{--help}.
    @ivar repeatable: whether a flag may be given several times, adding up.
    """

    expected = "text"
    metavar = "TEXT"
    repeatable = False

    def fromText(self, text: str) -> T:
        """
        @param text: as it stands in the file, in the environment or after the flag,
            without white space around it.
        @raise BadValue: C{text} is not of this kind.
        """
        raise NotImplementedError

    def fromValue(self, value: object) -> T:
        """
        @param value: a keyword argument; text is read as in the file.
        @raise BadValue: C{value} is not of this kind.
        """
        if isinstance(value, str):
            return self.fromText(value.strip())
        raise self.refuse(value)

    def toText(self, value: T) -> str:
        """
        The inverse of L{fromText}, for C{svctree settings} and the reference.
        """
        return str(value)

    def anchored(self, value: T, folder: str) -> T:
        """
        @return: C{value} with its relative paths starting at C{folder}.
        """
        return value

    def joined(self, first: T, second: T) -> T:
        """
        @return: what two uses of a repeatable flag make together.
        """
        return second

    def refuse(self, value: object) -> BadValue:
        return BadValue(f"got {value!r}, expected {self.expected}")
