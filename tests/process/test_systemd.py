"""
The real daemon under a fake systemd: reports, watchdog, sockets handed over.
"""

from __future__ import annotations

import configparser
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.accounts import ROOT, needsRoot
from tests.support.daemons import Daemon
from tests.support.processes import alive, waitUntil
from tests.support.systemd import FakeSystemd

# What systemd does between fork and exec.
HAND_OVER = """
import os, sys
count = int(sys.argv[1])
for number in range(count):
    os.dup2(int(sys.argv[2]) + number, 3 + number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count))
os.environ["LISTEN_FDNAMES"] = sys.argv[3]
os.execv(sys.argv[4], sys.argv[4:])
"""


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[FakeSystemd]:
    with FakeSystemd(tmp_path / "notify") as made:
        yield made


@contextmanager
def unit(
    daemon: Daemon, systemd: FakeSystemd, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """
    Run in the foreground, as a unit of C{Type=notify-reload}.
    """
    daemon.configure(detach="no")
    env = {**os.environ, "NOTIFY_SOCKET": systemd.address, **environment}
    with subprocess.Popen(
        daemon.argv("run"), env=env, stdin=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_lifeOfAUnit(daemon: Daemon, systemd: FakeSystemd) -> None:
    """
    READY when it serves, RELOADING with the time and READY again around a reload,
    STOPPING first of all when it ends; the workers report nothing.
    """
    with unit(daemon, systemd) as process:
        ready = systemd.waitFor("READY")
        assert daemon.get() == "hello"
        assert ready["MAINPID"] == str(process.pid)
        assert ready["STATUS"]
        before = time.monotonic_ns() // 1000
        process.send_signal(signal.SIGHUP)
        reloading = systemd.waitFor("RELOADING")
        assert before <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() / 1e3
        systemd.waitFor("READY")
        for pid in daemon.workers():
            environ = Path(f"/proc/{pid}/environ").read_bytes()
            assert b"NOTIFY_SOCKET" not in environ
        process.send_signal(signal.SIGTERM)
        systemd.waitFor("STOPPING")
        assert process.wait(20) == 0
    heard = [set(report) & {"READY", "RELOADING", "STOPPING"} for report in systemd.all]
    assert heard == [{"READY"}, {"RELOADING"}, {"READY"}, {"STOPPING"}]


def test_failedReload(daemon: Daemon, systemd: FakeSystemd) -> None:
    """
    A reload that fails ends with READY too, for the old code serves; the status
    says so.
    """
    with unit(daemon, systemd) as process:
        systemd.waitFor("READY")
        daemon.writeApplication("raise ValueError('broken')\n")
        process.send_signal(signal.SIGHUP)
        systemd.waitFor("RELOADING")
        assert "reload failed" in systemd.waitFor("READY")["STATUS"]
        assert daemon.get() == "hello"


def test_notReadyWhenItFails(daemon: Daemon, systemd: FakeSystemd) -> None:
    """
    A start that fails never says READY.
    """
    daemon.writeApplication("raise ValueError('broken')\n")
    with unit(daemon, systemd) as process:
        assert process.wait(20) == 4
    assert systemd.heard() == []


def test_watchdog(daemon: Daemon, systemd: FakeSystemd) -> None:
    """
    WATCHDOG comes while the zygote answers, and ends when it is stuck.
    """
    with unit(daemon, systemd, WATCHDOG_USEC="400000"):
        systemd.waitFor("READY")
        for _ in range(3):
            systemd.waitFor("WATCHDOG", 5)
        (zygote,) = daemon.zygotes()
        os.kill(zygote, signal.SIGSTOP)
        try:
            assert systemd.isSilent(1.0, 3)
        finally:
            os.kill(zygote, signal.SIGCONT)
        systemd.waitFor("WATCHDOG", 5)


def test_detached(daemon: Daemon, systemd: FakeSystemd) -> None:
    """
    Detached under systemd, MAINPID says who the daemon is.
    """
    master = daemon.start(env={"NOTIFY_SOCKET": systemd.address})
    assert systemd.waitFor("READY")["MAINPID"] == str(master)
    assert daemon.command("stop").returncode == 0
    systemd.waitFor("STOPPING")


@needsRoot
def test_reportsAfterTheDrop(publicDaemon: Daemon) -> None:
    """
    Reports arrive after the identity was dropped, from a socket that only root may
    write to.
    """
    with FakeSystemd(publicDaemon.folder / "notify") as systemd:
        os.chmod(systemd.address, 0o600)
        publicDaemon.configure(user="nobody", workers=1)
        publicDaemon.start(env={"NOTIFY_SOCKET": systemd.address})
        systemd.waitFor("READY")
        assert publicDaemon.command("reload").returncode == 0
        systemd.waitFor("RELOADING")
        systemd.waitFor("READY")


@pytest.mark.parametrize("detach", ["no", "yes"])
def test_socketActivation(daemon: Daemon, systemd: FakeSystemd, detach: str) -> None:
    """
    Sockets handed over as systemd does are served, by name or all of them, detached
    or not; they stay open for the next start.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    daemon.configure(detach=detach, listen="systemd:web", workers=1)
    argv = daemon.argv("start" if detach == "yes" else "run")
    fd = listening.fileno()
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", HAND_OVER, "1", str(fd), "web", *argv],
            env={**os.environ, "NOTIFY_SOCKET": systemd.address},
            pass_fds=[fd],
            stdin=subprocess.DEVNULL,
        ) as process:
            try:
                systemd.waitFor("READY")
                with socket.create_connection(("127.0.0.1", port), 10) as client:
                    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    client.settimeout(10)
                    assert b"200 OK" in client.recv(65536)
                master = daemon.master()
                os.kill(master, signal.SIGTERM)
                assert process.wait(20) == 0
                waitUntil(lambda master=master: not alive(master), "its end")
            finally:
                process.kill()
    listening.close()


def test_unitFile() -> None:
    """
    The example's unit is of C{Type=notify-reload}, and its command is one of ours.
    """
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment]
    parser.read(ROOT / "examples" / "systemd" / "app.service")
    service = parser["Service"]
    assert service["Type"] == "notify-reload"
    command = service["ExecStart"].split()
    assert command[0].endswith("/svctree") and command[-1] == "run"
    # A reload is what systemd sends by itself: HUP.
    assert service.get("ReloadSignal", "SIGHUP") == "SIGHUP"
    assert "ExecReload" not in service


def test_exampleFile() -> None:
    """
    The configuration file of the example is complete and right.
    """
    folder = ROOT / "examples" / "systemd"
    done = subprocess.run(
        [sys.executable, "-m", "svctree", "-c", folder / "app.ini", "settings"],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 0, done.stderr
