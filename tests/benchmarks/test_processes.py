"""
The benchmarks that start real servers run, and judge what they see.
"""

from __future__ import annotations

import pytest

from benchmarks import cgi, leaks, reload, slow


def test_reload(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Nothing is lost and nothing is stale, and latencies are compared.
    """
    assert reload.main(["1", "0.1"]) == 0
    printed = capsys.readouterr().out
    assert " answers, 0 lost, 0 stale" in printed
    assert "ratio of the worst: " in printed


def test_leaks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What there is after ten reloads is shown.
    """
    # It sets this, for the processes that it starts.
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert leaks.main(["10"]) == 0
    printed = capsys.readouterr().out
    assert "after  10: 4 processes, " in printed
    assert " answers, 0 lost" in printed
    assert printed.endswith("grown: nothing\n")


def test_cgi(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Each contestant answers, and its time is shown.
    """
    assert cgi.main(["--rounds", "1"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert {row[:24].rstrip() for row in rows} == set(cgi.contestants())


def test_slow(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Each model is asked with and without slow clients.
    """
    # What the ratio is in so short a time is not for a test to judge.
    assert slow.main(["--rounds", "1", "--seconds", "0.3"]) in (0, 1)
    rows = [row.split() for row in capsys.readouterr().out.splitlines()]
    assert [row[:2] for row in rows if "ratio" in row] == [
        [model, share]
        for model in ("single", "threaded")
        for share in ("median", "p99")
    ]
