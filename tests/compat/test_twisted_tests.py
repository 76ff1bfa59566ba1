"""
Twisted's own tests hold for C{svctree.service}.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compat.run_twisted_tests import (
    HERE,
    Known,
    Outcome,
    compare,
    modules,
    readKnown,
    spawn,
)


def test_twistedsTestsPass(tmp_path: Path) -> None:
    """
    With C{svctree.service} in the place of C{twisted.application.service}, each of
    Twisted's own tests does what it does without, apart from what is recorded.
    """
    names = modules()
    plain = spawn(False, names, tmp_path)
    replaced = spawn(True, names, tmp_path)
    assert replaced.ran > 400
    assert (
        compare(
            plain,
            replaced,
            readKnown(HERE / "baseline.txt"),
            readKnown(HERE / "repairs.txt"),
        )
        == []
    )


def test_regression() -> None:
    """
    A test that only fails with the replacement is named with its reason.
    """
    problems = compare(Outcome(2), Outcome(2, {"a.test_b": "oops"}), {}, {})
    assert problems == ["regression: a.test_b: oops"]


def test_repair() -> None:
    """
    A contradiction that is recorded as a repair is accepted.
    """
    repairs = {"a.test_b": Known("a.test_b", "always", "documented otherwise")}
    assert compare(Outcome(2), Outcome(2, {"a.test_b": "x"}), {}, repairs) == []


def test_unrecordedBaseline() -> None:
    """
    A failure of plain Twisted has to be recorded before it is excused.
    """
    failed = {"a.test_b": "no module"}
    assert compare(Outcome(2, failed), Outcome(2, failed), {}, {}) == [
        "baseline: a.test_b also fails in plain Twisted: no module"
    ]


def test_stale() -> None:
    """
    Entries that no longer fail are reported, in both lists.
    """
    known = {"a.test_b": Known("a.test_b", "always", "was so once")}
    problems = compare(Outcome(2), Outcome(2), known, known)
    assert [problem.split(":")[0] for problem in problems] == ["stale", "stale"]


def test_lessRan() -> None:
    """
    A replacement under which fewer tests run hides failures, and is reported.
    """
    assert compare(Outcome(3), Outcome(2), {}, {}) == [
        "ran 2 tests with the replacement, not the 3 that run without it"
    ]


def test_conditions(tmp_path: Path) -> None:
    """
    An entry counts only where its condition holds; a line without one is refused.
    """
    path = tmp_path / "list.txt"
    path.write_text("# c\n\na when always: x\nb when without os: y\n")
    assert list(readKnown(path)) == ["a"]
    path.write_text("a\n")
    with pytest.raises(ValueError, match=r"list\.txt:1: expected TEST when"):
        readKnown(path)
    path.write_text("a when raining: x\n")
    with pytest.raises(ValueError, match="condition 'raining' is unknown"):
        readKnown(path)
