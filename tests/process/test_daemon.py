"""
The real command and the real daemon: pidfile, descriptors, error log, failures.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support.accounts import needsRoot
from tests.support.daemons import Daemon
from tests.support.processes import alive, waitUntil


def test_oneOfTwo(daemon: Daemon) -> None:
    """
    Of simultaneous starts exactly one survives; the others end with status 5 and
    name it.
    """
    for _ in range(3):
        starts = [
            subprocess.Popen(
                daemon.argv("start"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        errors = [one.communicate(timeout=60)[1] for one in starts]
        master = daemon.master()
        assert sorted(one.returncode for one in starts) == [0, 5, 5], errors
        assert sum(f"already running with pid {master}" in e for e in errors) == 2
        assert daemon.get() == "hello"
        assert daemon.command("stop").returncode == 0
        assert daemon.left() == ["error.log"]


def test_pidfileDuringReloads(daemon: Daemon) -> None:
    """
    The pidfile is there, 0644, with the right pid, at every moment of reloads.
    """
    master = daemon.start()
    assert stat.S_IMODE(daemon.pidfile.stat().st_mode) == 0o644
    wrong: list[str] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            try:
                text = daemon.pidfile.read_text()
            except OSError as error:
                text = str(error)
            if text != f"{master}\n":
                wrong.append(text)

    looker = threading.Thread(target=look)
    looker.start()
    try:
        for _ in range(3):
            assert daemon.command("reload").returncode == 0
    finally:
        over.set()
        looker.join()
    assert wrong == []
    assert daemon.master() == master


@pytest.mark.parametrize(
    "content",
    ["garbage", "", "1\n", "%d\n" % os.getpid()],
    ids=["garbage", "empty", "process 1", "this test"],
)
def test_stalePidfile(daemon: Daemon, content: str) -> None:
    """
    Nothing that stands in a pidfile prevents a start, and garbage is reported.
    """
    daemon.pidfile.write_text(content)
    master = daemon.start()
    assert daemon.pidfile.read_text() == f"{master}\n"
    if content == "garbage":
        assert "had no pid in it but b'garbage'" in daemon.log()
    assert daemon.command("stop").returncode == 0
    assert daemon.left() == ["error.log"]


def test_killedMaster(daemon: Daemon) -> None:
    """
    After kill -9 of the master a start works at once, and no old process is left.
    """
    first = daemon.start()
    old = daemon.processes()
    os.kill(first, signal.SIGKILL)
    waitUntil(lambda: not alive(first), "its end")
    assert daemon.command("status").returncode == 7
    second = daemon.start()
    assert second != first
    assert daemon.get() == "hello"
    waitUntil(lambda: not any(map(alive, old)), "the end of the old workers", 5.0)


DESCRIPTORS = {
    "/dev/null",
    "anon_inode:[eventpoll]",
    "/memfd:svctree-scoreboard",
    "pipe",
    "socket",
}


def opened(pid: int) -> dict[int, str]:
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            link = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue
        kind = re.sub(r"^(pipe|socket):.*| \(deleted\)$", r"\1", link)
        found[int(fd)] = kind
    return found


def test_descriptors(daemon: Daemon) -> None:
    """
    0 and 1 are /dev/null and 2 the error log in master, zygote and workers; nothing
    of the starting shell is left, and zygote and workers have nothing of the
    master's but what they need: no pidfile, no folders, no control socket.
    """
    stray = os.open(daemon.folder, os.O_RDONLY)
    other, end = os.pipe()
    try:
        master = daemon.start(passFds=[stray, other, end])
    finally:
        for fd in (stray, other, end):
            os.close(fd)
    (zygote,) = daemon.zygotes()
    for pid in (master, zygote, *daemon.workers()):
        found = opened(pid)
        assert (found.pop(0), found.pop(1)) == ("/dev/null", "/dev/null")
        assert found.pop(2) == str(daemon.errorlog)
        if pid == master:
            own = {str(daemon.pidfile), str(daemon.run)}
            found = {fd: kind for fd, kind in found.items() if kind not in own}
            found = {
                f: k for f, k in found.items() if not k.startswith(str(daemon.run))
            }
        assert set(found.values()) <= DESCRIPTORS, f"{pid}: {found}"
        assert len(found) < 20, found


def test_ignoredSignals(daemon: Daemon) -> None:
    """
    A shell that ignores signals does not make the daemon deaf.
    """
    shell = "trap '' HUP TERM USR1 QUIT; exec " + " ".join(daemon.argv("start"))
    subprocess.run(["sh", "-c", shell], check=True, timeout=40)
    status = Path(f"/proc/{daemon.master()}/status").read_text()
    found = re.search(r"SigIgn:\s*(\w+)", status)
    assert found is not None
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1, signal.SIGQUIT):
        assert not int(found[1], 16) & 1 << (number - 1), number
    assert daemon.command("stop").returncode == 0


def test_logrotateUnderLoad(daemon: Daemon) -> None:
    """
    mv and logrotate while two workers write: every line is in exactly one file, none
    lost, none torn; the command returns when every process writes to the new file.
    """
    daemon.start()
    sent: list[str] = []
    over = threading.Event()

    def write(name: str) -> None:
        number = 0
        while not over.is_set():
            number += 1
            line = f"line-{name}-{number}-{'x' * 300}-end"
            daemon.get(f"/log?{line}")
            sent.append(line)

    writers = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for writer in writers:
        writer.start()
    try:
        for number in range(4):
            before = len(sent)
            waitUntil(lambda before=before: len(sent) > before + 40, "some lines")
            moved = daemon.run / f"error.log.{number}"
            daemon.errorlog.rename(moved)
            done = daemon.command("logrotate")
            assert done.returncode == 0, done.stderr
            size = moved.stat().st_size
            before = len(sent)
            waitUntil(lambda before=before: len(sent) > before + 20, "some lines")
            assert moved.stat().st_size == size, "somebody still writes to the old"
    finally:
        over.set()
        for writer in writers:
            writer.join()
    found = [
        line
        for file in daemon.run.glob("error.log*")
        for line in file.read_text().splitlines()
        if "line-" in line
    ]
    assert sorted(found) == sorted(sent)


def test_logOfEverybody(daemon: Daemon) -> None:
    """
    Descriptor 2 of master, zygote and workers leads to the new file.
    """
    daemon.start()
    daemon.errorlog.rename(daemon.run / "error.log.1")
    assert daemon.command("logrotate").returncode == 0
    for pid in daemon.processes():
        assert os.readlink(f"/proc/{pid}/fd/2") == str(daemon.errorlog)


def test_relativePaths(daemon: Daemon) -> None:
    """
    Relative paths belong to the file's folder, and so does basedir, whatever the
    working directory; umask and basedir are those of the file.
    """
    (daemon.folder / "here").mkdir()
    daemon.configure(basedir="here", umask="027")
    master = daemon.start()
    assert os.readlink(f"/proc/{master}/cwd") == str(daemon.folder / "here")
    assert daemon.get("/cwd") == str(daemon.folder / "here")
    status = Path(f"/proc/{master}/status").read_text()
    assert "Umask:\t0027" in status
    daemon.command("stop")
    daemon.configure(umask="inherit", basedir=None)
    subprocess.run(
        ["sh", "-c", "umask 013; exec " + " ".join(daemon.argv("start"))], check=True
    )
    master = daemon.master()
    assert os.readlink(f"/proc/{master}/cwd") == "/"
    assert "Umask:\t0013" in Path(f"/proc/{master}/status").read_text()


def failing(daemon: Daemon, status: int = 1) -> str:
    """
    Start what cannot start.

    @return: the one line that says why.
    """
    done = daemon.command("start")
    assert done.returncode == status, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert daemon.master() == 0
    return lines[0]


def test_unusableFolders(daemon: Daemon) -> None:
    """
    A folder that is missing is told in one line, and nothing is left behind.
    """
    for option, value in (
        ("pidfile", "none/app.pid"),
        ("errorlog", "none/error.log"),
        ("listen", "unix:none/app.sock"),
    ):
        daemon.configure(**{option: value})
        line = failing(daemon)
        assert "none" in line, line
        assert set(daemon.left()) <= {"error.log"}


@needsRoot
def test_fullDisk(daemon: Daemon) -> None:
    """
    A full disk for pidfile, log or socket: one line, and nothing left behind.
    """
    disk = daemon.folder / "disk"
    disk.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=2", "none", disk], check=True
    )
    try:
        (disk / "filler").write_bytes(b"x" * 4096)
        for option, value in (
            ("pidfile", "disk/app.pid"),
            ("errorlog", "disk/error.log"),
            ("listen", "unix:disk/app.sock"),
        ):
            daemon.configure(**{option: value})
            line = failing(daemon)
            assert "disk" in line and "No space left" in line, line
            assert os.listdir(disk) == ["filler"]
            assert set(daemon.left()) <= {"error.log"}
        # Room for a file, but none for what is in it.
        subprocess.run(["mount", "-o", "remount,nr_inodes=9", disk], check=True)
        daemon.configure(pidfile="disk/app.pid", control="none")
        line = failing(daemon)
        assert "app.pid: cannot write: No space left" in line
        assert os.listdir(disk) == ["filler"]
    finally:
        subprocess.run(["umount", disk], check=True)


@needsRoot
def test_diskFillsUp(daemon: Daemon) -> None:
    """
    A disk that becomes full under a running daemon keeps it neither from serving,
    nor from reloading, nor from ending in order.
    """
    disk = daemon.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], check=True)
    try:
        daemon.configure(errorlog="disk/error.log")
        daemon.start()
        with (
            open(disk / "filler", "wb", buffering=0) as filler,
            pytest.raises(OSError, match="No space left"),
        ):
            while True:
                filler.write(b"x" * 4096)
        assert daemon.command("reload").returncode == 0
        assert daemon.get() == "hello"
        assert daemon.command("stop").returncode == 0
        assert daemon.left() == []
    finally:
        daemon.kill()
        subprocess.run(["umount", disk], check=True)


def test_brokenApplication(daemon: Daemon) -> None:
    """
    An application that cannot be imported: status 4, the reason and its traceback
    in the terminal, and no process, pidfile or socket is left.
    """
    daemon.writeApplication("import no_such_module\n")
    done = daemon.command("start")
    assert done.returncode == 4, done.stderr
    assert "no_such_module" in done.stderr.splitlines()[0]
    assert "Traceback" in done.stderr
    assert daemon.left() == ["error.log"]


def test_brokenInTheForeground(daemon: Daemon) -> None:
    """
    In the foreground the reason is in the terminal and in the error log.
    """
    daemon.writeApplication("import no_such_module\n")
    done = daemon.command("run")
    assert done.returncode == 4
    assert "no_such_module" in done.stderr
    assert "no_such_module" in daemon.log()
    assert daemon.left() == ["error.log"]


def test_passedDescriptor(daemon: Daemon) -> None:
    """
    A socket that the file names by its number survives detaching.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        daemon.configure(listen=f"fd:{listening.fileno()}", workers=1)
        daemon.start(passFds=[listening.fileno()])
        with socket.create_connection(listening.getsockname(), 10) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert b"200 OK" in client.recv(65536)


