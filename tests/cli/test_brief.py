"""
L{svctree.command.brief}: C{svctree run} for the one request on standard input.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.processes import BIN, waitUntil

APP = """\
import os, sys, time

def application(environ, start_response):
    print("printed")
    body = environ["wsgi.input"].read(100)
    while environ["QUERY_STRING"] == "wait" and not os.path.exists("go"):
        open("waiting", "w").close()
        time.sleep(0.01)
    heavy = {"twisted", "zope.interface", "asyncio"} & set(sys.modules)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{sorted(heavy)} {len(body)} {os.getcwd()} {os.umask(0)}".encode()]
"""

FILE = """\
#!{svctree} run -c
[svctree]
application = app:application
protocol = fastcgi
listen = stdin
detach = no
workermodel = once
"""

FLAGS = ["--workermodel", "once", "--basedir", "/"]

CGI = {
    "GATEWAY_INTERFACE": "CGI/1.1",
    "REQUEST_METHOD": "POST",
    "CONTENT_LENGTH": "9",
    "SCRIPT_NAME": "/app.cgi",
}


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """
    A script beside its application.
    """
    (tmp_path / "app.py").write_text(APP)
    path = tmp_path / "app.cgi"
    # The kernel allows 255 bytes in the first line; this one is asked for by name.
    path.write_text(FILE.format(svctree="/usr/bin/env -S svctree"))
    return path


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "NOTIFY_SOCKET" and not name.startswith("SVCTREE_")
    }
    return {**kept, **variables}


def cgi(
    script: Path, *lines: str, body: bytes = b"some body", **variables: str
) -> subprocess.CompletedProcess[bytes]:
    """
    @param lines: more of the configuration.
    """
    with script.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)
    return subprocess.run(
        [BIN / "svctree", "run", "-c", str(script)],
        cwd="/",
        env=environment({**CGI, **variables}),
        input=body,
        capture_output=True,
        timeout=60.0,
    )


def test_withoutTwisted(script: Path) -> None:
    """
    A CGI request is served without loading Twisted; standard output has the answer and
    nothing else; C{basedir} and C{umask} hold.
    """
    done = cgi(script, "basedir = .", "umask = 027")
    assert done.returncode == 0, done.stderr
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    assert head.startswith(b"Status: 200 OK\r\n")
    assert body == f"[] 9 {script.parent} {0o27}".encode()
    assert b"printed\n" in done.stderr


@pytest.mark.parametrize("kind", ["pipe", "file", "null", "socket"])
def test_flags(script: Path, kind: str) -> None:
    """
    The same from flags alone, whatever standard input is.
    """
    with contextlib.ExitStack() as stack:
        if kind == "socket":
            # As Apache's mod_cgid gives it.
            ours, stdin = socket.socketpair()
            stack.enter_context(ours)
            stack.enter_context(stdin)
            ours.sendall(b"some body")
        elif kind == "pipe":
            read, write = os.pipe()
            os.write(write, b"some body")
            os.close(write)
            stdin = stack.enter_context(open(read, "rb"))
        else:
            (script.parent / "body").write_bytes(b"some body")
            name = os.devnull if kind == "null" else script.parent / "body"
            stdin = stack.enter_context(open(name, "rb"))
        size = "0" if kind == "null" else "9"
        done = subprocess.run(
            [BIN / "svctree", "run", "app:application", "--protocol", "cgi", *FLAGS],
            cwd=script.parent,
            env=environment({**CGI, "CONTENT_LENGTH": size}),
            stdin=stdin,
            capture_output=True,
            timeout=60.0,
        )
    assert done.returncode == 0, done.stderr
    assert f"\r\n\r\n[] {size} / ".encode() in done.stdout


def test_connection(script: Path) -> None:
    """
    A connection on standard input (inetd) is served without Twisted, too, and has the
    answer and nothing else, even as standard output and standard error.
    """
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = subprocess.Popen(
                [BIN / "svctree", "run", "--listen", "stdin", "app:application"],
                cwd=script.parent,
                env=environment({}),
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
            )
        ours.settimeout(60.0)
        ours.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while data := ours.recv(65536):
            answer += data
    assert process.wait(60.0) == 0
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\n\r\n[] 0 " in answer
    assert b"printed" not in answer


def test_log(script: Path) -> None:
    """
    The error log has the lines that a daemon's has, as the level asks for it.
    """
    done = cgi(script, "errorlog = error.log")
    assert (done.returncode, done.stderr) == (0, b"printed\n")
    log = (script.parent / "error.log").read_text()
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}"
    assert re.search(rf"^{stamp} ready, pid \d+$", log, re.MULTILINE)
    assert ("running as root: set 'user'" in log) == (os.geteuid() == 0)
    (script.parent / "error.log").unlink()
    cgi(script, "loglevel = error")
    assert (script.parent / "error.log").read_text() == ""


def test_noApplication(script: Path) -> None:
    """
    An application that cannot be imported has its status, its line and its traceback,
    and the error log tells it, too.
    """
    (script.parent / "app.py").write_text("1 / 0\n")
    done = cgi(script, "errorlog = error.log")
    assert (done.returncode, done.stdout) == (4, b"")
    lines = done.stderr.decode().splitlines()
    message = "application 'app:application': its import raised ZeroDivisionError"
    assert lines[0].startswith(f"svctree: {message}")
    assert lines[1].startswith("Traceback")
    log = (script.parent / "error.log").read_text()
    assert f"the start failed: {message}" in log


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("basedir = nowhere", 1, "basedir: cannot enter "),
        ("errorlog = no/where", 1, "errorlog "),
        ("user = nobody-at-all", 78, "there is no user 'nobody-at-all'"),
        ("timeout = soon", 78, "timeout: got 'soon'"),
    ],
)
def test_problems(script: Path, line: str, status: int, message: str) -> None:
    """
    What is wrong is told in one line, and by the exit status.
    """
    done = cgi(script, line)
    assert (done.returncode, done.stdout) == (status, b"")
    (told,) = done.stderr.decode().splitlines()
    assert told.startswith("svctree: ")
    assert message in told


def test_noRequest(script: Path) -> None:
    """
    Started by hand, such a process says what is missing.
    """
    done = cgi(script, "loglevel = error", REQUEST_METHOD="GET")
    assert done.returncode == 0
    variables = environment({})
    variables.pop("REQUEST_METHOD", None)
    done = subprocess.run(
        [BIN / "svctree", "run", "-c", str(script)],
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60.0,
    )
    assert done.returncode == 1
    (told,) = done.stderr.decode().splitlines()
    assert told.startswith("svctree: standard input is no socket and there is no CGI")


def test_term(script: Path) -> None:
    """
    A request in hand is answered before TERM ends the process.
    """
    with script.open("a") as file:
        file.write("basedir = .\n")
    process = subprocess.Popen(
        [BIN / "svctree", "run", "-c", str(script)],
        env=environment({**CGI, "QUERY_STRING": "wait", "CONTENT_LENGTH": "0"}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    waitUntil((script.parent / "waiting").exists, "the request", 30.0)
    process.send_signal(signal.SIGTERM)
    (script.parent / "go").touch()
    output, _ = process.communicate(timeout=30.0)
    assert process.returncode == 0
    assert output.startswith(b"Status: 200 OK\r\n")


def test_withPidfile(script: Path) -> None:
    """
    Whoever wants a pidfile wants a daemon, and gets a whole one for one request.
    """
    done = cgi(script, "pidfile = app.pid", "loglevel = error")
    assert done.returncode == 0, done.stderr
    assert b"\r\n\r\n['asyncio', 'twisted', 'zope.interface'] 9 " in done.stdout
    assert not (script.parent / "app.pid").exists()
