"""
C{svctree run}: in the foreground, under supervisors and on terminals.
"""

from __future__ import annotations

import signal
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from tests.cli.conftest import Site
from tests.support.processes import Processes, alive, waitUntil
from tests.support.terminals import OnTerminal

SLOW = """\
import time
time.sleep({seconds})
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"slow"]
"""

HELD = """\
import os, time
def application(environ, start_response):
    open(os.path.join(os.path.dirname(__file__), "held"), "w").close()
    time.sleep(4)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"held"]
"""

URL = r"web: .* at (http://127\.0\.0\.1:\d+/)"


@pytest.fixture
def terminal(site: Site) -> Iterator[Callable[..., OnTerminal]]:
    """
    Runs C{svctree} on a terminal.
    """
    started: list[OnTerminal] = []

    def run(*arguments: str) -> OnTerminal:
        started.append(OnTerminal(site.command(*arguments), site.environment))
        return started[-1]

    yield run
    for one in started:
        one.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_foreground(site: Site, processes: Processes, number: int) -> None:
    """
    C{run} serves in the very process that was started, as daemontools wants it, says
    where, and ends with 0 on TERM, INT and QUIT; C{detach} in the file is not heeded.
    """
    site.file(errorlog="-")
    running = processes.start(site.command("run"), env=site.environment)
    url = running.waitFor(URL)[1]
    running.waitFor(r"ready, pid")
    assert int(site.pidfile.read_text()) == running.pid
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"first\n"
    running.signal(number)
    assert running.wait() == 0
    site.assertNothingLeft()


def test_demonstration(site: Site, processes: Processes) -> None:
    """
    C{svctree run} without anything serves the demonstration.
    """
    argv = [*site.command()[:3], "run", "--listen", "127.0.0.1:0"]
    running = processes.start(argv, env=site.environment)
    with urllib.request.urlopen(running.waitFor(URL)[1]) as answer:
        assert b"svctree works" in answer.read()
    assert running.terminate() == 0


def test_applicationFromTheWorkingDirectory(site: Site, processes: Processes) -> None:
    """
    Without a file, applications are found in the working directory.
    """
    argv = [*site.command()[:3], "run", "app:application", "--listen", "127.0.0.1:0"]
    running = processes.start(argv, cwd=site.folder, env=site.environment)
    with urllib.request.urlopen(running.waitFor(URL)[1]) as answer:
        assert answer.read() == b"first\n"
    assert running.terminate() == 0


def test_failedBoot(site: Site) -> None:
    """
    In the foreground a failed boot has the same status and ends with the same lines.
    """
    site.file(errorlog="-")
    site.app(code="raise RuntimeError('no such luck')\n")
    done = site.svctree("run")
    assert done.returncode == 4
    lines = done.stderr.splitlines()
    assert lines[-1] == "RuntimeError: no such luck"
    assert len([line for line in lines if line.startswith("svctree: ")]) == 1
    site.assertNothingLeft()


def test_reloadBySignal(site: Site, processes: Processes) -> None:
    """
    Without a terminal HUP reloads.
    """
    site.file(errorlog="-")
    running = processes.start(site.command("run"), env=site.environment)
    url = running.waitFor(URL)[1]
    site.app(b"second\n")
    running.signal(signal.SIGHUP)
    running.waitFor("generation 2 serves")

    def isNew() -> bool:
        # The old generation may take a connection while it goes.
        with urllib.request.urlopen(url) as answer:
            return bool(answer.read() == b"second\n")

    waitUntil(isNew, "the new code")
    assert running.terminate() == 0


def test_interruptOnTerminal(site: Site, terminal: Callable[..., OnTerminal]) -> None:
    """
    On a terminal Ctrl-C ends it in order.
    """
    site.file(errorlog="-")
    shown = terminal("run")
    waitUntil(lambda: "ready, pid" in shown.output, "the pool to serve")
    shown.type("\x03")
    assert shown.wait() == 0, shown.output
    assert "Traceback" not in shown.output
    site.assertNothingLeft()


def test_hangUp(site: Site, terminal: Callable[..., OnTerminal]) -> None:
    """
    When the terminal goes away, so does what runs on it.
    """
    site.file(errorlog="-")
    shown = terminal("run")
    waitUntil(lambda: "ready, pid" in shown.output, "the pool to serve")
    pid = int(site.pidfile.read_text())
    shown.hangUp()
    waitUntil(lambda: not alive(pid), "the daemon to end")
    site.assertNothingLeft()


def test_progressOfStart(site: Site, terminal: Callable[..., OnTerminal]) -> None:
    """
    On a terminal C{start} shows what it waits for.
    """
    site.app(code=SLOW.format(seconds=2.5))
    shown = terminal("start")
    assert shown.wait() == 0, shown.output
    assert "waiting for web to start (" in shown.output
    pid = int(site.pidfile.read_text())
    assert alive(pid)


def test_interruptedStart(site: Site, terminal: Callable[..., OnTerminal]) -> None:
    """
    Ctrl-C during C{start} ends the daemon that is not up yet.
    """
    site.app(code=SLOW.format(seconds=30))
    shown = terminal("start")
    waitUntil(lambda: "waiting for web to start (" in shown.output, "some progress")
    shown.type("\x03")
    assert shown.wait() == 130, shown.output
    site.assertNothingLeft()


def test_progressOfStop(site: Site, terminal: Callable[..., OnTerminal]) -> None:
    """
    On a terminal C{stop} shows whom it waits for, and removes that line at the end.
    """
    site.app(code=HELD)
    pid = site.start()
    asking = threading.Thread(target=site.get)
    asking.start()
    waitUntil((site.folder / "held").exists, "the request to begin")
    shown = terminal("stop")
    assert shown.wait() == 0, shown.output
    asking.join(10.0)
    assert f"waiting for pid {pid} to stop (" in shown.output
    assert shown.output.endswith(f"\r\x1b[Kstopped (it was pid {pid})\r\n")


def test_topOnTerminal(site: Site, terminal: Callable[..., OnTerminal]) -> None:
    """
    On a terminal C{top} goes on until Ctrl-C.
    """
    site.start()
    shown = terminal("top")
    waitUntil(lambda: shown.output.count("2 of 2 ready") > 1, "the second picture")
    shown.type("\x03")
    assert shown.wait() == 0
    assert "Traceback" not in shown.output


def test_closedPipe(site: Site) -> None:
    """
    Whoever reads the output may stop reading.
    """
    settings = " ".join([*site.command("settings")])
    done = subprocess.run(
        ["sh", "-c", f"{settings} | head -1"], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("# What runs\n", "")
