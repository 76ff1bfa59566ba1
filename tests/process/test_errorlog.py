"""
L{svctree.process.errorlog}, attached to descriptor 2 of real processes.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from svctree.process import ErrorLog, ErrorLogError, Identity
from tests.support.accounts import needsRoot, publicFolder, publicPython
from tests.support.processes import Processes, waitUntil

__all__ = ["publicFolder", "publicPython"]


def script(*lines: str) -> str:
    return "\n".join(
        ["import os, sys", "from svctree.process import ErrorLog, Identity", *lines]
    )


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=20,
    )


def test_descriptorTwo(tmp_path: Path) -> None:
    """
    What the interpreter, C code and children write to standard error is in the
    file, which is 0644 whatever the umask.
    """
    path = tmp_path / "error.log"
    done = run(
        script(
            "os.umask(0)",
            "ErrorLog(sys.argv[1]).open()",
            "os.system('echo child >&2')",
            "print('text', file=sys.stderr)",
            "raise ValueError('last words')",
        ),
        path,
    )
    assert done.stderr == ""
    lines = path.read_text().splitlines()
    assert lines[:2] == ["child", "text"]
    assert lines[-1] == "ValueError: last words"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_appends(tmp_path: Path) -> None:
    """
    What is in the file stays.
    """
    path = tmp_path / "error.log"
    path.write_text("before\n")
    run(script("ErrorLog(sys.argv[1]).open()", "os.write(2, b'after\\n')"), path)
    assert path.read_text() == "before\nafter\n"


@pytest.mark.parametrize("name", [None, "-", "/dev/stderr"])
def test_standardErrorStays(name: str | None) -> None:
    """
    Without a path nothing is exchanged, and reopening is no error.
    """
    log = ErrorLog(name)
    log.open()
    assert log.path is None
    assert log.reopen() == 2


def test_reopenTellsTheOthers(tmp_path: Path) -> None:
    """
    After mv and reopen the new file is written to, by whoever has the descriptor.
    """
    fd = os.open(os.devnull, os.O_WRONLY)
    log = ErrorLog(str(tmp_path / "error.log"), fd)
    log.open()
    os.write(fd, b"one\n")
    (tmp_path / "error.log").rename(tmp_path / "error.log.1")
    os.write(fd, b"two\n")
    assert log.reopen() == fd
    os.write(fd, b"three\n")
    log.close()
    os.close(fd)
    assert (tmp_path / "error.log.1").read_text() == "one\ntwo\n"
    assert (tmp_path / "error.log").read_text() == "three\n"


def test_cannotOpen(tmp_path: Path) -> None:
    """
    One line that names the file and the reason; a failed reopen keeps the old file.
    """
    with pytest.raises(ErrorLogError, match=r"errorlog .*/no/e\.log: cannot open: No"):
        ErrorLog(str(tmp_path / "no" / "e.log")).open()
    fd = os.open(os.devnull, os.O_WRONLY)
    log = ErrorLog(str(tmp_path / "e.log"), fd)
    log.open()
    (tmp_path / "e.log").rename(tmp_path / "e.log.1")
    (tmp_path / "e.log").mkdir()
    with pytest.raises(ErrorLogError, match="still writing to the old file"):
        log.reopen()
    os.write(fd, b"kept\n")
    log.close()
    os.close(fd)
    assert (tmp_path / "e.log.1").read_text() == "kept\n"


@needsRoot
def test_createdForItsWriter(tmp_path: Path) -> None:
    """
    A log that root creates belongs to who will write it; one that is there keeps
    its owner.
    """
    nobody = Identity.resolve("nobody")
    (tmp_path / "old.log").touch()
    for name, owner in (("new.log", nobody.uid), ("old.log", 0)):
        fd = os.open(os.devnull, os.O_WRONLY)
        log = ErrorLog(str(tmp_path / name), fd)
        log.open(nobody)
        log.close()
        os.close(fd)
        assert (tmp_path / name).stat().st_uid == owner


AS_NOBODY = script(
    "log = ErrorLog(sys.argv[1]); log.open(Identity.resolve('nobody'))",
    "Identity.resolve('nobody').assume()",
    "os.rename(sys.argv[1], sys.argv[1] + '.1') if len(sys.argv) > 2 else input()",
    "try: log.reopen()",
    "except Exception as error: print(error)",
    "os.write(2, b'line\\n')",
)


@needsRoot
def test_reopenAsNobody(publicFolder: Path, publicPython: Path) -> None:
    """
    After the identity was dropped a reopen works where the user may write.
    """
    os.chown(publicFolder, 65534, 65534)
    done = subprocess.run(
        [publicPython, "-c", AS_NOBODY, publicFolder / "e.log", "mv"],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.stdout == "", done.stdout
    assert (publicFolder / "e.log").read_text() == "line\n"
    assert (publicFolder / "e.log.1").read_text() == ""


@needsRoot
@pytest.mark.parametrize("how", ["create", "nothing"])
def test_reopenInRootsFolder(publicFolder: Path, publicPython: Path, how: str) -> None:
    """
    In a folder of root's it works when the rotation creates the new file for the
    user; otherwise the message says so, and no line is lost.
    """
    path = publicFolder / "e.log"
    process = subprocess.Popen(
        [publicPython, "-c", AS_NOBODY, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    waitUntil(path.exists, "the log")
    old = waitUntil(lambda: path.stat().st_uid == 65534 and path.stat(), "its owner")
    path.rename(publicFolder / "e.log.1")
    if how == "create":
        path.touch()
        os.chown(path, old.st_uid, old.st_gid)
    out, _ = process.communicate("go\n", timeout=20)
    written = path if how == "create" else publicFolder / "e.log.1"
    assert written.read_text() == "line\n"
    if how == "create":
        assert out == ""
    else:
        assert "cannot reopen: Permission denied; still writing to the old" in out
        assert "opened as uid 65534 now" in out and out.count("\n") == 1


WRITER = script(
    "import threading, time",
    "log = ErrorLog(sys.argv[1]); log.open()",
    "stop = False",
    "def write(name):",
    "    number = 0",
    "    while not stop:",
    "        number += 1",
    "        os.write(2, b'%s %d %s\\n' % (name, number, b'x' * 200))",
    "    os.write(1, b'%s %d\\n' % (name, number))",
    "all = [threading.Thread(target=write, args=(n,)) for n in (b'a', b'b', b'c')]",
    "[one.start() for one in all]",
    "print('GO', flush=True)",
    "for line in sys.stdin:",
    "    log.reopen(); print('DONE', flush=True)",
    "stop = True",
    "[one.join() for one in all]",
)


def test_nothingIsLostUnderLoad(processes: Processes, tmp_path: Path) -> None:
    """
    Moved away and reopened ten times while three threads write as fast as they can:
    every line is in exactly one file, none lost, none torn.
    """
    path = tmp_path / "error.log"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.readline() == "GO\n"
    for number in range(10):
        size = path.stat().st_size
        waitUntil(lambda size=size: path.stat().st_size > size, "more lines")
        path.rename(tmp_path / f"error.log.{number}")
        process.stdin.write("reopen\n")
        process.stdin.flush()
        assert process.stdout.readline() == "DONE\n"
    out, _ = process.communicate(timeout=20)
    seen: dict[str, list[int]] = {}
    for file in tmp_path.iterdir():
        for line in file.read_text().splitlines():
            name, count, filler = line.split()
            assert filler == "x" * 200
            seen.setdefault(name, []).append(int(count))
    for line in out.splitlines():
        name, total = line.split()
        assert sorted(seen[name]) == list(range(1, int(total) + 1))
