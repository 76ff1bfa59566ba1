"""
The listings of C{docs/howto/test-your-tree.rst} pass.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from svctree import testing
from svctree.tree import Supervisor

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_listing() -> None:
    """
    The tests that the page shows pass with pytest.
    """
    directory = DOCS / "listings" / "testing"
    options = ["-q", "-c", "/dev/null", "-p", "no:cacheprovider", "-W", "error"]
    done = subprocess.run(
        [sys.executable, "-B", "-m", "pytest", *options, "test_jobs.py"],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert "3 passed" in done.stdout, done.stdout


def test_tree() -> None:
    """
    The block about trees runs.
    """
    page = (DOCS / "howto" / "test-your-tree.rst").read_text()
    found = re.search(r"code-block:: python\n\n((?:   .*\n|\n)+)", page)
    assert found is not None
    code = "\n".join(line[3:] for line in found[1].splitlines())
    names: dict[str, Any] = {**vars(testing), "Supervisor": Supervisor}
    exec(compile(code, "test-your-tree.rst", "exec"), names)
