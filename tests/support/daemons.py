"""
A daemon under the real command, for tests: a folder with its file and its
application, and the commands run upon it.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from svctree.process import PidFile
from tests.support.processes import alive, childrenOf, inSession, waitUntil

APPLICATION = """
import os, sys, time

def note(what):
    with open(os.environ["NOTES"], "a") as file:
        file.write(f"{what} {os.getpid()} {os.getresuid()} {os.getresgid()} "
                   f"{sorted(os.getgroups())}\\n")

if "NOTES" in os.environ:
    note("import")

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/log":
        line = environ["QUERY_STRING"]
        environ["wsgi.errors"].write(line + "\\n")
    elif path == "/sleep":
        time.sleep(float(environ["QUERY_STRING"]))
    body = {
        "/pid": str(os.getpid()),
        "/cwd": os.getcwd(),
        "/home": os.environ.get("HOME", ""),
        "/version": "VERSION",
    }.get(path, "hello").encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
"""


class Daemon:
    """
    @ivar folder: has C{app.ini} and C{site.py}, and C{run/} for what the daemon
        makes.
    @ivar socket: the unix socket on which it serves.
    """

    def __init__(self, folder: Path, python: Path | None = None) -> None:
        self.folder = folder
        self.python = Path(sys.executable) if python is None else python
        self.run = folder / "run"
        self.run.mkdir(exist_ok=True)
        self.socket = self.run / "app.sock"
        self.pidfile = self.run / "app.pid"
        self.errorlog = self.run / "error.log"
        self.control = self.run / "app.ctl"
        self.notes = folder / "notes"
        self.ini = folder / "app.ini"
        self.masters: set[int] = set()
        self.writeApplication(APPLICATION)
        self.configure()

    def writeApplication(self, source: str) -> None:
        (self.folder / "site_app.py").write_text(source)

    def configure(self, **options: object) -> None:
        """
        Write the file; C{None} leaves an option out, C{_} in a name is a dash.
        """
        values: dict[str, object] = {
            "application": "site_app:application",
            "protocol": "http",
            "detach": "yes",
            "pidfile": "run/app.pid",
            "errorlog": "run/error.log",
            "listen": "unix:run/app.sock(666)",
            "workermodel": "prefork",
            "workers": 2,
            "pythonpath": ".",
            **{name.replace("_", "-"): value for name, value in options.items()},
        }
        lines = [f"{k} = {v}" for k, v in values.items() if v is not None]
        self.ini.write_text("[svctree]\n" + "\n".join(lines) + "\n")

    def argv(self, *words: object) -> list[str]:
        command = [self.python, "-m", "svctree", "-c", self.ini, *words]
        return [
            os.fspath(one) if isinstance(one, Path) else str(one) for one in command
        ]

    def command(
        self,
        *words: object,
        env: dict[str, str] | None = None,
        passFds: Sequence[int] = (),
        timeout: float = 40.0,
        wrapper: Sequence[str] = (),
    ) -> subprocess.CompletedProcess[str]:
        """
        Run C{svctree -c FILE words}.
        """
        done = subprocess.run(
            [*wrapper, *self.argv(*words)],
            cwd="/",
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            pass_fds=passFds,
            stdin=subprocess.DEVNULL,
        )
        self.master()
        return done

    def start(self, **keywords: object) -> int:
        """
        Start it, and insist.

        @return: the pid of the master.
        """
        done = self.command("start", **keywords)  # type: ignore[arg-type]
        assert done.returncode == 0, done.stderr + self.log()
        return self.master()

    def master(self) -> int:
        """
        @return: the pid of whoever holds the pidfile, or 0.
        """
        with contextlib.suppress(Exception):
            found = PidFile(self.pidfile).holder()
            if found is not None:
                with found:
                    self.masters.add(found.pid)
                    return found.pid
        return 0

    def processes(self) -> list[int]:
        """
        @return: master, zygotes, workers.
        """
        found = [self.master()]
        for pid in found:
            found += childrenOf(pid) if pid else []
        return [pid for pid in found if pid]

    def zygotes(self) -> list[int]:
        return childrenOf(self.master())

    def workers(self) -> list[int]:
        return [worker for zygote in self.zygotes() for worker in childrenOf(zygote)]

    def get(self, target: str = "/", timeout: float = 10.0) -> str:
        """
        @return: the body of an answer.
        """
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(timeout)
        try:
            connection.sock.connect(os.fspath(self.socket))
            connection.request("GET", target)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def log(self) -> str:
        with contextlib.suppress(OSError):
            return self.errorlog.read_text()
        return ""

    def waitForLog(self, text: str) -> None:
        waitUntil(lambda: text in self.log(), f"{text!r} in the log", 20.0)

    def left(self) -> list[str]:
        """
        @return: what is in C{run/}.
        """
        return sorted(os.listdir(self.run))

    def kill(self) -> None:
        """
        End every process, for the end of a test.
        """
        self.master()
        sessions = set()
        for pid in self.masters:
            with contextlib.suppress(OSError):
                sessions.add(os.getsid(pid))
        found = set(self.processes()) | {
            pid for session in sessions for pid in inSession(session)
        }
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        waitUntil(lambda: not any(map(alive, found)), "the end of the daemon")
