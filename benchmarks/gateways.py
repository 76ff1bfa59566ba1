"""
Processor time for each request of a worker behind nginx, beside uWSGI speaking the same
protocol behind the same nginx, in one run.

C{python -m benchmarks gateways [PROTOCOL...] [--browser] [--rounds N] [--seconds S]}

Two loads: the same request again and again on 32 connections to nginx, as pollers and
health checks send it, and (C{--browser}) twelve fields with a target and a cookie that
change with each request.

One nginx has a port for each contestant. Both run all the time, pinned to the first
processor that this process may use, nginx and the client to the last; they take turns,
and what is printed are the medians of the rounds. Only the worker's own processor time
counts, as the kernel has it in nanoseconds (C{/proc/PID/schedstat}). Answers are
compared before anything is timed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks import _client as client
from benchmarks import _peers as peers

APPLICATION = "benchmarks._applications:hello"
PARAMETERS = ("fastcgi_params", "scgi_params", "uwsgi_params")


class Protocol(NamedTuple):
    """
    @ivar location: what nginx does, with C{SOCKET} where the address goes.
    @ivar option: of svctree.
    @ivar socket: the option of uWSGI that takes a socket of this protocol.
    @ivar upstream: nginx keeps connections.
    """

    location: str
    option: str
    socket: str
    upstream: bool = False


PROTOCOLS = {
    "scgi": Protocol("include scgi_params; scgi_pass SOCKET;", "scgi", "--scgi-socket"),
    "fastcgi": Protocol(
        "include fastcgi_params; fastcgi_pass SOCKET;", "fastcgi", "--fastcgi-socket"
    ),
    "fastcgi-kept": Protocol(
        "include fastcgi_params; fastcgi_pass SOCKET; fastcgi_keep_conn on;",
        "fastcgi",
        "--fastcgi-socket",
        True,
    ),
    "uwsgi": Protocol("include uwsgi_params; uwsgi_pass SOCKET;", "uwsgi", "--socket"),
}


class Worker:
    """
    A contestant that runs.

    @ivar pid: of the process that answers.
    """

    def __init__(self, argv: list[str], path: Path, processors: set[int]) -> None:
        self.path = path
        self._process = subprocess.Popen(
            argv,
            cwd=peers.ROOT,
            env={**os.environ, "PYTHONPATH": str(peers.ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, processors),
        )

    def findPid(self) -> None:
        """
        Find the last of the generations: master, zygote, worker.
        """
        self.pid = self._process.pid
        while True:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
            if not children.split():
                return
            self.pid = int(children.split()[0])

    def used(self) -> float:
        """
        @return: seconds of processor time so far.
        """
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[0]) / 1e9

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Nginx:
    """
    One nginx with a port for each contestant.
    """

    def __init__(
        self,
        folder: Path,
        protocol: Protocol,
        sockets: dict[int, Path],
        processors: set[int],
    ) -> None:
        for name in PARAMETERS:
            shutil.copy(f"/etc/nginx/{name}", folder / name)
        servers = []
        for port, path in sockets.items():
            address = f"unix:{path}"
            if protocol.upstream:
                servers.append(
                    f"upstream u{port} {{ server {address}; keepalive 32; }}"
                )
                address = f"u{port}"
            location = protocol.location.replace("SOCKET", address)
            servers.append(
                f"server {{ listen 127.0.0.1:{port}; keepalive_requests 100000000; "
                f"location / {{ {location} }} }}"
            )
        temporary = " ".join(
            f"{kind}_temp_path {folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        main = folder / "nginx.conf"
        main.write_text(
            ("user root;" if os.getuid() == 0 else "")
            + f"daemon off; worker_processes 1; pid {folder}/pid; error_log stderr;"
            f"events {{ worker_connections 1024; }} http {{ access_log off; {temporary}"
            + "\n".join(servers)
            + "}"
        )
        self._process = subprocess.Popen(
            ["nginx", "-p", str(folder), "-c", str(main), "-e", "stderr"],
            start_new_session=True,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: os.sched_setaffinity(0, processors),
        )

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(10)


def contestants(protocol: Protocol, folder: Path) -> dict[str, list[str]]:
    """
    @return: by name, how each is started; its socket is C{folder / name}.
    """
    found = {
        "svctree": [
            *(str(Path(sys.executable).parent / "twistd"), "-n", "--pidfile="),
            *("svctree", "--listen", f"unix:{folder}/svctree"),
            *("--protocol", protocol.option, "--workermodel", "single"),
            APPLICATION,
        ]
    }
    uwsgi = peers.environment() / "bin" / "uwsgi"
    if uwsgi.exists():
        found["uWSGI"] = [
            *(str(uwsgi), protocol.socket, f"{folder}/uWSGI", "--disable-logging"),
            *("-w", APPLICATION, "--listen", "100"),
        ]
    else:
        print(f"missing: uWSGI ({uwsgi})")
    return found


def compare(
    protocol: Protocol, rounds: int, seconds: float, browser: bool
) -> dict[str, float]:
    """
    Measure one protocol.

    @param browser: 12 fields, and a target and a cookie that change with each request.
    @return: microseconds of a worker's processor time for each request, by name.
    """
    processors = sorted(os.sched_getaffinity(0))
    mine, other = {processors[0]}, {processors[-1]}
    with tempfile.TemporaryDirectory(prefix="svctree-") as made:
        folder = Path(made)
        commands = contestants(protocol, folder)
        workers = {
            who: Worker(argv, folder / who, mine) for who, argv in commands.items()
        }
        ports = {peers.freePort(): worker.path for worker in workers.values()}
        nginx = Nginx(folder, protocol, ports, other)
        try:
            for worker in workers.values():
                _await(worker.path)
            answers = {port: _answer(port) for port in ports}
            assert len(set(answers.values())) == 1, answers
            for worker in workers.values():
                worker.findPid()
            spent: dict[str, list[float]] = {who: [] for who in workers}
            for _ in range(rounds):
                for (who, worker), port in zip(workers.items(), ports, strict=True):
                    before = worker.used()
                    _, count = client.load(port, seconds, other, browser)
                    spent[who].append((worker.used() - before) / count * 1e6)
        finally:
            nginx.stop()
            for worker in workers.values():
                worker.stop()
    return {who: statistics.median(times) for who, times in spent.items()}


def _await(path: Path) -> None:
    deadline = time.monotonic() + 15
    while not path.exists():
        if time.monotonic() > deadline:
            raise RuntimeError(f"nobody listens on {path}")
        time.sleep(0.05)


def _answer(port: int) -> tuple[bytes, bytes]:
    deadline = time.monotonic() + 15
    while True:
        try:
            found = client.answer(port, "/")
        except OSError:
            found = (b"", b"")
        if found[0] == b"200" or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def main(arguments: list[str]) -> int:
    """
    @return: 0; 1 when there is no nginx.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks gateways")
    parser.add_argument("protocols", nargs="*", default=[], metavar="PROTOCOL")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--browser", action="store_true")
    options = parser.parse_args(arguments)
    if shutil.which("nginx") is None:
        print("missing: nginx (Debian's package nginx)")
        return 1
    print("processor time for each request of a worker, microseconds")
    for name in options.protocols or PROTOCOLS:
        found = compare(
            PROTOCOLS[name], options.rounds, options.seconds, options.browser
        )
        line = "  ".join(f"{who} {time:6.1f}" for who, time in found.items())
        if "uWSGI" in found:
            line += f"  ratio {found['svctree'] / found['uWSGI']:.2f}"
        print(f"{name:13} {line}", flush=True)
    return 0
