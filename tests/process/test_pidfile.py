"""
L{svctree.process.pidfile}, held by real processes.
"""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from svctree.process import AlreadyRunning, NoPidFile, PidFile, PidFileError
from tests.support.processes import Processes, Running

needsRoot = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

DAEMON = """
import signal, sys
from svctree.process import PidFile
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
file = PidFile(sys.argv[1])
file.acquire()
if "silent" not in sys.argv:
    file.write()
print("HELD", flush=True)
signal.sigwait([signal.SIGTERM])
file.release()
"""


def daemon(processes: Processes, path: Path, *words: str) -> Running:
    running = processes.start([sys.executable, "-c", DAEMON, path, *words])
    running.waitFor("HELD")
    return running


def test_lifeOfAFile(tmp_path: Path) -> None:
    """
    Created 0644 whatever the umask, empty until written, gone after the release.
    """
    file = PidFile(tmp_path / "d.pid")
    before = os.umask(0o077)
    try:
        file.acquire()
    finally:
        os.umask(before)
    path = tmp_path / "d.pid"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert path.read_bytes() == b""
    file.write()
    assert path.read_text() == f"{os.getpid()}\n"
    assert file.read() == os.getpid()
    assert file.release()
    assert not path.exists()
    assert file.release()


def test_umaskZeroOpensNothing(tmp_path: Path) -> None:
    """
    With the seed's umask of 0 the file is 0644 from its first moment on.
    """
    seen: list[int] = []
    real = os.open

    def spying(*args: object, **keywords: object) -> int:
        fd = real(*args, **keywords)  # type: ignore[arg-type]
        seen.append(stat.S_IMODE(os.fstat(fd).st_mode))
        return fd

    file = PidFile(tmp_path / "d.pid")
    before = os.umask(0)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "open", spying)
            file.acquire()
    finally:
        os.umask(before)
        file.release()
    assert seen[-1] == 0o644


@pytest.mark.parametrize(
    "content, remark",
    [
        (b"", None),
        (b"\n", None),
        pytest.param(b"%d\n" % os.getpid(), "was stale", id="this test"),
        (b"999999999\n", "was stale"),
        (b"not a pid", "had no pid in it but b'not a pid'"),
        (b"\0\xff" * 5000, "had no pid in it"),
        (b"-1", "had no pid in it"),
        (b"9" * 60, "had no pid in it"),
    ],
)
def test_oldContentIsNoObstacle(
    tmp_path: Path, content: bytes, remark: str | None
) -> None:
    """
    The pid of a dead process, of a stranger that lives, garbage or nothing: the
    daemon starts, and garbage is reported.
    """
    path = tmp_path / "d.pid"
    path.write_bytes(content)
    assert PidFile(path).holder() is None
    file = PidFile(path)
    file.acquire()
    file.write()
    assert path.read_text() == f"{os.getpid()}\n"
    file.release()
    assert len(file.remarks) == (remark is not None)
    if remark is not None:
        assert remark in file.remarks[0]


def test_secondIsRefused(processes: Processes, tmp_path: Path) -> None:
    """
    A second daemon is told who the first one is, with status 5, and leaves the
    file alone.
    """
    path = tmp_path / "d.pid"
    first = daemon(processes, path)
    with pytest.raises(AlreadyRunning, match=f"already running with pid {first.pid}$"):
        PidFile(path).acquire()
    assert AlreadyRunning.exitStatus == 5
    assert path.read_text() == f"{first.pid}\n"
    assert first.terminate() == 0
    assert not path.exists()


def test_startingOneIsKnown(processes: Processes, tmp_path: Path) -> None:
    """
    A daemon that has not written its pid yet is identified by its lock.
    """
    path = tmp_path / "d.pid"
    first = daemon(processes, path, "silent")
    assert path.read_bytes() == b""
    found = PidFile(path).holder()
    assert found is not None
    with found:
        assert found.pid == first.pid
    with pytest.raises(AlreadyRunning, match=str(first.pid)):
        PidFile(path).acquire()


