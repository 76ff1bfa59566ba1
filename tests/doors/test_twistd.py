"""
The doors of Twisted: the plugin, a tac file, a program, and a plugin of one's own.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.http import Client
from tests.support.processes import (
    BIN,
    Processes,
    Running,
    alive,
    childrenOf,
    inSession,
    waitUntil,
)
from tests.support.python import whyNotNobody
from tests.support.terminals import OnTerminal

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"

SERVES = r"serves? \S+ at http://127\.0\.0\.1:(\d+)/"


def twistd(processes: Processes, folder: Path, *arguments: str) -> Running:
    return processes.start([BIN / "twistd", "-n", "--pidfile=", *arguments], cwd=folder)


def answered(running: Running) -> bytes:
    """
    @return: the body that the application gives.
    """
    client = Client(int(running.waitFor(SERVES)[1]))
    try:
        return client.get().body
    finally:
        client.close()


def stops(running: Running, number: int = signal.SIGTERM) -> None:
    """
    It stops with status 0 and leaves no process.
    """
    running.signal(number)
    assert running.wait() == 0
    assert inSession(running.pid) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_demo(processes: Processes, tmp_path: Path, number: int) -> None:
    """
    Without an application the demo answers; TERM and INT end it with status 0.
    """
    running = twistd(
        processes,
        tmp_path,
        *("svctree", "--listen=tcp:127.0.0.1:0", "--listen=unix:demo.sock"),
    )
    assert b"svctree works" in answered(running)
    assert (tmp_path / "demo.sock").exists()
    stops(running, number)
    assert not (tmp_path / "demo.sock").exists()


def test_operatorSignals(processes: Processes, tmp_path: Path) -> None:
    """
    HUP reloads with new code, TTIN and TTOU scale; a broken application leaves the
    old one serving.
    """
    site = tmp_path / "hupsite.py"
    code = (
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [b'{}']\n"
    )
    site.write_text(code.format(1))
    running = processes.start(
        [
            BIN / "twistd",
            "-n",
            "--pidfile=",
            "svctree",
            "--workers=1",
            "--listen=tcp:127.0.0.1:0",
            "hupsite:application",
        ],
        cwd=tmp_path,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert answered(running) == b"1"
    site.write_text(code.format(2))
    running.signal(signal.SIGHUP)
    running.waitFor("generation 2 serves")
    # The old workers are told to retire now, and may still take a connection.
    waitUntil(lambda: answered(running) == b"2", "the new code to answer")
    site.write_text("import nothing_of_this_name\n")
    running.signal(signal.SIGHUP)
    running.waitFor("(?s)reload failed, generation 2 serves on.*nothing_of_this_name")
    assert answered(running) == b"2"
    (zygote,) = childrenOf(running.pid)
    running.signal(signal.SIGTTIN)
    waitUntil(lambda: len(childrenOf(zygote)) == 2, "another worker")
    running.signal(signal.SIGTTOU)
    waitUntil(lambda: len(childrenOf(zygote)) == 1, "one worker less")
    stops(running)


def test_secondSignalIsFast(processes: Processes, tmp_path: Path) -> None:
    """
    Asked twice, it does not wait for what is in hand; nor does it when asked by QUIT.
    """
    (tmp_path / "slowsite.py").write_text(
        "import time\ndef application(e, s): time.sleep(30)\n"
    )
    for numbers in ([signal.SIGTERM, signal.SIGTERM], [signal.SIGQUIT]):
        running = twistd(
            processes,
            tmp_path,
            *("svctree", "--workers=1", "--listen=tcp:127.0.0.1:0"),
            "slowsite:application",
        )
        port = int(running.waitFor(SERVES)[1])
        client = Client(port)
        client.send()
        for number in numbers:
            running.signal(number)
            running.waitFor(f"received {signal.Signals(number).name}")
        assert running.wait(5.0) == 0
        assert inSession(running.pid) == []
        client.close()


def test_help() -> None:
    """
    twistd knows the plugin, and the plugin tells its options.
    """
    shown = subprocess.run(
        [BIN / "twistd", "--help"], capture_output=True, text=True, check=True
    )
    assert "Serve a WSGI application from a supervised pool" in shown.stdout
    shown = subprocess.run(
        [BIN / "twistd", "svctree", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    for flag in ("--listen", "--workers", "--max-requests", "--graceful-timeout"):
        assert flag in shown.stdout


def test_tac(processes: Processes, tmp_path: Path) -> None:
    """
    The example file serves.
    """
    text = (EXAMPLES / "app.tac").read_text()
    (tmp_path / "app.tac").write_text(text.replace(":8000", ":0"))
    running = twistd(processes, tmp_path, "-y", "app.tac")
    assert b"svctree works" in answered(running)
    stops(running)


def test_severalPools(processes: Processes, tmp_path: Path) -> None:
    """
    The example with two pools: each has its own listener, application and model, and
    they stop together.
    """
    text = (EXAMPLES / "two_pools.tac").read_text()
    text = text.replace(":8000", ":0").replace(":8001", ":0")
    (tmp_path / "two_pools.tac").write_text(text)
    shutil.copy(EXAMPLES / "hello.py", tmp_path)
    running = twistd(processes, tmp_path, "-y", "two_pools.tac")
    site = running.waitFor(r"site: 2 workers serve \S+ at http://127\.0\.0\.1:(\d+)/")
    admin = running.waitFor(r"admin: 1 worker serves \S+ at http://127\.0\.0\.1:(\d+)/")
    for port, path, words in (
        (int(site[1]), "/Ada", b"Hello, Ada!"),
        (int(admin[1]), "/", b"svctree works"),
    ):
        client = Client(port)
        assert words in client.get(path).body
        client.close()
    stops(running)


@pytest.mark.skipif(bool(whyNotNobody()), reason=whyNotNobody())
def test_tacDropsPrivileges(processes: Processes, tmp_path: Path) -> None:
    """
    With uid and gid the sockets are bound as root, and the application runs as the
    user; master included, nobody is root after that.
    """
    tmp_path.chmod(0o777)
    (tmp_path / "whosite.py").write_text(
        "import os\n"
        "AT_IMPORT = os.getuid()\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [f'{AT_IMPORT} {os.getuid()} {os.getgid()}'.encode()]\n"
    )
    (tmp_path / "app.tac").write_text(
        "from svctree import Application, ListenerService, PoolService\n"
        "application = Application('mysvc', uid=65534, gid=65534)\n"
        "ListenerService('tcp:127.0.0.1:0', 'unix:app.sock(600)')"
        ".setServiceParent(application)\n"
        "PoolService('whosite:application', workers=1)"
        ".setServiceParent(application)\n"
    )
    for folder in [tmp_path, *tmp_path.parents][:-2]:
        folder.chmod(folder.stat().st_mode | 0o055)
    running = twistd(processes, tmp_path, "-y", "app.tac")
    assert answered(running) == b"65534 65534 65534"
    for pid in inSession(running.pid):
        status = Path(f"/proc/{pid}/status").read_text()
        assert "Uid:\t65534\t65534\t65534\t65534\n" in status
        assert "Gid:\t65534\t65534\t65534\t65534\n" in status
    assert (tmp_path / "app.sock").stat().st_uid == 0
    stops(running)


PROGRAM = """
import sys
from twisted.internet import reactor
from twisted.logger import globalLogBeginner, textFileLogObserver
from svctree import ListenerService, MultiService, PoolService

globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)])
tree = MultiService()
ListenerService("tcp:127.0.0.1:0", name="http").setServiceParent(tree)
PoolService("svctree.demo:application", workers=1).setServiceParent(tree)
reactor.callWhenRunning(tree.privilegedStartService)
reactor.callWhenRunning(tree.startService)
reactor.addSystemEventTrigger("before", "shutdown", tree.stopService)
reactor.run()
"""


def test_program(processes: Processes, tmp_path: Path) -> None:
    """
    A program that builds the tree serves the same.
    """
    (tmp_path / "program.py").write_text(PROGRAM)
    running = processes.start([sys.executable, "program.py"], cwd=tmp_path)
    assert b"svctree works" in answered(running)
    stops(running)


def test_ownPlugin(processes: Processes, tmp_path: Path) -> None:
    """
    The example package, installed, gives twistd a command that takes our options.
    """
    shutil.copytree(EXAMPLES / "mysvc", tmp_path / "source")
    target = tmp_path / "site"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "--target",
            str(target),
            str(tmp_path / "source"),
        ],
        check=True,
    )
    lines = [
        line
        for file in ("mysvc/tap.py", "twisted/plugins/mysvc_plugin.py")
        for line in (tmp_path / "source" / file).read_text().splitlines()
        if line.strip()
    ]
    assert len(lines) <= 12
    running = processes.start(
        [
            BIN / "twistd",
            "-n",
            "--pidfile=",
            "mysvc",
            "--listen=tcp:127.0.0.1:0",
            "--workers=1",
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": str(target)},
    )
    assert answered(running) == b"hello from mysvc\n"
    stops(running)


def portInUse() -> tuple[socket.socket, int]:
    taken = socket.create_server(("127.0.0.1", 0))
    return taken, taken.getsockname()[1]


BAD = [
    (["nosuchmodule:app"], "there is no module 'nosuchmodule'"),
    (["svctree.demo:aplication"], "the nearest is 'application'"),
    (["failing:application"], "its import raised ZeroDivisionError"),
    (["--workrs=2"], "unknown flag --workrs; did you mean --workers?"),
    (["--listen=tcp:nowhere:port:x"], r"host:port"),
    (["--workers=some"], "--workers"),
]


@pytest.mark.parametrize(("arguments", "words"), BAD, ids=lambda a: str(a)[:30])
def test_badInput(
    processes: Processes, tmp_path: Path, arguments: list[str], words: str
) -> None:
    """
    One readable line, a status that is not 0, and nothing left behind.
    """
    (tmp_path / "failing.py").write_text("1 / 0\n")
    running = twistd(
        processes,
        tmp_path,
        "svctree",
        *[] if "--listen" in arguments[0] else ["--listen=tcp:127.0.0.1:0"],
        "--listen=unix:left.sock",
        *arguments,
    )
    assert running.wait() not in (0, -signal.SIGKILL)
    lines = [line for line in running.output.splitlines() if words in line]
    assert lines, running.output
    assert inSession(running.pid) == []
    assert not (tmp_path / "left.sock").exists()
    traceback = "1 / 0" in running.output
    assert traceback == (arguments == ["failing:application"])
    assert running.output.count("Traceback") == int(traceback), running.output


def test_portInUse(processes: Processes, tmp_path: Path) -> None:
    """
    The line names the address and the process that holds it.
    """
    taken, port = portInUse()
    with taken:
        running = twistd(
            processes,
            tmp_path,
            *("svctree", "--listen=unix:left.sock"),
            f"--listen=tcp:127.0.0.1:{port}",
        )
        assert running.wait() not in (0, -signal.SIGKILL)
    (line,) = (one for one in running.output.splitlines() if f":{port}" in one)
    assert f"127.0.0.1:{port}" in line
    assert str(os.getpid()) in line
    assert "Traceback" not in running.output
    assert inSession(running.pid) == []
    assert not (tmp_path / "left.sock").exists()


@pytest.mark.skipif(bool(whyNotNobody()), reason=whyNotNobody())
def test_privilegedPort(processes: Processes, tmp_path: Path) -> None:
    """
    Without the right to bind a low port one is told what to do.
    """
    limit = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if limit == 0:
        pytest.skip("here everybody may bind every port")
    for folder in [tmp_path, *tmp_path.parents][:-2]:
        folder.chmod(folder.stat().st_mode | 0o055)
    running = processes.start(
        [BIN / "twistd", "-n", "--pidfile=", "svctree", "--listen=tcp:127.0.0.1:80"],
        cwd=tmp_path,
        user=65534,
    )
    assert running.wait() not in (0, -signal.SIGKILL)
    assert "Traceback" not in running.output
    (line,) = (one for one in running.output.splitlines() if "127.0.0.1:80" in one)
    assert "root" in line or "CAP_NET_BIND_SERVICE" in line


@pytest.mark.parametrize("word, ends", [("", True), ("nohup", False)])
def test_terminalGoesAway(
    processes: Processes, tmp_path: Path, word: str, ends: bool
) -> None:
    """
    What runs on a terminal stops with it, in order; under C{nohup} it serves on.
    """
    log = tmp_path / "log"
    command = (
        f"exec {word} {BIN / 'twistd'} -n --pidfile= svctree --workers 1 "
        f"--listen tcp:127.0.0.1:0 >{log} 2>&1"
    )
    shown = OnTerminal(["sh", "-c", command], os.environ)
    try:
        found = waitUntil(
            lambda: log.exists() and re.search(SERVES, log.read_text()), "the pool"
        )
        pid = shown.process.pid
        shown.hangUp()
        if ends:
            waitUntil(lambda: not alive(pid), "the end")
            assert "Server Shut Down" in log.read_text()
        else:
            waitUntil(lambda: "generation 2 serves" in log.read_text(), "the reload")
            with contextlib.closing(Client(int(found[1]))) as client:
                assert client.get().status == 200
            os.kill(pid, signal.SIGTERM)
            waitUntil(lambda: not alive(pid), "the end")
    finally:
        shown.close()
