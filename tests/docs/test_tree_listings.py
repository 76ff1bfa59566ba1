"""
The listings about the tree do what the pages say.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
LISTINGS = DOCS / "listings" / "tree"


def run(name: str) -> list[str]:
    """
    @return: the lines that a listing prints.
    """
    done = subprocess.run(
        [sys.executable, str(LISTINGS / name)],
        env=dict(os.environ, PYTHONWARNINGS="error"),
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", ["supervise.py", "health.py", "families.py"])
def test_printed(name: str) -> None:
    """
    What a listing prints is on the page, in one piece.
    """
    page = (DOCS / "howto" / "supervise.rst").read_text()
    lines = run(name)
    assert lines
    assert "".join(f"    {line}\n" for line in lines) in page


def test_wait() -> None:
    """
    The dependent child waits, and does not start without what it requires.
    """
    lines = run("wait.py")
    works, fails = lines[: lines.index("--")], lines[lines.index("--") + 1 :]
    assert works == [
        *("web is up", "database is up", "web is up"),
        *("web has stopped", "web has stopped", "database has stopped"),
    ]
    assert fails == [
        *("web is up", "web has stopped"),
        "/database: no database at localhost; the tree is failed",
    ]
