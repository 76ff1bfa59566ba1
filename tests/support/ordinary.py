"""
An ordinary user for tests that run as root, with an interpreter that it may run.
"""

from __future__ import annotations

import atexit
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from functools import cache
from pathlib import Path

import pytest

__all__ = ["NAME", "pythonFor"]

NAME = "nobody"
"""The user; every system has one."""

_ROOT = Path(__file__).parents[2]


@cache
def pythonFor(user: str | None) -> str:
    """
    Find an interpreter that C{user} may run: that of the tests, or an environment
    made of the system's when the former lies in root's home, out of everybody else's
    sight. The test is skipped where there is neither.
    """
    if user is None or _runs(sys.executable, user):
        return sys.executable
    system = f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
    if Path(system).exists():
        python = _environment(system)
        if _runs(python, user):
            return python
    pytest.skip(f"{user} may not run {sys.executable}")


def _environment(system: str) -> str:
    """
    @return: the interpreter of an environment that has what the tests' has; it is
        removed when they end.
    """
    folder = Path(tempfile.mkdtemp(prefix="svctree-python-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    venv = [system, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(venv, check=True, capture_output=True)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    paths = f"{_ROOT}\n{sysconfig.get_path('purelib')}\n"
    (folder / "lib" / version / "site-packages" / "tests.pth").write_text(paths)
    return str(folder / "bin" / "python")


def _runs(python: str, user: str) -> bool:
    try:
        return not subprocess.call(
            [python, "-c", "import svctree.assemble"],
            cwd="/",
            user=user,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return False
