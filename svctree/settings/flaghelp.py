"""
The flags as C{--help} shows them.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable

from svctree.settings.kinds import Boolean
from svctree.settings.option import Option

__all__ = ["describeFlag", "describeOptions"]

_COLUMN = 30


def describeOptions(options: Iterable[Option], width: int | None = None) -> str:
    """
    @param width: of the terminal; L{None} to find out.
    @return: the flags, by group, as C{--help} shows them.
    """
    chunks = []
    group = ""
    for option in options:
        if option.group != group:
            group = option.group
            chunks.append(f"\n{group}:\n")
        chunks.append(describeFlag(_spelled(option), _documented(option), width))
    return "".join(chunks)


def _spelled(option: Option) -> str:
    if isinstance(option.kind, Boolean):
        return f"--[no-]{option.name}"
    return f"--{option.name}={option.kind.metavar}"


def _documented(option: Option) -> str:
    default = option.shown or option.render(option.default)
    again = "; repeatable" if option.kind.repeatable else ""
    return option.doc + again + (f" [{default}]" if default else "")


def describeFlag(flag: str, doc: str, width: int | None) -> str:
    if width is None:
        width = min(shutil.get_terminal_size().columns, 100)
    lines = textwrap.wrap(" ".join(doc.split()), max(width - _COLUMN, 30)) or [""]
    head = f"  {flag}"
    if len(head) > _COLUMN - 2:
        lines.insert(0, head)
    else:
        lines[0] = f"{head:<{_COLUMN}}{lines[0]}"
    return ("\n" + " " * _COLUMN).join(lines).rstrip() + "\n"
