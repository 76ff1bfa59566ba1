"""
The kinds of values that options have: from text, from Python, and back to text.

Every kind is idempotent: C{fromValue(fromValue(x)) == fromValue(x)}, also after a
passage through JSON, which turns tuples into lists.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

import attrs

from svctree.settings.problems import BadValue, nearest

__all__ = [
    "Address",
    "Addresses",
    "Assignments",
    "Boolean",
    "Choice",
    "Identity",
    "ImportName",
    "ImportNames",
    "Integer",
    "Kind",
    "Mount",
    "Path",
    "Paths",
    "Peers",
    "Percent",
    "Seconds",
    "Size",
    "Text",
    "Umask",
    "WorkerRange",
    "anchorAddress",
]

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


class Boolean(Kind[bool]):
    expected = "yes or no"
    metavar = "yes|no"
    _WORDS = {
        **dict.fromkeys(("yes", "on", "true", "1"), True),
        **dict.fromkeys(("no", "off", "false", "0"), False),
    }

    def fromText(self, text: str) -> bool:
        try:
            return self._WORDS[text.lower()]
        except KeyError:
            raise self.refuse(text) from None

    def fromValue(self, value: object) -> bool:
        return value if isinstance(value, bool) else super().fromValue(value)

    def toText(self, value: bool) -> str:
        return "yes" if value else "no"


class Integer(Kind[int]):
    metavar = "N"

    def __init__(self, least: int = 0) -> None:
        self.least = least
        self.expected = f"a whole number, {least} or more"

    def fromText(self, text: str) -> int:
        # int() also takes signs, underscores and other scripts' digits.
        if not (text.isascii() and text.isdigit()):
            raise self.refuse(text)
        return self.fromValue(int(text))

    def fromValue(self, value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            if value < self.least:
                raise self.refuse(value)
            return value
        return super().fromValue(value)


class Size(Integer):
    """
    Bytes; C{k}, C{m} and C{g} are powers of 1024.
    """

    metavar = "SIZE"
    _FORM = re.compile(r"([0-9]+) ?([kmg]?)", re.IGNORECASE)
    _UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}

    def __init__(self) -> None:
        super().__init__()
        self.expected = "a size: a number of bytes, or with k, m or g, such as 64k"

    def fromText(self, text: str) -> int:
        found = self._FORM.fullmatch(text)
        if not found:
            raise self.refuse(text)
        return int(found[1]) * self._UNITS[found[2].lower()]

    def toText(self, value: int) -> str:
        for unit in "gmk":
            if value and value % self._UNITS[unit] == 0:
                return f"{value // self._UNITS[unit]}{unit}"
        return str(value)


class Seconds(Kind[float]):
    """
    A time; a bare number is seconds.
    """

    expected = "a time: seconds, or a number with ms, s, m or h, such as 30s"
    metavar = "TIME"
    _FORM = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+) ?(ms|s|m|h|)", re.IGNORECASE)
    _UNITS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}

    def fromText(self, text: str) -> float:
        found = self._FORM.fullmatch(text)
        if not found:
            raise self.refuse(text)
        return float(found[1]) * self._UNITS[found[2].lower()]

    def fromValue(self, value: object) -> float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if not 0 <= value < float("inf"):
                raise self.refuse(value)
            return float(value)
        return super().fromValue(value)

    def toText(self, value: float) -> str:
        return f"{value:.6f}".rstrip("0").rstrip(".")


class Percent(Kind[float]):
    """
    A share in percent, 0 to 100, with or without the sign.
    """

    expected = "a share from 0% to 100%, such as 10%"
    metavar = "PERCENT"
    _FORM = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?%?")

    def fromText(self, text: str) -> float:
        found = self._FORM.fullmatch(text)
        if not found:
            raise self.refuse(text)
        return self.fromValue(float(found[1]))

    def fromValue(self, value: object) -> float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if not 0 <= value <= 100:
                raise self.refuse(value)
            return float(value)
        return super().fromValue(value)

    def toText(self, value: float) -> str:
        return f"{value:g}%"


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


class WorkerRange(Kind["tuple[int, int]"]):
    """
    How many processes: always from the first to the second number.
    """

    expected = "a number of workers, or MIN..MAX, such as 4 or 2..8"
    metavar = "N|MIN..MAX"

    def fromText(self, text: str) -> tuple[int, int]:
        found = re.fullmatch(r"([0-9]+)(?: ?\.\. ?([0-9]+))?", text)
        if not found:
            raise self.refuse(text)
        return self._checked(int(found[1]), int(found[2] or found[1]), text)

    def fromValue(self, value: object) -> tuple[int, int]:
        if isinstance(value, int) and not isinstance(value, bool):
            return self._checked(value, value, value)
        if isinstance(value, (tuple, list)) and len(value) == 2:
            least, most = value
            if isinstance(least, int) and isinstance(most, int):
                return self._checked(least, most, value)
        return super().fromValue(value)

    def _checked(self, least: int, most: int, given: object) -> tuple[int, int]:
        if not 1 <= least <= most:
            raise self.refuse(given)
        return least, most

    def toText(self, value: tuple[int, int]) -> str:
        least, most = value
        return str(least) if least == most else f"{least}..{most}"


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


class Path(Kind[str]):
    """
    A path in the file system; C{-} stays itself where a stream is meant.
    """

    metavar = "PATH"

    def __init__(self, stream: str | None = None) -> None:
        """
        @param stream: what C{-} stands for, if anything.
        """
        self._stream = stream
        self.expected = f"a path, or - for {stream}" if stream else "a path"

    def fromText(self, text: str) -> str:
        if not text or "\0" in text or (text == "-" and not self._stream):
            raise self.refuse(text)
        return text

    def fromValue(self, value: object) -> str:
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        return super().fromValue(value)

    def anchored(self, value: str, folder: str) -> str:
        if value == "-" and self._stream:
            return value
        return os.path.normpath(os.path.join(folder, os.path.expanduser(value)))


class _Several(Kind["tuple[str, ...]"]):
    """
    A list, separated by white space or new lines.
    """

    repeatable = True

    def item(self, text: str) -> str:
        """
        Check one item.
        """
        return text

    def split(self, text: str) -> Sequence[str]:
        return text.split()

    def fromText(self, text: str) -> tuple[str, ...]:
        return tuple(self.item(part) for part in self.split(text))

    def fromValue(self, value: object) -> tuple[str, ...]:
        if isinstance(value, (tuple, list)):
            found: list[str] = []
            for part in value:
                if isinstance(part, os.PathLike):
                    part = os.fspath(part)
                if not isinstance(part, str):
                    raise self.refuse(part)
                found.append(self.item(part))
            return tuple(found)
        return super().fromValue(value)

    def toText(self, value: tuple[str, ...]) -> str:
        return " ".join(value)

    def joined(
        self, first: tuple[str, ...], second: tuple[str, ...]
    ) -> tuple[str, ...]:
        return (*first, *second)


class Paths(_Several):
    expected = "paths separated by white space"
    metavar = "PATH"

    def anchored(self, value: tuple[str, ...], folder: str) -> tuple[str, ...]:
        one = Path()
        return tuple(one.anchored(path, folder) for path in value)


class Assignments(Kind["dict[str, str]"]):
    """
    C{NAME=value}, one a line.
    """

    expected = "NAME=value, one a line"
    metavar = "NAME=VALUE"
    repeatable = True

    def fromText(self, text: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in text.splitlines():
            if line.strip():
                name, equals, value = line.strip().partition("=")
                found.update(self.fromValue({name.rstrip(): value.lstrip()}))
                if not equals:
                    raise self.refuse(line.strip())
        return found

    def fromValue(self, value: object) -> dict[str, str]:
        if not isinstance(value, Mapping):
            return super().fromValue(value)
        for name, content in value.items():
            if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_]\w*", name):
                raise self.refuse(name)
            if not isinstance(content, str) or "\0" in content:
                raise self.refuse(content)
        return dict(value)

    def toText(self, value: dict[str, str]) -> str:
        return "\n".join(f"{name}={content}" for name, content in value.items())

    def joined(self, first: dict[str, str], second: dict[str, str]) -> dict[str, str]:
        return {**first, **second}


_DOTTED = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"


class ImportName(Kind[str]):
    """
    A Python object by name: C{module:name}, C{module:factory()}, C{module.name}.
    """

    expected = "module:name, module:factory() or module.name, such as shop.wsgi:app"
    metavar = "MODULE:NAME"

    def fromText(self, text: str) -> str:
        if re.fullmatch(rf"{_DOTTED}:{_DOTTED}(?:\(\))?", text):
            return text
        if re.fullmatch(_DOTTED, text) and "." in text:
            return text
        raise self.refuse(text)


class ImportNames(_Several):
    expected = "names of Python functions, such as shop.hooks:opened"
    metavar = "MODULE:NAME"

    def item(self, text: str) -> str:
        return ImportName().fromText(text)


class Peers(_Several):
    """
    Networks in CIDR notation, single addresses, or C{unix}.
    """

    expected = "addresses or networks such as 10.0.0.0/8 or ::1, or unix"
    metavar = "PEER"

    def item(self, text: str) -> str:
        if text == "unix":
            return text
        try:
            return str(ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise self.refuse(text) from None

    def split(self, text: str) -> Sequence[str]:
        return [] if text == "none" else text.replace(",", " ").split()


def anchorAddress(address: str, folder: str) -> str:
    """
    @return: C{address} with the path of a unix socket starting at C{folder};
        anything else as it is.
    """
    from svctree.listen import UnixAddress, parseAddress

    parsed = parseAddress(address)
    if not isinstance(parsed, UnixAddress) or os.path.isabs(parsed.path):
        return address
    path = Path().anchored(parsed.path, folder)
    return attrs.evolve(parsed, path=path).render()


def _checkAddress(text: str) -> str:
    # Imported here: the schema is also used where nobody listens.
    from svctree.listen import AddressError, parseAddress

    try:
        parseAddress(text)
    except AddressError as error:
        raise BadValue(str(error)) from None
    return text


class Address(Kind[str]):
    """
    One address, or C{none}.
    """

    expected = "an address such as 127.0.0.1:8080 or unix:run/app.ctl(600), or none"
    metavar = "ADDRESS"

    def fromText(self, text: str) -> str:
        return text if text == "none" else _checkAddress(text)

    def anchored(self, value: str, folder: str) -> str:
        return value if value == "none" else anchorAddress(value, folder)


class Addresses(_Several):
    """
    Where to listen; the grammar is L{svctree.listen}'s.
    """

    expected = "addresses such as 127.0.0.1:8080 or unix:run/app.sock(660)"
    metavar = "ADDRESS"

    def item(self, text: str) -> str:
        return _checkAddress(text)

    def anchored(self, value: tuple[str, ...], folder: str) -> tuple[str, ...]:
        return tuple(anchorAddress(address, folder) for address in value)
