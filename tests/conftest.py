from __future__ import annotations

import fcntl
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Processes

VALIDATING = Path(__file__).parent / "support" / "validating"

AT_ONCE = 4
"""Tests that run side by side: most of them wait for processes, not for a processor."""


def pytest_configure() -> None:
    """
    Undo what a shell does to a job in the background and C{nohup} to any: processes
    would inherit that these signals are ignored, and tests send them.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """
    The whole suite runs in parallel, a choice of tests in this process.
    """
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return AT_ONCE if whole and not config.getoption("lf") else 0


@pytest.fixture(scope="session", autouse=True)
def findings() -> Iterator[None]:
    """
    C{wsgiref.validate} finds nothing in any application that any process serves: see
    C{tests/support/validating}.
    """
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        found = Path(folder, "findings")
        found.touch()
        # Some workers are other users.
        Path(folder).chmod(0o711)
        found.chmod(0o666)
        paths = [str(VALIDATING), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        patch.setenv("TESTS_FINDINGS", str(found))
        yield
        assert not found.read_text(), found.read_text()


@pytest.fixture(autouse=True)
def _turn(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """
    Lets a test that is marked C{alone} run while no other does.

    Two locks of this run: everyone passes the first one, so that a test that wants to
    be alone holds up those that come after it, and then waits for those before it.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        yield
        return
    alone = request.node.get_closest_marker("alone") is not None
    kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    shared = tmp_path_factory.getbasetemp().parent
    with open(shared / "door", "w") as door, open(shared / "room", "w") as room:
        fcntl.flock(door, kind)
        fcntl.flock(room, kind)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield


@pytest.fixture
def processes() -> Iterator[Processes]:
    """
    Starts real processes; whatever is left of them at the end is killed.
    """
    made = Processes()
    yield made
    list(made.close())
