from __future__ import annotations

from pathlib import Path

import pytest

from svctree.settings import SettingsError, parseIni, readIni


def problems(text: str) -> list[str]:
    return [str(one) for one in parseIni(text, "a.ini").problems]


def test_entries() -> None:
    """
    Keys, values over several lines, comments and both delimiters.
    """
    found = parseIni(
        "# comment\n\n[svctree]\nlisten = 127.0.0.1:80\n"
        "    ; between\n\n    run/a.sock\nmount: /app\nempty =\n",
        "a.ini",
    )
    assert found.problems == []
    assert [(one.key, one.text, one.line) for one in found.entries] == [
        ("listen", "127.0.0.1:80\nrun/a.sock", 4),
        ("mount", "/app", 8),
        ("empty", "", 9),
    ]


def test_valueStartsOnTheNextLine() -> None:
    """
    A list may begin below its key.
    """
    found = parseIni("[wtf]\nlisten =\n  80\n  81\n", "a.ini")
    assert found.section("wtf") == {"listen": "80\n81"}


def test_sections() -> None:
    """
    C{[svctree]} and C{[wtf]} are one; others are kept apart, for those who read them.
    """
    found = parseIni("[wtf]\na=1\n[app]\na=2\n[svctree]\nb=3\n", "a.ini")
    assert found.section("svctree") == found.section("wtf") == {"a": "1", "b": "3"}
    assert found.section("app") == {"a": "2"}
    assert [one.key for one in found.options()] == ["a", "b"]


def test_badLines() -> None:
    """
    Every line that cannot be understood is reported, with its number.
    """
    assert problems("a = 1\n[svctree]\nwhat\n  more of it\n[open\n= 3\n") == [
        "a.ini:1: a stands before the first [section]",
        "a.ini:3: got 'what', expected option = value",
        "a.ini:5: got '[open', expected [section]",
        "a.ini:6: got '= 3', expected option = value",
    ]


def test_repetition() -> None:
    """
    A key that is given twice is reported, also across C{[svctree]} and C{[wtf]}.
    """
    assert problems("[wtf]\na=1\na=2\n[x]\na=3\n[svctree]\na=4\n") == [
        "a.ini:3: a is given twice, first in line 2",
        "a.ini:7: a is given twice, first in line 2",
    ]


def test_missingSection() -> None:
    """
    A file without options says which section it lacks.
    """
    assert problems("") == ["a.ini: there is no section [svctree]"]
    assert problems("[SvcTree]\n") == [
        "a.ini: there is no section [svctree]; did you mean it by [SvcTree]?"
    ]


def test_unreadable(tmp_path: Path) -> None:
    """
    A file that cannot be read is one line.
    """
    with pytest.raises(SettingsError, match=r"a\.ini: cannot read .*: No such file"):
        readIni(str(tmp_path / "a.ini"))
    with pytest.raises(SettingsError, match="Is a directory"):
        readIni(str(tmp_path))
    latin = tmp_path / "latin.ini"
    latin.write_bytes(b"[svctree]\n# caf\xe9\n")
    with pytest.raises(SettingsError, match="byte 15 is no UTF-8"):
        readIni(str(latin))


def test_byteOrderMark(tmp_path: Path) -> None:
    """
    The mark that some editors write is no part of the first line.
    """
    file = tmp_path / "a.ini"
    file.write_bytes(b"\xef\xbb\xbf[svctree]\r\nmount = /app\r\n")
    assert readIni(str(file)).section("svctree") == {"mount": "/app"}
