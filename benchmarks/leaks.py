"""
What many reloads leave behind: descriptors, processes, threads, timers and memory of
the master, and what stands in C{/dev/shm}.

Every tenth reload is one of broken code, and in the place of every tenth the zygote is
killed; some clients ask on and on. After ten of them everything has been done once, and
from then on nothing may grow.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.support.crowd import Crowd
from tests.support.master import Driven, startMaster
from tests.support.processes import Processes, alive, childrenOf, inSession, waitUntil

_SITE = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""

# Memory that an allocator may keep for later use.
_SLACK = 1 << 20


def main(arguments: list[str]) -> int:
    """
    @return: 0 when nothing has grown.
    """
    parser = argparse.ArgumentParser(prog="benchmarks leaks", description=__doc__)
    parser.add_argument("reloads", type=int, nargs="?", default=50, help="10 or more")
    reloads = max(10, parser.parse_args(arguments).reloads)
    processes = Processes(watchdog=reloads * 20 + 60)
    with tempfile.TemporaryDirectory() as name:
        try:
            return _measure(processes, Path(name), reloads)
        finally:
            list(processes.close())


def _measure(processes: Processes, folder: Path, reloads: int) -> int:
    site = folder / "leaksite.py"
    site.write_text(_SITE)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    master, port = startMaster(
        processes, "leaksite:application", folder, workers=2, path=[str(folder)]
    )
    found: list[dict[str, int]] = []
    with Crowd(port, keepAlive=8, closing=2, pause=0.05) as crowd:
        for number in range(1, reloads + 1):
            if number % 10 == 5:
                site.write_text("broken(")
                assert "error" in master.call("reload")
                site.write_text(_SITE)
            elif number % 10 == 9:
                _killZygote(master)
            else:
                assert "ok" in master.call("reload")
            if number % 10 == 0:
                found.append(_settled(master))
                print(f"after {number:3}: {_line(found[-1])}", flush=True)
    print(f"{len(crowd.answers)} answers, {len(crowd.lost)} lost")
    first, last = found[0], found[-1]
    # What stands in /dev/shm is everybody's, and only shown.
    grown = [
        name
        for name in first
        if name != "shm"
        and last[name] > first[name] + (_SLACK if name == "memory" else 0)
    ]
    print(f"grown: {', '.join(grown) or 'nothing'}")
    return 1 if grown or crowd.lost else 0


def _killZygote(master: Driven) -> None:
    (zygote,) = childrenOf(master.pid)
    generation = master.describe()["generation"]
    os.kill(zygote, signal.SIGKILL)
    waitUntil(
        lambda: not alive(zygote) and master.describe()["generation"] > generation,
        "another generation",
    )


def _settled(master: Driven) -> dict[str, int]:
    """
    @return: what there is, when the old generations are gone.
    """
    waitUntil(lambda: len(inSession(master.pid)) == 4, "one generation")
    # The limits of what is gone are being cancelled.
    time.sleep(0.2)
    proc = Path(f"/proc/{master.pid}")
    return {
        "processes": len(inSession(master.pid)),
        "threads": len(os.listdir(proc / "task")),
        "descriptors": len(os.listdir(proc / "fd")),
        "timers": len(master.call("timers")["ok"]),
        "shm": len(os.listdir("/dev/shm")),
        "memory": _privateMemory(proc),
    }


def _privateMemory(proc: Path) -> int:
    lines = (proc / "smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(x.split()[1]) for x in lines if x.startswith("Private_"))


def _line(found: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in found.items())


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
