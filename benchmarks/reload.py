"""
Reloads under load: what is lost, what is stale, and what it costs in latency.

64 keep-alive clients and 16 with a connection for each request ask on and on while an
application that takes a second to import is reloaded twenty times. After each reload
no answer may come from an older generation.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.support.http import Load
from tests.support.master import startMaster
from tests.support.processes import Processes

_SITE = """
import time
time.sleep({wait})
BODY = b"{version}"

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(BODY)))])
    return [BODY]
"""

_KEEP_ALIVE, _CLOSING, _PAUSE = 64, 16, 0.05


def main(arguments: list[str]) -> int:
    """
    @param arguments: the number of reloads, and the seconds of the import.
    @return: 0 when nothing was lost and nothing was stale.
    """
    reloads = int(arguments[0]) if arguments else 20
    wait = float(arguments[1]) if len(arguments) > 1 else 1.0
    processes = Processes(watchdog=reloads * (wait + 10) + 60)
    with tempfile.TemporaryDirectory() as name:
        try:
            return _measure(processes, Path(name), reloads, wait)
        finally:
            list(processes.close())


def _measure(processes: Processes, folder: Path, reloads: int, wait: float) -> int:
    def write(version: int) -> None:
        new = folder / "reloadsite.new"
        new.write_text(_SITE.format(wait=wait, version=version))
        new.rename(folder / "reloadsite.py")

    write(0)
    master, port = startMaster(
        processes, "reloadsite:application", folder, workers=2, path=[str(folder)]
    )
    done: list[tuple[float, float, int]] = []
    load = Load(port, keepAlive=_KEEP_ALIVE, closing=_CLOSING, pause=_PAUSE)
    with load:
        time.sleep(1.0)
        quietFrom = time.monotonic()
        time.sleep(max(5.0, wait * 3))
        quietTo = time.monotonic()
        for version in range(1, reloads + 1):
            write(version)
            begun = time.monotonic()
            answer = master.call("reload", 60.0)
            assert "ok" in answer, answer
            done.append((begun, time.monotonic(), version))
    stale = sum(
        1
        for begun, _, answer in load.answers
        for _, ended, version in done
        if begun > ended and int(answer.body) < version
    )
    quiet = [took for begun, took, _ in load.answers if quietFrom < begun < quietTo]
    during = [took for begun, took, _ in load.answers if begun >= quietTo]
    lengths = [ended - begun for begun, ended, _ in done]
    print(f"{len(load.answers)} answers, {len(load.lost)} lost, {stale} stale")
    for line in sorted(set(load.lost))[:5]:
        print(f"  {line}")
    print(f"a reload took {min(lengths):.2f} to {max(lengths):.2f} s")
    for title, took in (("steady", quiet), ("during reloads", during)):
        took.sort()
        print(
            f"latency {title}: median {took[len(took) // 2] * 1e3:.1f} ms, "
            f"p99 {took[len(took) * 99 // 100] * 1e3:.1f} ms, "
            f"worst {took[-1] * 1e3:.1f} ms"
        )
    print(f"ratio of the worst: {during[-1] / quiet[-1]:.1f}")
    return 1 if load.lost or stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
