"""
How many workers suit this machine: the processors that this process may use, by its
affinity mask and by the quota of its control group.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from svctree.settings.kinds import WorkerRange
from svctree.settings.problems import BadValue, Problem, SettingsError
from svctree.settings.schema import CONCURRENCY

__all__ = ["quota", "usableProcessors", "workerRange"]


def usableProcessors(root: Path = Path("/")) -> int:
    """
    @param root: where C{proc} and C{sys} are, for tests.
    @return: at least 1; a quota of one and a half processors counts as 2.
    """
    try:
        count = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # not on every Unix
        count = os.cpu_count() or 1
    limit = quota(root)
    return count if limit is None else max(1, min(count, math.ceil(limit)))


def quota(root: Path = Path("/")) -> float | None:
    """
    @return: the processors' worth of time that the control groups (version 2 or 1)
        leave to this process, or L{None} when they set no limit.
    """
    limits = list(_limits(root))
    return min(limits) if limits else None


def _limits(root: Path) -> Iterator[float]:
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            for folder in _upwards(root / "sys/fs/cgroup", path):
                yield from _limit(folder / "cpu.max")
        elif "cpu" in controllers.split(","):
            for name in (controllers, "cpu"):
                for folder in _upwards(root / "sys/fs/cgroup" / name, path):
                    yield from _limit(
                        folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us"
                    )


def _upwards(top: Path, path: str) -> Iterator[Path]:
    # A limit anywhere above counts. Inside a container the path may be the host's,
    # which is not mounted here; the top is then the container's own group.
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for depth in range(len(parts), -1, -1):
        yield top.joinpath(*parts[:depth])


def _limit(*files: Path) -> Iterator[float]:
    try:
        words = " ".join(file.read_text() for file in files).split()
        allowed, period = int(words[0]), int(words[1])
    except (OSError, ValueError, IndexError):
        return  # no such group, or "max": no limit here
    if allowed > 0 and period > 0:
        yield allowed / period


def workerRange(
    workers: tuple[int, int] | None, environ: Mapping[str, str] | None = None
) -> tuple[int, int]:
    """
    @param workers: the option C{workers}; L{None} for automatic.
    @return: the least and the most processes.
    @raise SettingsError: WEB_CONCURRENCY makes no sense.
    """
    if workers is not None:
        return workers
    text = (os.environ if environ is None else environ).get(CONCURRENCY, "").strip()
    if text:
        try:
            return WorkerRange().fromText(text)
        except BadValue as error:
            raise SettingsError([Problem(CONCURRENCY, str(error))]) from None
    count = usableProcessors()
    return count, count
