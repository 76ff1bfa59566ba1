"""
Reloads under load: what is lost, what is stale, and what it costs in latency.

64 keep-alive clients and 16 with a connection for each request ask on and on while an
application whose import takes a second of a processor is reloaded twenty times. After
each reload no answer may come from an older generation.

Each reload is followed by as much time without one, and both have the same number of
answers, so that neighbours on the machine disturb both alike and the worst of the one
can be compared with the worst of the other.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.crowd import Crowd, Taken
from tests.support.master import startMaster
from tests.support.processes import Processes

_SITE = """
import time
while time.process_time() < {wait}:
    sum(range(1000))
BODY = b"{version}"

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(BODY)))])
    return [BODY]
"""

_KEEP_ALIVE, _CLOSING, _PAUSE = 64, 16, 0.05


def main(arguments: list[str]) -> int:
    """
    @return: 0 when nothing was lost and nothing was stale.
    """
    parser = argparse.ArgumentParser(prog="benchmarks reload", description=__doc__)
    parser.add_argument("reloads", type=int, nargs="?", default=20)
    parser.add_argument("seconds", type=float, nargs="?", default=1.0, help="of import")
    options = parser.parse_args(arguments)
    reloads, wait = options.reloads, options.seconds
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
    done: list[tuple[float, float]] = []
    with Crowd(port, _KEEP_ALIVE, _CLOSING, _PAUSE) as crowd:
        time.sleep(1.0)
        for version in range(1, reloads + 1):
            write(version)
            begun = time.monotonic()
            answer = master.call("reload", 60.0)
            assert "ok" in answer, answer
            done.append((begun, time.monotonic()))
            time.sleep(done[-1][1] - begun)
    stale = sum(
        1
        for answer in crowd.answers
        for version, (_, ended) in enumerate(done, 1)
        if answer.begun > ended and int(answer.body) < version
    )
    print(f"{len(crowd.answers)} answers, {len(crowd.lost)} lost, {stale} stale")
    for line in sorted(set(crowd.lost))[:5]:
        print(f"  {line}")
    lengths = [ended - begun for begun, ended in done]
    print(f"a reload took {min(lengths):.2f} to {max(lengths):.2f} s")
    _compare(crowd.answers, done)
    return 1 if crowd.lost or stale else 0


def _compare(answers: Sequence[Taken], done: Sequence[tuple[float, float]]) -> None:
    during = [_between(answers, begun, ended) for begun, ended in done]
    steady = [_between(answers, ended, 2 * ended - begun) for begun, ended in done]
    for one, other in zip(during, steady, strict=True):
        # The worst of many is worse than the worst of few.
        more, count = max(one, other, key=len), min(len(one), len(other))
        more[:] = random.sample(more, count)
    for title, spans in (("steady", steady), ("during reloads", during)):
        took = sorted(seconds for span in spans for seconds in span)
        worsts = ", ".join(
            f"{name} {1e3 * took[int(len(took) * part)]:.1f} ms"
            for name, part in (("median", 0.5), ("p99", 0.99), ("p99.9", 0.999))
        )
        typical = statistics.median(map(max, spans))
        print(
            f"latency {title}: {len(took)} answers, {worsts}, "
            f"worst {1e3 * took[-1]:.1f} ms, "
            f"median of the worst of each {1e3 * typical:.1f} ms"
        )
    worst = max(map(max, during)) / max(map(max, steady))
    typical = statistics.median(map(max, during)) / statistics.median(map(max, steady))
    print(f"ratio of the worst: {worst:.1f}; of the median worst: {typical:.1f}")


def _between(answers: Sequence[Taken], begin: float, end: float) -> list[float]:
    return [answer.seconds for answer in answers if begin <= answer.begun < end]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
