"""
Booleans, numbers, sizes and times.
"""

from __future__ import annotations

import re

from svctree.settings.kinds.base import Kind

__all__ = ["Boolean", "Integer", "Percent", "Seconds", "Size", "WorkerRange"]


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