def test_titles(daemon: Daemon) -> None:
    """
    ps shows what each process is, unless that is not wanted.
    """
    pytest.importorskip("setproctitle")

    def titles() -> list[str]:
        return [
            Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0 ").decode()
            for pid in daemon.processes()
        ]

    daemon.configure(workers=1)
    daemon.start()
    assert titles()[0] == "svctree: master [app]"
    assert all(title.startswith("svctree: ") for title in titles())
    daemon.command("stop")
    daemon.configure(workers=1, proctitle="no")
    daemon.start()
    assert not any(title.startswith("svctree: ") for title in titles())


def test_foregroundUnderASupervisor(daemon: Daemon) -> None:
    """
    Not detached, as a child of a supervisor that closes standard input: it serves,
    logs to standard error, ends with status 0 on TERM and leaves nothing.
    """
    daemon.configure(detach="no", errorlog=None)
    shell = "exec " + " ".join(daemon.argv("run")) + " <&-"
    with subprocess.Popen(
        ["sh", "-c", shell], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if "ready, pid" in line:
                    break
            assert daemon.master() == process.pid
            assert daemon.get() == "hello"
            process.send_signal(signal.SIGTERM)
            process.stderr.read()
            assert process.wait(20) == 0
        finally:
            process.kill()
    assert daemon.left() == []


def test_twistdAgrees(tmp_path: Path) -> None:
    """
    The leaf works under stock twistd as well: pidfile, status 0, nothing left.
    """
    (tmp_path / "app.tac").write_text(
        "from svctree.process import DaemonService\n"
        "from svctree.service import Application\n"
        "application = Application('leaf')\n"
        f"DaemonService(pidfile={str(tmp_path / 'leaf.pid')!r})"
        ".setServiceParent(application)\n"
    )
    twistd = Path(sys.executable).parent / "twistd"
    with subprocess.Popen(
        [twistd, "-ny", "app.tac", "--pidfile="],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            waitUntil(
                lambda: (
                    (tmp_path / "leaf.pid").exists()
                    and (tmp_path / "leaf.pid").read_text() == f"{process.pid}\n"
                ),
                "the pidfile",
            )
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
    assert not (tmp_path / "leaf.pid").exists()
