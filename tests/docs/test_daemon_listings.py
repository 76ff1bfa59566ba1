"""
The listings of the how-to for daemons run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from svctree.process import DaemonService, PidFile
from svctree.service import IServiceCollection, loadApplication
from tests.support.processes import waitUntil

LISTINGS = Path(__file__).parents[2] / "docs" / "listings" / "daemon"


def beacon(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, LISTINGS / "beacon.py", folder, command],
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_beacon(tmp_path: Path) -> None:
    """
    It starts, serves, refuses a second start, and stops without leaving anything.
    """
    done = beacon(tmp_path, "start")
    assert done.returncode == 0, done.stderr
    try:
        waitUntil((tmp_path / "beacon").exists, "the time")
        assert beacon(tmp_path, "status").stdout == "serving\n"
        done = beacon(tmp_path, "start")
        assert done.returncode == 5
        assert "already running with pid" in done.stderr
    finally:
        assert beacon(tmp_path, "stop").returncode == 0
    assert PidFile(tmp_path / "beacon.pid").holder() is None
    assert sorted(os.listdir(tmp_path)) == ["beacon", "beacon.log"]
    assert beacon(tmp_path, "stop").returncode == 0


def test_tac() -> None:
    """
    The tac file declares a tree whose first leaf is the daemon.
    """
    application = loadApplication(str(LISTINGS / "app.tac"), "python")
    names = [service.name for service in IServiceCollection(application)]
    assert names == ["daemon", "http", "web"]
    assert isinstance(next(iter(IServiceCollection(application))), DaemonService)
