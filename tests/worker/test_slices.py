"""
The slices of time that workers ask for.
"""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from svctree.worker.clibrary import library
from tests.support.master import startMaster
from tests.support.processes import Processes, childrenOf

GETATTR = {"x86_64": 315, "aarch64": 275, "riscv64": 275}
SHORT = 300_000
OTHER, BATCH = 0, 3  # sched(7); not every system has their names
ROOT = Path(__file__).parents[2]

SHOW = (
    "from svctree.worker.slices import takeShortSlices; "
    "print(takeShortSlices(), flush=True); input()"
)


def _isKnown() -> bool:
    release = tuple(map(int, os.uname().release.partition("-")[0].split(".")[:2]))
    return (
        sys.platform == "linux" and os.uname().machine in GETATTR and release >= (6, 12)
    )


pytestmark = pytest.mark.skipif(
    not _isKnown(), reason="slices can be chosen since Linux 6.12, on some processors"
)


def attributesOf(pid: int) -> tuple[int, int, int]:
    """
    @return: policy, nice value, and nanoseconds of a slice of time.
    """
    data = ctypes.create_string_buffer(48)
    assert library.syscall(GETATTR[os.uname().machine], pid, data, 48, 0) == 0
    _, policy, _, nice, _, runtime, _, _ = struct.unpack("=IIQiIQQQ", data.raw)
    return policy, nice, runtime


def test_workersAsk(processes: Processes, tmp_path: Path) -> None:
    """
    Workers have short slices; zygotes, which import, have not.
    """
    master, _ = startMaster(
        processes, "tests.support.applications:hello", tmp_path, workers=2
    )
    (zygote,) = childrenOf(master.pid)
    workers = childrenOf(zygote)
    assert [attributesOf(pid)[2] for pid in workers] == [SHORT, SHORT]
    assert SHORT not in (attributesOf(zygote)[2], attributesOf(master.pid)[2])
    assert master.call("stop")


@pytest.mark.parametrize(
    ("before", "policy", "nice", "asked"),
    [
        ("pass", OTHER, 0, True),
        ("os.nice(7)", OTHER, 7, True),
        (
            "os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))",
            BATCH,
            0,
            False,
        ),
    ],
)
def test_nothingElseChanges(before: str, policy: int, nice: int, asked: bool) -> None:
    """
    A nice value stays as it is, and who has another policy is left alone.
    """
    with subprocess.Popen(
        [sys.executable, "-c", f"import os; {before}; {SHOW}"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == f"{asked}\n"
            found = attributesOf(process.pid)
        finally:
            process.kill()
    assert found[:2] == (policy, nice)
    assert (found[2] == SHORT) == asked
