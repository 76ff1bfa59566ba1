"""
Words with a meaning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from svctree.settings.kinds.base import Kind
from svctree.settings.problems import BadValue, nearest

__all__ = ["AccessFormat", "Choice", "Identity", "Mount", "Text", "Umask"]


class Text(Kind[str]):
    """
    One line of text without control characters.
    """

    def __init__(self, expected: str = "one line of text") -> None:
        self.expected = expected

    def fromText(self, text: str) -> str:
        if not text.isprintable():
            raise self.refuse(text)
        return text


class Choice(Kind[str]):
    """
    One of some names.

    @ivar names: those that svctree brings along.
    """

    def __init__(
        self,
        *names: str,
        aliases: Mapping[str, str] | None = None,
        more: Callable[[], Iterable[str]] | None = None,
    ) -> None:
        """
        @param aliases: other spellings.
        @param more: gives the names that third parties have registered; called
            only for a name that is not in C{names}, since it may load plugins.
        """
        self.names = names
        self._aliases = aliases or {}
        self._more = more
        self.expected = "one of " + ", ".join(names)
        self.metavar = "|".join(names)

    def fromText(self, text: str) -> str:
        name = self._aliases.get(text, text)
        if name in self.names:
            return name
        names = list(self.names)
        if self._more is not None:
            names += [other for other in self._more() if other not in names]
            if name in names:
                return name
        close = nearest(name.lower(), names)
        hint = f"; did you mean {close}?" if close else ""
        raise BadValue(f"got {text!r}, expected one of {', '.join(names)}{hint}")


class Umask(Kind["int | None"]):
    """
    An octal number, or L{None} for C{inherit}.
    """

    expected = "an octal number such as 022, or inherit"
    metavar = "OCTAL"

    def fromText(self, text: str) -> int | None:
        if text.lower() == "inherit":
            return None
        found = re.fullmatch(r"(?:0o)?([0-7]{1,4})", text)
        if not found:
            raise self.refuse(text)
        return self.fromValue(int(found[1], 8))

    def fromValue(self, value: object) -> int | None:
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool):
            if not 0 <= value <= 0o777:
                raise self.refuse(value)
            return value
        return super().fromValue(value)

    def toText(self, value: int | None) -> str:
        return "inherit" if value is None else f"{value:03o}"


class Identity(Kind["int | str"]):
    """
    A user or group: a number, or a name which is looked up when it is needed.
    """

    metavar = "ID|NAME"

    def __init__(self, what: str) -> None:
        self.expected = f"the name or the number of a {what}"

    def fromText(self, text: str) -> int | str:
        if text.isascii() and text.isdigit():
            return int(text)
        if not text or not text.isprintable() or re.search(r"[\s:/]", text):
            raise self.refuse(text)
        return text

    def fromValue(self, value: object) -> int | str:
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        return super().fromValue(value)


class Mount(Kind[str]):
    """
    A path prefix without its last slash; C{""} is the root.
    """

    expected = "a path that begins with /, such as /app"
    metavar = "PREFIX"

    def fromText(self, text: str) -> str:
        if text.strip("/") == "":
            return ""
        if not text.startswith("/") or not re.fullmatch(r"[!-~]+", text):
            raise self.refuse(text)
        return text.rstrip("/")


class AccessFormat(Kind[str]):
    """
    The format of an access log.
    """

    expected = "combined, common, json, or atoms such as %(h)s"
    metavar = "FORMAT"

    def fromText(self, text: str) -> str:
        if text in ("combined", "common", "json"):
            return text
        if not text.isprintable() or not text or text.isalpha():
            raise self.refuse(text)
        from svctree.logformat import FormatError, compileFormat

        try:
            compileFormat(text)
        except FormatError as error:
            raise BadValue(str(error)) from None
        return text