def test_lockSurvivesCloses(tmp_path: Path) -> None:
    """
    Opening and closing the file in the same process does not free the lock.
    """
    path = tmp_path / "d.pid"
    file = PidFile(path)
    file.acquire()
    file.write()
    path.read_text()
    os.close(os.open(path, os.O_RDWR))
    assert PidFile(path).read() == os.getpid()
    script = f"from svctree.process import PidFile; PidFile({str(path)!r}).acquire()"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=20
    )
    file.release()
    assert f"already running with pid {os.getpid()}" in done.stderr


def test_killedDaemon(processes: Processes, tmp_path: Path) -> None:
    """
    After kill -9 the file stays, nobody holds it, and a start works at once.
    """
    path = tmp_path / "d.pid"
    first = daemon(processes, path)
    first.signal(signal.SIGKILL)
    first.wait()
    assert path.exists()
    assert PidFile(path).holder() is None
    daemon(processes, path).terminate()
    assert not path.exists()


def test_signalsTheHolder(processes: Processes, tmp_path: Path) -> None:
    """
    Signals go to who holds the lock, whatever pid the file names; the wait ends
    with the process.
    """
    path = tmp_path / "d.pid"
    stranger = processes.start([sys.executable, "-c", "import signal; signal.pause()"])
    first = daemon(processes, path)
    path.write_text(f"{stranger.pid}\n")
    found = PidFile(path).holder()
    assert found is not None
    with found:
        assert found.pid == first.pid
        assert not found.wait(0.01)
        assert found.signal(signal.SIGTERM, signal.SIGCONT)
        assert found.wait(10)
        first.wait()
        assert not found.signal(signal.SIGTERM)
    assert stranger.process.poll() is None


def test_onlyTheHolder(processes: Processes, tmp_path: Path) -> None:
    """
    A living stranger whose pid the file names is nobody's daemon.
    """
    path = tmp_path / "d.pid"
    path.write_text(f"{os.getpid()}\n")
    assert PidFile(path).holder() is None
    assert PidFile(tmp_path / "none.pid").holder() is None
    assert PidFile(tmp_path / "no" / "such.pid").holder() is None


@pytest.mark.parametrize("kind", ["symlink", "hardlink", "fifo", "directory"])
def test_refusesWhatIsNoPidfile(tmp_path: Path, kind: str) -> None:
    """
    Nothing is written through a link, into a pipe or a directory; the victim keeps
    its content.
    """
    victim, path = tmp_path / "victim", tmp_path / "d.pid"
    victim.write_text("precious")
    if kind == "symlink":
        path.symlink_to(victim)
    elif kind == "hardlink":
        path.hardlink_to(victim)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(PidFileError) as caught:
        PidFile(path).acquire()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert victim.read_text() == "precious"


def test_noFolder(tmp_path: Path) -> None:
    """
    A missing folder is one line that names it.
    """
    with pytest.raises(PidFileError, match=r"cannot open the folder .*/no: No such"):
        PidFile(tmp_path / "no" / "d.pid").acquire()


@needsRoot
def test_fullDisk(tmp_path: Path) -> None:
    """
    A full disk is one line, whether it shows when opening or when writing.
    """
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4k", "none", tmp_path], check=True
    )
    try:
        file = PidFile(tmp_path / "d.pid")
        file.acquire()
        (tmp_path / "filler").write_bytes(b"x" * 4096)
        with pytest.raises(PidFileError, match="cannot write: No space left"):
            file.write()
        file.release()
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_replacedFileIsNotRemoved(tmp_path: Path) -> None:
    """
    What somebody else put in the place of our file stays there.
    """
    path = tmp_path / "d.pid"
    file = PidFile(path)
    file.acquire()
    path.unlink()
    path.write_text("other")
    file.release()
    assert path.read_text() == "other"


