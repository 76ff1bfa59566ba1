"""
The examples that the README and the pages show.
"""

from __future__ import annotations

import re
from pathlib import Path

from svctree.settings import loadSettings

ROOT = Path(__file__).parent.parent.parent


def test_siteFile() -> None:
    """
    The README shows C{examples/site.ini} as it is, and it can be read.
    """
    text = (ROOT / "examples" / "site.ini").read_text()
    block = re.search(r"code-block:: ini\n\n((?:   .*\n)+)", readme())
    assert block
    assert "".join(line[3:] + "\n" for line in block[1].splitlines()) == text
    settings = loadSettings(str(ROOT / "examples" / "site.ini"))
    assert settings.detach
    assert settings.application == "mysite.wsgi:application"


def test_tacFile() -> None:
    """
    The README's tac file differs from C{examples/app.tac} only in what it serves.
    """
    block = re.search(r"code-block:: python\n\n((?:   .*\n|\n)+)", readme())
    assert block
    example = (ROOT / "examples" / "app.tac").read_text()
    for name in ("Application(", "ListenerService(", "PoolService("):
        assert name in block[1]
        assert name in example


def readme() -> str:
    return (ROOT / "README.rst").read_text()
