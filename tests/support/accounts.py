"""
Tests that run processes as C{nobody}: an interpreter and a folder it can reach.
"""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

needsRoot = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def publicFolder() -> Iterator[Path]:
    """
    A folder of root's that everybody can reach and read, as /run is. (The one that
    pytest makes is closed to others.)
    """
    path = Path(tempfile.mkdtemp(prefix="svctree-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def publicPython() -> Iterator[Path]:
    """
    An interpreter with this project's packages that everybody may execute: the
    tests' own may live in a home of root's.
    """
    base = _reachable(Path(os.path.realpath(sys.executable)))
    if base is None:
        version = f"python3.{sys.version_info.minor}"
        base = _reachable(Path("/usr/bin") / version)
    if base is None:
        pytest.skip("no interpreter of this version that others may execute")
    folder = Path(tempfile.mkdtemp(prefix="svctree-python-"))
    folder.chmod(0o755)
    subprocess.run([base, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    lines = [*site.getsitepackages(), str(ROOT)]
    (packages / "project.pth").write_text("\n".join(lines) + "\n")
    yield folder / "bin" / "python"
    shutil.rmtree(folder)


def _reachable(path: Path) -> Path | None:
    """
    @return: C{path}, if everybody may execute it.
    """
    if not path.exists() or not path.stat().st_mode & 0o001:
        return None
    if all(folder.stat().st_mode & 0o001 for folder in path.parents):
        return path
    return None