def test_unlinkedWhileWaiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A starter whose file was unlinked between open and lock takes the new one.
    """
    path = tmp_path / "d.pid"
    real, calls = os.open, []

    def racing(name: str, *args: object, **keywords: object) -> int:
        fd = real(name, *args, **keywords)  # type: ignore[arg-type]
        if name == "d.pid" and not calls:
            calls.append(name)
            path.unlink()
        return fd

    monkeypatch.setattr(os, "open", racing)
    file = PidFile(path)
    file.acquire()
    file.write()
    assert path.read_text() == f"{os.getpid()}\n"
    file.release()


@needsRoot
def test_truncatedAfterIdentityDrop(tmp_path: Path) -> None:
    """
    In a folder of root's, the daemon that is nobody by then empties its file; a
    command of root's sweeps it away, and only when it is empty and free.
    """
    path = tmp_path / "d.pid"
    script = (
        "import os, sys; from svctree.process import *\n"
        "file = PidFile(sys.argv[1]); file.acquire(); file.write()\n"
        "Identity.resolve('nobody').assume(); print(file.release())\n"
    )
    tmp_path.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, timeout=20
    )
    assert done.stdout == "False\n", done.stderr
    assert path.read_bytes() == b""
    path.write_text("17\n")
    assert not PidFile(path).sweep()
    path.write_text("")
    assert PidFile(path).sweep()
    assert not path.exists()


@needsRoot
def test_removedAfterChroot(tmp_path: Path) -> None:
    """
    The file is found again after the root directory has changed.
    """
    script = (
        "import os, sys; from svctree.process import *\n"
        "file = PidFile(sys.argv[1]); file.acquire(); file.write()\n"
        "assert changeRoot(sys.argv[2]); print(file.release(), os.getcwd())\n"
    )
    (tmp_path / "root").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "d.pid", tmp_path / "root"],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.stdout == "True /\n", done.stderr
    assert not (tmp_path / "d.pid").exists()


CONTEST = """
import os, sys
from svctree.process import AlreadyRunning, PidFile
path = sys.argv[1]
for line in sys.stdin:
    round = PidFile(path)
    try:
        round.acquire()
    except AlreadyRunning as error:
        print("lost", error.pid, flush=True)
    else:
        round.write()
        print("won", os.getpid(), flush=True)
        sys.stdin.readline()
        round.release()
        print("free", flush=True)
"""


def test_exactlyOneOfTwo(tmp_path: Path) -> None:
    """
    Of two simultaneous starts exactly one wins, 100 times out of 100, and the loser
    can name the winner. Odd rounds begin from a stale file.
    """
    path = tmp_path / "d.pid"
    both = [
        subprocess.Popen(
            [sys.executable, "-c", CONTEST, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        for _ in range(2)
    ]
    try:
        for number in range(100):
            if number % 2:
                path.write_text("1\n")
            for one in both:
                assert one.stdin is not None
                one.stdin.write("go\n")
            answers = [one.stdout.readline().split() for one in both]  # type: ignore
            assert sorted(answer[0] for answer in answers) == ["lost", "won"], answers
            assert answers[0][1] == answers[1][1], answers
            assert path.read_text() == f"{answers[0][1]}\n"
            winner = both[[answer[0] for answer in answers].index("won")]
            assert winner.stdin is not None and winner.stdout is not None
            winner.stdin.write("release\n")
            assert winner.stdout.readline() == "free\n"
            assert not path.exists()
    finally:
        for one in both:
            one.communicate(timeout=10)


def test_withoutProcLocks(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Where the kernel does not tell who holds a lock, the written pid is believed if
    that process lives and has the file open; the lock itself is the truth there too.
    """
    monkeypatch.setattr("svctree.process.holder._locks", list)
    path = tmp_path / "d.pid"
    path.write_text(f"{os.getpid()}\n")
    assert PidFile(path).holder() is None
    first = daemon(processes, path)
    found = PidFile(path).holder()
    assert found is not None
    with found:
        assert found.pid == first.pid
    path.write_text(f"{os.getppid()}\n")
    with pytest.raises(AlreadyRunning, match="cannot be seen from here"):
        PidFile(path).holder()
    with pytest.raises(AlreadyRunning, match="cannot be seen from here"):
        PidFile(path).acquire()


def test_withoutPidfd(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A kernel or a container without pidfds is no obstacle.
    """

    def refused(pid: int) -> int:
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr(os, "pidfd_open", refused)
    path = tmp_path / "d.pid"
    first = daemon(processes, path)
    found = PidFile(path).holder()
    assert found is not None
    with found:
        assert not found.wait(0.01)
        assert found.signal(signal.SIGTERM)
        first.wait()
        assert found.wait(5)
        assert not found.signal(signal.SIGTERM)


def test_noPidFile() -> None:
    """
    The null object has the same methods and does nothing.
    """
    none = NoPidFile()
    none.acquire()
    none.write()
    assert none.release() and none.holder() is None and none.read() is None
    assert not none.held and not none.sweep() and none.remarks == []
