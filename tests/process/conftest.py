"""
Daemons for the tests of this folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.accounts import publicFolder, publicPython
from tests.support.daemons import Daemon

__all__ = ["daemon", "publicDaemon", "publicFolder", "publicPython"]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """
    A daemon of the user who runs the tests.
    """
    made = Daemon(tmp_path)
    yield made
    made.kill()


@pytest.fixture
def publicDaemon(publicFolder: Path, publicPython: Path) -> Iterator[Daemon]:
    """
    A daemon that can become C{nobody}: everybody may reach its files, and only
    root may write to its folder.
    """
    made = Daemon(publicFolder, publicPython)
    yield made
    made.kill()
