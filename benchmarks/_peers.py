"""
The contestants: how each is started, and what their processes used.

The peers live in an environment of their own, so that this project's is not changed by
a benchmark: C{$SVCTREE_BENCH_PEERS}, or C{benchmarks/.peers}, which is made when it is
missing (C{python -m benchmarks http --install}).
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
APPLICATION = "benchmarks._applications:application"
PACKAGES = ("gunicorn", "waitress", "granian", "bjoern", "fastwsgi", "uWSGI")


class Contestant(NamedTuple):
    """
    @ivar command: with C{PORT} where the port goes; the first word is a program of
        the environment.
    @ivar mine: it runs in this environment, not in the peers'.
    """

    name: str
    command: list[str]
    mine: bool = False


def svctree(name: str, *options: str) -> Contestant:
    head = ["twistd", "-n", "--pidfile=", "svctree", "--listen", "tcp:127.0.0.1:PORT"]
    return Contestant(name, [*head, *options, APPLICATION], True)


def _granian(name: str, *options: str) -> Contestant:
    head = ["granian", "--interface", "wsgi", "--no-ws"]
    place = ["--host", "127.0.0.1", "--port", "PORT"]
    return Contestant(name, [*head, *place, *options, APPLICATION])


def _python(name: str, code: str) -> Contestant:
    head = "from benchmarks._applications import application as a; "
    return Contestant(name, ["python", "-c", head + code])


_GUNICORN = ["gunicorn", "-b", "127.0.0.1:PORT", "-w", "1"]
_UWSGI = ["uwsgi", "--http11-socket", "127.0.0.1:PORT", "--disable-logging"]
_WAITRESS = ["waitress-serve", "--listen", "127.0.0.1:PORT"]

ONE_THREAD = [
    svctree("svctree single", "--workermodel", "single"),
    Contestant("gunicorn sync", [*_GUNICORN, "-k", "sync", APPLICATION]),
    Contestant("waitress", [*_WAITRESS, APPLICATION]),
    _granian("granian 1 thread", "--blocking-threads", "1"),
    _granian("granian default"),
    Contestant("uWSGI", [*_UWSGI, "-w", APPLICATION]),
    _python("bjoern", "import bjoern; bjoern.run(a, '127.0.0.1', PORT)"),
    _python(
        "fastwsgi",
        "import fastwsgi; fastwsgi.run(wsgi_app=a, host='127.0.0.1', port=PORT)",
    ),
]

PREFORK = [
    svctree("svctree prefork 2", "--workermodel", "prefork", "--workers", "2"),
    svctree("svctree prefork 1", "--workermodel", "prefork", "--workers", "1"),
]

FOUR_THREADS = [
    svctree(
        "svctree threaded 4",
        *("--workermodel", "threaded", "--maxthreads", "4", "--maxspare", "4"),
    ),
    _granian("granian 4 threads", "--blocking-threads", "4"),
    Contestant(
        "gunicorn gthread 4",
        [*_GUNICORN, "-k", "gthread", "--threads", "4", APPLICATION],
    ),
    Contestant("waitress 4", [*_WAITRESS, "--threads=4", APPLICATION]),
]


def environment() -> Path:
    """
    @return: the peers' environment, which may not exist.
    """
    return Path(os.environ.get("SVCTREE_BENCH_PEERS", ROOT / "benchmarks" / ".peers"))


def install() -> None:
    """
    Make the peers' environment; what cannot be built is left out.
    """
    place = environment()
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    for package in PACKAGES:
        subprocess.run([place / "bin" / "pip", "install", "-q", package], check=False)


class Server:
    """
    A contestant that runs.
    """

    def __init__(self, contestant: Contestant, processors: set[int]) -> None:
        """
        @param processors: where all its processes are pinned.
        @raise FileNotFoundError: it is not installed.
        @raise RuntimeError: it did not answer.
        """
        self.name = contestant.name
        self.port = freePort()
        place = (
            Path(sys.executable).parent if contestant.mine else environment() / "bin"
        )
        words = [word.replace("PORT", str(self.port)) for word in contestant.command]
        program = place / words[0]
        if not program.exists():
            raise FileNotFoundError(program)
        self._log = open(os.devnull, "wb")  # noqa: SIM115 (open while it runs)
        self._process = subprocess.Popen(
            [str(program), *words[1:]],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, processors),
        )
        self._waitForPort()

    def _waitForPort(self) -> None:
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        self.stop()
        raise RuntimeError(f"{self.name} did not listen")

    def processorTime(self) -> float:
        """
        @return: seconds that all its processes have used so far.
        """
        ticks = 0
        for pid in self._processes():
            try:
                stat = Path(f"/proc/{pid}/stat").read_text()
            except OSError:
                continue
            fields = stat.rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def _processes(self) -> list[int]:
        found = [self._process.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                found += [int(child) for child in task.read_text().split()]
        return found

    def stop(self) -> None:
        processes = self._processes() if self._process.poll() is None else []
        self._process.send_signal(
            signal.SIGINT if "uWSGI" in self.name else signal.SIGTERM
        )
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            for pid in processes:
                os.kill(pid, signal.SIGKILL)
            self._process.wait(5)
        self._log.close()


def freePort() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
