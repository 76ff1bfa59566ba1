"""
The configuration file: sections, keys and values, each with its line.

L{configparser} does not keep line numbers and stops at the first error; people who
edit a file want to be told everything at once, and where.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from svctree.settings.problems import Problem, SettingsError, nearest

__all__ = ["SECTIONS", "Entry", "IniFile", "parseIni", "readIni"]

SECTIONS = ("svctree", "wtf")
"""The sections that hold options; they mean the same."""

_SECTION = re.compile(r"\[([^\[\]]+)\]")
_ENTRY = re.compile(r"([^=:\s][^=:]*?)\s*[=:]\s*(.*)")


class Entry:
    """
    One key with its value.

    @ivar text: the value; lines are joined by line feeds, without indentation.
    @ivar line: where the key stands, from 1.
    """

    __slots__ = ("key", "line", "section", "text")

    def __init__(self, section: str, key: str, text: str, line: int) -> None:
        self.section = section
        self.key = key
        self.text = text
        self.line = line


class IniFile:
    """
    A file that was read.

    @ivar path: as it was given, for messages.
    @ivar folder: absolute; where its relative paths start.
    @ivar lines: how many there are.
    @ivar entries: in the order of the file.
    @ivar sections: the names of all sections.
    @ivar problems: lines that cannot be understood, and repeated keys.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.folder = os.path.dirname(os.path.abspath(path))
        self.lines = 0
        self.entries: list[Entry] = []
        self.sections: list[str] = []
        self.problems: list[Problem] = []

    def place(self, line: int) -> str:
        return f"{self.path}:{line}"

    def options(self) -> Iterator[Entry]:
        """
        @return: the entries of the sections that hold svctree's options.
        """
        return (entry for entry in self.entries if entry.section in SECTIONS)

    def section(self, name: str) -> dict[str, str]:
        """
        @return: the keys and values of a section; those of C{[svctree]} and
            C{[wtf]} together for either name.
        """
        wanted = SECTIONS if name in SECTIONS else (name,)
        return {
            entry.key: entry.text for entry in self.entries if entry.section in wanted
        }


def readIni(path: str) -> IniFile:
    """
    @raise SettingsError: the file cannot be read.
    """
    try:
        with open(path, encoding="utf-8-sig") as stream:
            text = stream.read()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        message = f"cannot read the configuration file: {reason}"
        raise SettingsError([Problem(path, message)]) from None
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is no UTF-8; save the file in that encoding"
        raise SettingsError([Problem(path, message)]) from None
    return parseIni(text, path)


def parseIni(text: str, path: str) -> IniFile:
    """
    @param path: where C{text} came from.
    @return: what could be understood, with the L{IniFile.problems}.
    """
    found = IniFile(path)
    section = ""
    last: Entry | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        found.lines = number
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if raw[0].isspace() and last is not None:
            last.text = f"{last.text}\n{line}".strip()
        elif line[0] == "[":
            last = None
            section = _takeSection(found, line, number)
        else:
            last = _takeEntry(found, section, line, number)
    _findRepetitions(found)
    _findMissingSection(found)
    return found


def _takeSection(found: IniFile, line: str, number: int) -> str:
    match = _SECTION.fullmatch(line)
    if not match:
        message = f"got {line!r}, expected [section]"
        found.problems.append(Problem(found.place(number), message))
        return ""
    name = match[1].strip()
    found.sections.append(name)
    return name


def _takeEntry(found: IniFile, section: str, line: str, number: int) -> Entry | None:
    match = _ENTRY.fullmatch(line)
    if not match:
        message = f"got {line!r}, expected option = value"
        found.problems.append(Problem(found.place(number), message))
        # Indented lines below it belong to it, and are not worth a message each.
        return Entry(section, "", "", number)
    if not section:
        message = f"{match[1]} stands before the first [section]"
        found.problems.append(Problem(found.place(number), message))
    entry = Entry(section, match[1], match[2].strip(), number)
    found.entries.append(entry)
    return entry


def _findRepetitions(found: IniFile) -> None:
    seen: dict[tuple[str, str], int] = {}
    for entry in found.entries:
        section = SECTIONS[0] if entry.section in SECTIONS else entry.section
        first = seen.setdefault((section, entry.key), entry.line)
        if first != entry.line:
            message = f"{entry.key} is given twice, first in line {first}"
            found.problems.append(Problem(found.place(entry.line), message))


def _findMissingSection(found: IniFile) -> None:
    if any(name in SECTIONS for name in found.sections):
        return
    message = "there is no section [svctree]"
    for name in found.sections:
        if nearest(name.lower(), SECTIONS):
            message += f"; did you mean it by [{name}]?"
    found.problems.append(Problem(found.path, message))
