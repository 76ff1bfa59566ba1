"""
Lists, and what stands in them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from svctree.settings.kinds.base import Kind

__all__ = ["Assignments", "ImportName", "ImportNames", "Several"]


class Several(Kind["tuple[str, ...]"]):
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


class ImportNames(Several):
    expected = "names of Python functions, such as shop.hooks:opened"
    metavar = "MODULE:NAME"

    def item(self, text: str) -> str:
        return ImportName().fromText(text)
