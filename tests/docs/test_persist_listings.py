"""
The listings of C{docs/howto/persist.rst} do what the page says.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
LISTINGS = DOCS / "listings" / "persist"


def run(program: str, directory: Path) -> str:
    """
    @return: what C{program} prints.
    """
    environment = dict(os.environ, PYTHONPATH=str(LISTINGS), PYTHONWARNINGS="error")
    return subprocess.run(
        [sys.executable, str(LISTINGS / program)],
        cwd=directory,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def test_save(tmp_path: Path) -> None:
    """
    The three files are written, load again, and look as the page shows them.
    """
    printed = run("save.py", tmp_path)
    page = (DOCS / "howto" / "persist.rst").read_text()
    for line in printed.splitlines():
        assert f"    {line}\n" in page
    for line in (tmp_path / "clock.tax").read_text().splitlines():
        if line.strip() not in ("</service>", "</application>"):
            assert f"   {line}\n" in page
    assert len(printed.splitlines()) == 3
    assert sorted(os.listdir(tmp_path)) == ["clock.etac", "clock.tac", "clock.tax"]


def test_adapter(tmp_path: Path) -> None:
    """
    The adapter's module loads.
    """
    assert run("adapter.py", tmp_path) == ""
