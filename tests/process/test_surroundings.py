"""
L{svctree.process.surroundings}.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from svctree.process import (
    SurroundingsError,
    changeDirectory,
    changeRoot,
    setUmask,
)
from tests.support.accounts import needsRoot


def test_umask() -> None:
    """
    A number sets the mask, nothing keeps the caller's.
    """
    before = os.umask(0o22)
    try:
        setUmask(None)
        assert os.umask(0o22) == 0o22
        setUmask(0o27)
        assert os.umask(0) == 0o27
    finally:
        os.umask(before)


def test_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    It is entered; nothing keeps the present one; a bad one is named in one line.
    """
    monkeypatch.chdir("/")
    changeDirectory(None)
    changeDirectory("")
    assert os.getcwd() == "/"
    changeDirectory(str(tmp_path))
    assert os.getcwd() == str(tmp_path)
    with pytest.raises(SurroundingsError, match=r"basedir: cannot enter .*/none: No"):
        changeDirectory(str(tmp_path / "none"))


def chrooted(root: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    script = (
        "import os, sys\nfrom svctree.process import changeRoot\n"
        "print(changeRoot(sys.argv[1]), os.getcwd(), os.listdir('/'))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script, root],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=20,
    )


@needsRoot
def test_root(tmp_path: Path) -> None:
    """
    A working directory below the new root stays where it is; another one would be a
    way out and becomes the new root.
    """
    inner = tmp_path / "new" / "inner"
    inner.mkdir(parents=True)
    assert chrooted(tmp_path / "new", inner).stdout == "True /inner ['inner']\n"
    assert chrooted(tmp_path / "new", tmp_path).stdout == "True / ['inner']\n"


@needsRoot
def test_badRoot(tmp_path: Path) -> None:
    """
    A root that is not there is named in one line.
    """
    assert not changeRoot(None)
    assert not changeRoot("")
    done = chrooted(tmp_path / "none", tmp_path)
    assert "SurroundingsError: chroot: cannot enter" in done.stderr
