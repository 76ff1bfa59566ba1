from __future__ import annotations

import os
from pathlib import Path

import pytest

from svctree.settings import SettingsError, usableProcessors, workerRange
from svctree.settings.machine import quota


def write(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_noGroups(tmp_path: Path) -> None:
    """
    Without control groups there is no quota, and the affinity mask decides.
    """
    assert quota(tmp_path) is None
    assert usableProcessors(tmp_path) == len(os.sched_getaffinity(0))


def test_version2(tmp_path: Path) -> None:
    """
    The tightest limit on the way up counts; C{max} is none.
    """
    write(tmp_path, "proc/self/cgroup", "0::/system.slice/app.service\n")
    write(tmp_path, "sys/fs/cgroup/system.slice/cpu.max", "150000 100000\n")
    write(tmp_path, "sys/fs/cgroup/system.slice/app.service/cpu.max", "max 100000\n")
    assert quota(tmp_path) == 1.5
    write(tmp_path, "sys/fs/cgroup/system.slice/app.service/cpu.max", "50000 100000\n")
    assert quota(tmp_path) == 0.5
    assert usableProcessors(tmp_path) == 1


def test_version1(tmp_path: Path) -> None:
    """
    The older files; -1 is no limit; a host's path is not visible in a container.
    """
    write(tmp_path, "proc/self/cgroup", "4:cpu,cpuacct:/docker/abc\n3:memory:/x\n")
    write(tmp_path, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
    write(tmp_path, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    assert quota(tmp_path) is None
    write(tmp_path, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n")
    assert quota(tmp_path) == 2.0


def test_workerRange() -> None:
    """
    What is set, else WEB_CONCURRENCY, else the processors.
    """
    automatic = usableProcessors()
    assert workerRange((2, 3), {"WEB_CONCURRENCY": "9"}) == (2, 3)
    assert workerRange(None, {"WEB_CONCURRENCY": "9"}) == (9, 9)
    assert workerRange(None, {"WEB_CONCURRENCY": ""}) == (automatic, automatic)
    assert workerRange(None, {}) == (automatic, automatic)
    with pytest.raises(SettingsError, match="WEB_CONCURRENCY: got 'many'"):
        workerRange(None, {"WEB_CONCURRENCY": "many"})
