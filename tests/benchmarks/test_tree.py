"""
The benchmark of the containers, and the bars that do not depend on the machine.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks import __main__ as dispatcher
from benchmarks import tree


def test_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """
    The benchmark prints each figure for both sides, with the ratio.
    """
    tree.main(["--children", "400", "--rounds", "1", "--depths", "100"])
    printed = capsys.readouterr().out
    for what in (
        "add",
        "start",
        "stop",
        "lookup",
        "remove oldest",
        "remove newest",
        "remove random",
        "bytes per child",
        "deepest chain",
    ):
        assert f"\n  {what} " in printed


def test_bytesPerChild() -> None:
    """
    A child costs its container at most 450 bytes.
    """
    (_, ours) = tree.SIDES
    assert tree.bytesPerChild(ours, 5_000) <= tree.BYTES


def test_depth() -> None:
    """
    A chain of at least 995 containers starts and stops.
    """
    (_, ours) = tree.SIDES
    assert tree.depthElsewhere(ours, [tree.CHAIN]) >= tree.CHAIN


def test_judge() -> None:
    """
    A missed bar is named with its figure.
    """
    (twisted, ours) = tree.SIDES
    tables = [tree.Table(10), tree.Table(100)]
    for table in tables:
        for what in (
            *("add", "start", "stop", "start again", "stop again", "lookup"),
            *("remove oldest", "remove newest", "remove random", "bytes per child"),
        ):
            table.note(what, twisted, 100.0)
            table.note(what, ours, 100.0)
    assert tree.judge(tables, 995) == []
    tables[0].figures["start"]["svctree"] = 150.0
    tables[1].figures["remove random"]["svctree"] = 500.0
    tables[1].figures["bytes per child"]["svctree"] = 451.0
    assert tree.judge(tables, 400) == [
        "start at 10: 1.50 times Twisted's",
        "451 bytes a child, more than 450",
        "remove random: 5.0 times slower with 100 children than with 10",
        "a chain of 400 containers, fewer than 995",
    ]


def test_dispatcher(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Without a name the dispatcher lists the benchmarks and exits with status 2.
    """
    assert "tree" in dispatcher.names()
    assert dispatcher.main(["nothing-like-it"]) == 2
    assert "expected the name of a benchmark: " in capsys.readouterr().err
    done = subprocess.run([sys.executable, "-m", "benchmarks"], capture_output=True)
    assert done.returncode == 2
