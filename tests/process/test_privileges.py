"""
Root gives its rights away: watched from outside, with the real command.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.accounts import needsRoot
from tests.support.daemons import Daemon
from tests.support.processes import alive, waitUntil

pytestmark = needsRoot

NOBODY = 65534


def ids(pid: int) -> tuple[set[int], set[int], set[int]]:
    """
    @return: all user ids, all group ids, and the supplementary groups.
    """
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    found = [{int(n) for n in fields[name].split()} for name in ("Uid", "Gid")]
    return found[0], found[1], {int(n) for n in fields["Groups"].split()}


class Watcher:
    """
    Looks again and again at every descendant of a master.

    @ivar seen: the user ids that each descendant was seen with.
    """

    def __init__(self, daemon: Daemon) -> None:
        self.seen: dict[int, set[int]] = {}
        self._daemon = daemon
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        known: set[int] = set()
        while not self._over.is_set():
            known |= {self._daemon.master()} - {0}
            for entry in filter(str.isdigit, os.listdir("/proc")):
                with contextlib.suppress(OSError):
                    status = Path(f"/proc/{entry}/status").read_text()
                    parent = int(re.search(r"PPid:\s*(\d+)", status)[1])  # type: ignore
                    if parent in known:
                        known.add(int(entry))
                        self.seen.setdefault(int(entry), set()).update(
                            ids(int(entry))[0]
                        )

    def stop(self) -> None:
        self._over.set()
        self._thread.join()


@pytest.fixture
def watched(publicDaemon: Daemon) -> Iterator[tuple[Daemon, Watcher]]:
    watcher = Watcher(publicDaemon)
    yield publicDaemon, watcher
    watcher.stop()


def prepareNotes(daemon: Daemon) -> dict[str, str]:
    daemon.notes.touch()
    daemon.notes.chmod(0o666)
    return {"NOTES": str(daemon.notes)}


def test_neverRoot(watched: tuple[Daemon, Watcher]) -> None:
    """
    With user = nobody no process below the master is ever root, through start,
    requests, reload, a killed worker, log rotation, scaling and stop; the import of
    the application included.
    """
    daemon, watcher = watched
    daemon.configure(user="nobody")
    master = daemon.start(env=prepareNotes(daemon))
    for pid in daemon.processes():
        assert ids(pid) == ({NOBODY}, {NOBODY}, {NOBODY}), pid
    assert daemon.get() == "hello"
    assert daemon.command("reload").returncode == 0
    os.kill(daemon.workers()[0], signal.SIGKILL)
    assert daemon.command("scale", 3).returncode == 0
    daemon.command("logrotate")
    for pid in daemon.processes():
        assert ids(pid)[0] == {NOBODY}, pid
    assert daemon.command("stop").returncode == 0
    watcher.stop()
    watcher.seen.pop(master, None)
    assert len(watcher.seen) >= 7
    assert all(uids == {NOBODY} for uids in watcher.seen.values()), watcher.seen
    notes = daemon.notes.read_text().splitlines()
    assert len(notes) >= 2
    for note in notes:
        assert f"({NOBODY}, {NOBODY}, {NOBODY})" in note, note


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_noProcessBeforeTheDrop(publicDaemon: Daemon) -> None:
    """
    As the kernel sees it: until the master has changed its user it makes no other
    process (threads of its own are none).
    """
    publicDaemon.configure(user="nobody", detach="no")
    trace = publicDaemon.folder / "trace"
    argv = ["strace", "-f", "-qq", "-e", "trace=process,setresuid", "-o", trace]
    with subprocess.Popen(
        [*argv, *publicDaemon.argv("run")], stderr=subprocess.DEVNULL
    ) as process:
        try:
            publicDaemon.waitForLog("ready, pid")
            master = publicDaemon.master()
            os.kill(master, signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
    lines = [
        line.split(maxsplit=1)[1]
        for line in trace.read_text().splitlines()
        if line.startswith(f"{master} ")
    ]
    drop = next(i for i, line in enumerate(lines) if line.startswith("setresuid(65534"))
    made = [line for line in lines[:drop] if re.match(r"clone|fork|vfork", line)]
    assert all("CLONE_THREAD" in line for line in made), made
    assert any(re.match(r"clone|fork|vfork", line) for line in lines[drop:])


def test_leavesNothing(publicDaemon: Daemon) -> None:
    """
    In a folder of root's the daemon, by then nobody, cannot remove its files: the
    stop command of root's does, and so does the start that failed.
    """
    publicDaemon.configure(user="nobody")
    publicDaemon.start()
    assert publicDaemon.left() == ["app.ctl", "app.pid", "app.sock", "error.log"]
    assert publicDaemon.command("stop").returncode == 0
    assert publicDaemon.left() == ["error.log"]
    publicDaemon.writeApplication("raise ValueError('broken')\n")
    done = publicDaemon.command("start")
    assert done.returncode == 4, done.stderr
    assert publicDaemon.left() == ["error.log"]


def test_signalledAsNobody(publicDaemon: Daemon) -> None:
    """
    After a bare TERM the pidfile is empty and free, and the next start works.
    """
    publicDaemon.configure(user="nobody")
    master = publicDaemon.start()
    os.kill(master, signal.SIGTERM)
    waitUntil(lambda: not alive(master), "its end")
    assert publicDaemon.pidfile.read_bytes() == b""
    second = publicDaemon.start()
    assert publicDaemon.pidfile.read_text() == f"{second}\n"


def test_killedAsNobody(publicDaemon: Daemon) -> None:
    """
    kill -9 of the master, then start: at once.
    """
    publicDaemon.configure(user="nobody")
    master = publicDaemon.start()
    os.kill(master, signal.SIGKILL)
    waitUntil(lambda: not alive(master), "its end")
    publicDaemon.start()
    assert publicDaemon.get() == "hello"


@pytest.mark.parametrize(
    "user, group, expected",
    [
        ("54321", None, ({54321}, {54321}, {54321})),
        ("54321", "54322", ({54321}, {54322}, {54322})),
        ("nobody", "daemon", ({NOBODY}, {1}, {1, NOBODY})),
        ("daemon", None, ({1}, {1}, {1})),
        (None, "daemon", ({0}, {1}, {1})),
    ],
)
def test_identities(
    publicDaemon: Daemon,
    user: str | None,
    group: str | None,
    expected: tuple[set[int], set[int], set[int]],
) -> None:
    """
    By name or number, with or without an entry in the databases; the groups are the
    user's, not root's.
    """
    publicDaemon.configure(user=user, group=group, workers=1)
    publicDaemon.start()
    for pid in publicDaemon.processes():
        uids, gids, groups = ids(pid)
        assert (uids, gids) == expected[:2]
        assert groups <= expected[2] and 0 not in groups


def test_rootWithoutUser(publicDaemon: Daemon) -> None:
    """
    root without a user serves, with one warning in the log.
    """
    publicDaemon.configure(workers=1)
    publicDaemon.start()
    assert publicDaemon.log().count("running as root: set 'user'") == 1


def test_notRoot(publicDaemon: Daemon) -> None:
    """
    For an ordinary user, user and group are ignored with a notice.
    """
    os.chown(publicDaemon.run, 54321, 54321)
    publicDaemon.configure(user="nobody", workers=1)
    wrapper = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "--"]
    done = publicDaemon.command("start", wrapper=wrapper)
    assert done.returncode == 0, done.stderr
    assert ids(publicDaemon.master())[0] == {54321}
    assert "not root: user and group (user nobody" in publicDaemon.log()
    assert publicDaemon.command("stop", wrapper=wrapper).returncode == 0
    assert publicDaemon.left() == ["error.log"]


def test_unwritableFolders(publicDaemon: Daemon) -> None:
    """
    Where an ordinary user may not write, for pidfile, log, socket or control socket:
    one line that names the place, and nothing left behind.
    """
    wrapper = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "--"]
    theirs = publicDaemon.folder / "theirs"
    theirs.mkdir()
    os.chown(publicDaemon.run, 54321, 54321)
    for option, value in (
        ("pidfile", "theirs/app.pid"),
        ("errorlog", "theirs/error.log"),
        ("listen", "unix:theirs/app.sock"),
        ("control", "unix:theirs/app.ctl(600)"),
    ):
        publicDaemon.configure(**{option: value})
        done = publicDaemon.command("start", wrapper=wrapper)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert "theirs" in line, line
        assert os.listdir(theirs) == []
        assert set(publicDaemon.left()) <= {"error.log"}


def test_withoutTheCapability(publicDaemon: Daemon) -> None:
    """
    A root that may not change its user does not serve as root instead.
    """
    publicDaemon.configure(user="nobody")
    wrapper = ["setpriv", "--bounding-set=-setuid,-setgid", "--"]
    done = publicDaemon.command("start", wrapper=wrapper)
    assert done.returncode == 1
    assert "cannot become user nobody" in done.stderr
    assert "\n" not in done.stderr.strip()
    assert publicDaemon.left() == ["error.log"]


def test_home(publicDaemon: Daemon) -> None:
    """
    The application is not told that it lives in root's home.
    """
    publicDaemon.configure(user="nobody", workers=1)
    publicDaemon.start(env={"HOME": "/root", "USER": "root"})
    assert publicDaemon.get("/home") == "/nonexistent"


def test_logrotateInRootsFolder(publicDaemon: Daemon) -> None:
    """
    As nobody in a folder of root's: without a new file from the rotation the command
    fails with a clear line, and nothing is lost; with one it works.
    """
    publicDaemon.configure(user="nobody", workers=1)
    publicDaemon.start()
    old = publicDaemon.errorlog.stat()
    assert old.st_uid == NOBODY
    moved = publicDaemon.run / "error.log.1"
    publicDaemon.errorlog.rename(moved)
    done = publicDaemon.command("logrotate")
    assert done.returncode == 1
    assert "cannot reopen: Permission denied; still writing to the old" in done.stderr
    publicDaemon.get("/log?kept")
    assert "kept\n" in moved.read_text()
    publicDaemon.errorlog.touch()
    os.chown(publicDaemon.errorlog, NOBODY, NOBODY)
    done = publicDaemon.command("logrotate")
    assert done.returncode == 0, done.stderr
    publicDaemon.get("/log?moved")
    assert "moved\n" in publicDaemon.log()
    assert "moved\n" not in moved.read_text()


def test_chroot(publicDaemon: Daemon) -> None:
    """
    With a chroot the workers live inside it, as nobody; the pidfile, the log and the
    commands are where they were.
    """
    jail = publicDaemon.folder / "jail"
    lines = ["set -e"]
    # What an interpreter needs is mounted into the jail, in a mount namespace of the
    # daemon's own: nothing of it is there when this folder is removed.
    for folder in ("/usr", "/lib", "/lib64", "/dev", "/etc", "/root", *sys.path):
        if os.path.isdir(folder):
            lines.append(
                f"mkdir -p {jail}{folder}; mount --bind {folder} {jail}{folder}"
            )
    for folder in (publicDaemon.python.parents[1], publicDaemon.folder):
        lines.append(f"mkdir -p {jail}{folder}; mount --bind {folder} {jail}{folder}")
    script = "\n".join([*lines, 'exec "$@"'])
    private = ["unshare", "--mount", "--propagation", "private"]
    if subprocess.run([*private, "true"], check=False).returncode:
        pytest.skip("no mount namespaces here")
    wrapper = [*private, "sh", "-c", script, "-"]
    publicDaemon.configure(user="nobody", workers=1, chroot="jail")
    done = publicDaemon.command("start", wrapper=wrapper)
    assert done.returncode == 0, done.stderr
    assert publicDaemon.get() == "hello"
    for pid in publicDaemon.processes():
        assert os.readlink(f"/proc/{pid}/root") == str(jail)
        assert ids(pid)[0] == {NOBODY}
    assert publicDaemon.command("reload").returncode == 0
    assert publicDaemon.command("stop").returncode == 0
    assert publicDaemon.left() == ["error.log"]


def test_twistdUid(publicDaemon: Daemon) -> None:
    """
    Under twistd --uid the leaf agrees when it means the same, and refuses to go on
    when it means somebody else.
    """
    folder = publicDaemon.folder
    os.chown(publicDaemon.run, NOBODY, NOBODY)
    for user, expected in (("nobody", "leaf up as"), ("daemon", "let them agree")):
        (folder / "app.tac").write_text(
            "import os\n"
            "from twisted.internet import reactor\n"
            "from svctree.process import DaemonService\n"
            "from svctree.service import Application\n"
            "application = Application('leaf')\n"
            f"DaemonService(pidfile={str(publicDaemon.pidfile)!r}, user={user!r})"
            ".setServiceParent(application)\n"
            "reactor.callWhenRunning(lambda: (print('leaf up as', os.getuid()),"
            " reactor.callLater(0, reactor.stop)))\n"
        )
        done = subprocess.run(
            [
                publicDaemon.python,
                "-c",
                "from twisted.scripts.twistd import run; run()",
                *("-ny", "app.tac", "--pidfile=", "--uid=nobody"),
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert expected in done.stdout + done.stderr, done.stdout + done.stderr
        assert ("leaf up as 65534" in done.stdout) == (user == "nobody")
