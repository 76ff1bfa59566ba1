from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ordinary import NAME, pythonFor
from tests.support.processes import alive, waitUntil

FILE = """\
[svctree]
application = app:application
protocol = http
listen = 127.0.0.1:0 app.sock
workermodel = prefork
workers = 2
detach = yes
pidfile = app.pid
errorlog = error.log
"""

APP = """\
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [{answer!r}]
"""


class Site:
    """
    A folder with an application and its configuration, and C{svctree} to run on it.

    @ivar folder: with C{app.py} and C{app.ini}.
    """

    def __init__(self, folder: Path, user: str | None = None) -> None:
        """
        @param user: who runs the commands; L{None} for whoever runs the tests.
        """
        self.folder = folder
        self._user = user
        # Daemons leave their parents; they are recognised by their environment.
        self._mark = uuid.uuid4().hex
        self.file()
        self.app(b"first\n")

    @property
    def pidfile(self) -> Path:
        return self.folder / "app.pid"

    @property
    def log(self) -> str:
        file = self.folder / "error.log"
        return file.read_text() if file.exists() else ""

    def file(self, more: str = "", **changes: str) -> None:
        """
        Write C{app.ini}.

        @param more: lines to add.
        @param changes: other values for its options.
        """
        text = FILE
        for name, value in changes.items():
            lines = text.splitlines(keepends=True)
            text = "".join(one for one in lines if not one.startswith(f"{name} ="))
            text += f"{name} = {value}\n"
        (self.folder / "app.ini").write_text(text + more)

    def app(self, answer: bytes = b"", code: str | None = None) -> None:
        """
        Write C{app.py}.

        @param answer: what the application answers with, or
        @param code: what is in the file.
        """
        text = APP.format(answer=answer) if code is None else code
        (self.folder / "app.py").write_text(text)

    def command(self, *arguments: str) -> list[str]:
        python = pythonFor(self._user)
        file = str(self.folder / "app.ini")
        return [python, "-m", "svctree", "-c", file, *arguments]

    @property
    def environment(self) -> dict[str, str]:
        # What compiled code is written would be stale within the same second.
        return {
            **os.environ,
            "TEST_MARK": self._mark,
            # setproctitle, where it is installed, would write over the mark.
            "SPT_NOENV": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def svctree(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """
        Run a command on C{app.ini} to its end, from somewhere else.
        """
        return subprocess.run(
            self.command(*arguments),
            cwd="/",
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=40,
            user=self._user,
        )

    def start(self, *arguments: str) -> int:
        """
        Start the daemon, which has to succeed.

        @return: its pid.
        """
        done = self.svctree("start", *arguments)
        assert done.returncode == 0, done.stderr + self.log
        return int(self.pidfile.read_text())

    def url(self) -> str:
        """
        @return: where the daemon that started last listens.
        """
        lines = [one for one in self.log.splitlines() if "http listens on http:" in one]
        return lines[-1].rpartition(" ")[2]

    def get(self, path: str = "") -> bytes:
        with urllib.request.urlopen(self.url() + path, timeout=20) as answer:
            found: bytes = answer.read()
        return found

    def processes(self) -> list[int]:
        """
        @return: every living process that a command has left.
        """
        found = []
        for name in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if name.isdigit() and alive(int(name)):
                    environ = Path(f"/proc/{name}/environ").read_bytes()
                    if f"TEST_MARK={self._mark}".encode() in environ:
                        found.append(int(name))
        return found

    def leftovers(self) -> list[str]:
        """
        @return: what stands in the folder beside the application and the logs.
        """
        kept = {"app.py", "app.ini", "error.log", "access.log"}
        return sorted(set(os.listdir(self.folder)) - kept)

    def assertNothingLeft(self) -> None:
        waitUntil(lambda: not self.processes(), "the processes to end")
        assert self.leftovers() == []

    def close(self) -> None:
        while left := self.processes():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            waitUntil(lambda: not any(map(alive, left)), "the killed to vanish")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """
    A site of whoever runs the tests.
    """
    made = Site(tmp_path)
    yield made
    made.close()


@pytest.fixture
def ordinarySite() -> Iterator[Site]:
    """
    A site of an ordinary user: C{nobody} when the tests run as root.
    """
    pythonFor(NAME if os.geteuid() == 0 else None)
    folder = Path(tempfile.mkdtemp(prefix="svctree-"))
    user = None
    if os.geteuid() == 0:
        entry = pwd.getpwnam(NAME)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        user = NAME
    made = Site(folder, user)
    yield made
    made.close()
    shutil.rmtree(folder)
