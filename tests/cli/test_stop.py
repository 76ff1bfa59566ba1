"""
C{svctree stop} and C{restart}.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from svctree.command import stopping
from svctree.process.progress import Progress
from svctree.settings import Settings
from tests.cli.conftest import Site
from tests.support.processes import alive, waitUntil

HELD = """\
import os, time
def application(environ, start_response):
    open(os.path.join(os.path.dirname(__file__), "held"), "w").close()
    time.sleep({seconds})
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"held"]
"""

DEAF = """\
import fcntl, os, signal, sys, time
for number in {signals}:
    signal.signal(number, signal.SIG_IGN)
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print(os.getpid(), file=file, flush=True)
print("locked", flush=True)
time.sleep(60)
"""


def test_gone(site: Site) -> None:
    """
    C{stop} returns 0 when the daemon is gone, with everything it made.
    """
    pid = site.start()
    done = site.svctree("stop")
    assert (done.returncode, done.stdout) == (0, f"stopped (it was pid {pid})\n")
    assert not alive(pid)
    site.assertNothingLeft()


def test_noneRunning(site: Site) -> None:
    """
    That none runs is no failure, twice.
    """
    for _ in range(2):
        done = site.svctree("stop")
        assert (done.returncode, done.stdout, done.stderr) == (0, "not running\n", "")


def test_requestInHand(site: Site) -> None:
    """
    C{stop} lets a request in hand be answered and waits for it.
    """
    site.app(code=HELD.format(seconds=0.7))
    site.start()
    answers: list[bytes] = []
    asking = threading.Thread(target=lambda: answers.append(site.get()))
    asking.start()
    waitUntil((site.folder / "held").exists, "the request to begin")
    assert site.svctree("stop").returncode == 0
    asking.join(5.0)
    assert answers == [b"held"]


def test_noWait(site: Site) -> None:
    """
    C{--no-wait} returns at once.
    """
    site.app(code=HELD.format(seconds=5))
    pid = site.start()

    def ask() -> None:
        with contextlib.suppress(OSError):
            site.get()

    asking = threading.Thread(target=ask)
    asking.start()
    waitUntil((site.folder / "held").exists, "the request to begin")
    done = site.svctree("stop", "--no-wait")
    assert (done.returncode, done.stdout) == (0, f"asked pid {pid} to stop\n")
    assert alive(pid)
    waitUntil(lambda: not alive(pid), "the daemon to end", 20.0)
    asking.join(5.0)


def test_stopped(site: Site) -> None:
    """
    A daemon that was suspended is continued, and then stops.
    """
    pid = site.start()
    os.kill(pid, signal.SIGSTOP)
    assert site.svctree("stop").returncode == 0
    assert not alive(pid)


def test_stopTimeout(site: Site) -> None:
    """
    After C{stop-timeout} requests are given up.
    """
    site.app(code=HELD.format(seconds=60))
    site.file("stop-timeout = 500ms\n")
    site.start()
    refused: list[OSError] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(site.url())
        except OSError as error:
            refused.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    waitUntil((site.folder / "held").exists, "the request to begin")
    done = site.svctree("stop")
    assert done.returncode == 0, done.stderr
    asking.join(5.0)
    assert refused
    waitUntil(lambda: not site.processes(), "the processes to end")


def test_brokenFile(site: Site) -> None:
    """
    A daemon can be stopped although its file has been broken meanwhile; what is wrong
    is said.
    """
    site.start()
    site.file("timeot = 3\n")
    done = site.svctree("stop")
    assert done.returncode == 0
    assert done.stdout.startswith("stopped")
    assert "unknown option timeot; did you mean timeout?" in done.stderr


def test_killedBefore(site: Site) -> None:
    """
    After C{kill -9} of the daemon, C{stop} finds none, and C{start} works at once.
    """
    site.app(code=HELD.format(seconds=0))
    pid = site.start()
    os.kill(pid, signal.SIGKILL)
    waitUntil(lambda: not alive(pid), "the daemon to die")
    assert site.svctree("stop").stdout == "not running\n"
    assert site.start() != pid
    assert site.get() == b"held"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")
def test_anotherUsers(site: Site, ordinarySite: Site) -> None:
    """
    Somebody else's daemon may not be stopped, and the message says whose it is.
    """
    site.file(pidfile=f"{ordinarySite.folder}/other.pid")
    ordinarySite.file(pidfile="other.pid")
    assert site.svctree("start").returncode == 0
    pid = int((ordinarySite.folder / "other.pid").read_text())
    done = ordinarySite.svctree("stop")
    assert done.returncode == 1
    assert done.stderr == (
        f"svctree: may not stop pid {pid}, which belongs to another user; stop it as "
        "that user or as root\n"
    )
    assert site.svctree("stop").returncode == 0


@pytest.fixture
def deaf(tmp_path: Path) -> Iterator[Callable[..., Settings]]:
    """
    Starts a process that holds the lock on a pidfile and ignores some signals.
    """
    started: list[subprocess.Popen[str]] = []

    def start(*signals: int) -> Settings:
        path = tmp_path / "deaf.pid"
        code = DEAF.format(signals=[int(one) for one in signals])
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        # Somebody has to reap it, as init does for a daemon.
        threading.Thread(target=process.wait, daemon=True).start()
        return Settings(pidfile=str(path), stopTimeout=0.2)

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


class Recorded(Progress):
    """
    Notes what is told.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def tell(self, text: str) -> None:
        self.told.append(text)


def test_insists(deaf: Callable[..., Settings]) -> None:
    """
    Who ignores TERM is sent QUIT after C{stop-timeout}.
    """
    settings = deaf(signal.SIGTERM)
    progress = Recorded()
    pid = stopping.stop(settings, progress=progress)
    assert pid
    assert progress.told == [
        f"pid {pid} has not stopped within 0.2 s (stop-timeout); asking it to give up "
        "what it has in hand"
    ]


def test_kills(deaf: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Who ignores that too is killed.
    """
    monkeypatch.setattr(stopping, "_HURRY", 0.2)
    settings = deaf(signal.SIGTERM, signal.SIGQUIT)
    progress = Recorded()
    pid = stopping.stop(settings, progress=progress)
    assert progress.told[1:] == [f"pid {pid} does not react; killing it"]
    with open(str(settings.pidfile)) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_restart(site: Site) -> None:
    """
    C{restart} stops and starts, with new code and new settings; with none running it
    just starts.
    """
    assert site.svctree("restart").returncode == 0
    pid = int(site.pidfile.read_text())
    site.app(b"second\n")
    site.file(workers="1")
    done = site.svctree("restart")
    assert done.returncode == 0, done.stderr
    assert not alive(pid)
    assert site.get() == b"second\n"
    assert site.svctree("status").stdout.count(" idle ") == 1


def test_restartWithBrokenFile(site: Site) -> None:
    """
    A broken file does not end a daemon that could not be started again.
    """
    pid = site.start()
    site.file("timeot = 3\n")
    assert site.svctree("restart").returncode == 78
    site.file("user = no-such-user-here\n")
    assert site.svctree("restart").returncode == 78
    assert alive(pid)
    assert site.get() == b"first\n"
