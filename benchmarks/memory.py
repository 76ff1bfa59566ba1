"""
Memory that each further worker of a preloaded Django project costs, beside gunicorn's
with C{--preload}, in one run.

Unique memory is what C{/proc/PID/smaps_rollup} calls private (proc(5)): what would
come free if just this worker ended.
"""

from __future__ import annotations

import http.client
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks._peers import environment, freePort
from tests.support.processes import childrenOf
from tests.support.sites import makeDjango

_WORKERS = 4
_REQUESTS = 400
_APPLICATION = "mysite.wsgi:application"


def uniqueMemory(pid: int) -> int:
    """
    @return: bytes that only this process has mapped.
    """
    total = 0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_"):
            total += int(line.split()[1]) * 1024
    return total


def measure(
    command: list[str],
    port: int,
    folder: Path,
    workersOf: Callable[[int], list[int]],
) -> list[int]:
    """
    @param workersOf: finds the workers from the pid of the first process.
    @return: the unique memory of each worker, in bytes, after all have worked.
    """
    packages = sysconfig.get_path("purelib")
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": packages},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while len(workersOf(process.pid)) < _WORKERS or not _answers(port):
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"{command[0]} does not serve")
            time.sleep(0.1)
        for _ in range(_REQUESTS):
            assert _answers(port)
        return [uniqueMemory(pid) for pid in workersOf(process.pid)]
    finally:
        process.terminate()
        process.wait(30)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/form/", headers={"Connection": "close"})
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _grandchildren(pid: int) -> list[int]:
    return [one for child in childrenOf(pid) for one in childrenOf(child)]


def main(arguments: list[str]) -> int:
    """
    @return: 0 when a worker of ours costs no more than one of gunicorn's.
    """
    ports = [freePort(), freePort()]
    ours = [
        str(Path(sys.executable).parent / "twistd"),
        *("-n", "--pidfile=", "svctree", "--listen", f"tcp:127.0.0.1:{ports[0]}"),
        *("--workers", str(_WORKERS), _APPLICATION),
    ]
    theirs = [
        str(environment() / "bin" / "gunicorn"),
        *("--preload", "-w", str(_WORKERS), "-b", f"127.0.0.1:{ports[1]}"),
        _APPLICATION,
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        makeDjango(folder)
        mine = measure(ours, ports[0], folder, _grandchildren)
        if not Path(theirs[0]).exists():
            print(f"svctree: {_show(mine)}; gunicorn is missing")
            return 0
        other = measure(theirs, ports[1], folder, childrenOf)
    ratio = statistics.median(mine) / statistics.median(other)
    print(f"unique memory of a worker, {_WORKERS} workers, preloaded Django project")
    print(f"  svctree             {_show(mine)}")
    print(f"  gunicorn --preload  {_show(other)}")
    print(f"  ratio of medians    {ratio:.2f}")
    return 0 if ratio <= 1.0 else 1


def _show(sizes: list[int]) -> str:
    each = " ".join(f"{size / 1e6:.1f}" for size in sizes)
    return f"median {statistics.median(sizes) / 1e6:.1f} MB (each: {each})"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
