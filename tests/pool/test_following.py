"""
What a pool does by itself: follow the load, renew its workers, watch files, and go
on with what the system gives it.
"""

from __future__ import annotations

import os
import sys
import time

import pytest

from svctree.pool.autoreload import foldersToWatch
from svctree.pool.backoff import Backoff
from tests.pool.conftest import Site
from tests.pool.test_processes import APP, get, workersOf
from tests.support.crowd import Crowd
from tests.support.http import Load
from tests.support.master import startMaster
from tests.support.processes import Processes, waitUntil
from tests.support.python import whyNotNobody


def test_backoff() -> None:
    """
    The first time at once, then twice as long each time up to the cap; success
    begins anew.
    """
    backoff = Backoff(lambda: 1.0, first=0.1, most=1.0)
    delays = [backoff.failed() for _ in range(7)]
    assert delays == pytest.approx([0.0, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0])
    backoff.succeeded()
    assert backoff.failed() == 0.0
    assert Backoff(lambda: 0.0, first=0.1).failed() == 0.0


def test_backoffJitter() -> None:
    """
    Jitter takes away at most half of the delay.
    """
    for random in (0.0, 0.5, 1.0):
        backoff = Backoff(lambda value=random: value, first=0.1)  # type: ignore[misc]
        backoff.failed()
        assert 0.05 <= backoff.failed() <= 0.1


def test_followsTheLoad(processes: Processes, site: Site) -> None:
    """
    Busy workers get company up to the maximum, and when there is nothing to do they
    go again; no request is lost. By hand the number can be changed between the two.
    """
    master, port = startMaster(
        processes,
        APP,
        site.folder,
        workers="1..3",
        # Seconds of load and without load are too long to wait for.
        constants={
            "svctree.pool.watch._LOOKS": 4,
            "svctree.pool.watch._SHRINK_LOOKS": 8,
        },
    )
    assert len(workersOf(master)[1]) == 1
    for outside in (0, 4):
        error = master.call(f"scale {outside}")["error"]
        assert "expected 1 to 3: pool 'web' follows its load" in error
    assert "ok" in master.call("scale 2")
    with Load(port, closing=6, path="/slow") as load:
        waitUntil(lambda: master.describe()["ready"] == 3, "three workers", 20.0)
    waitUntil(lambda: master.describe()["ready"] == 1, "one worker", 20.0)
    assert load.lost == []


@pytest.mark.parametrize(
    "keywords",
    [
        {"maxRequests": 100},
        {"maxRequests": 100, "threads": 4},
        {"maxAge": 0.5},
        {"maxMemory": "1m"},
        {"maxRequests": 100, "workermodel": "single"},
        {"maxRequests": 100, "workermodel": "threaded"},
    ],
    ids=str,
)
def test_renewalLosesNothing(
    processes: Processes, site: Site, keywords: dict[str, object]
) -> None:
    """
    Workers that reach a limit are replaced without a request being lost.
    """
    master, port = startMaster(processes, APP, site.folder, workers=2, **keywords)
    first = set(workersOf(master)[1])
    with Load(port, keepAlive=16, closing=4, pause=0.002) as load:
        waitUntil(lambda: not first & set(workersOf(master)[1]), "renewal", 20.0)
        second = set(workersOf(master)[1])
        waitUntil(lambda: not second & set(workersOf(master)[1]), "another", 20.0)
    assert load.lost == []
    assert "is replaced: " in master.running.output
    waitUntil(
        lambda: master.describe()["requests"] == len(load.answers),
        "all requests to be counted, across workers",
    )


@pytest.mark.parametrize("model", ["single", "threaded", "prefork"])
def test_reloadOfEveryModel(processes: Processes, site: Site, model: str) -> None:
    """
    Each model reloads under load without losing a request.
    """
    master, port = startMaster(
        processes, APP, site.folder, workers=2, workermodel=model
    )
    with Crowd(port, keepAlive=16, closing=4, pause=0.01) as crowd:
        for number in range(2, 5):
            site.version(number)
            assert "ok" in master.call("reload")
            assert get(port)[0] == str(number)
    assert crowd.lost == []
    assert len(crowd.answers) > 100


@pytest.mark.skipif(bool(whyNotNobody()), reason=whyNotNobody())
@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_NPROC counts per user")
def test_noMoreProcesses(processes: Processes, site: Site) -> None:
    """
    When the system gives no more processes the pool serves with what it has, says
    so, and tries again until it has its number.
    """
    site.version(
        1,
        "import os, resource, sys, threading, time\n"
        "if os.path.exists('limited'):\n"
        "    resource.setrlimit(resource.RLIMIT_NPROC, (3, 100))\n"
        "    os.setuid(54321)\n",
    )
    master, port = startMaster(processes, APP, site.folder, workers=1)
    (site.folder / "limited").touch()
    assert "ok" in master.call("reload")
    _, (worker,) = workersOf(master)
    other = processes.start(["sleep", "60"], user=54321)
    scaling = master.send("scale 2")
    master.running.waitFor(r"no process for another worker .* serving with 1")
    assert get(port)[1] == str(worker)
    other.terminate()
    assert "ok" in master.result(scaling)
    assert len(workersOf(master)[1]) == 2


@pytest.mark.alone
def test_autoreload(processes: Processes, site: Site) -> None:
    """
    An edit is served within a second; a syntax error is printed and the old code serves
    on; so it is for a module that is imported only later.
    """
    pytest.importorskip("watchfiles", reason="needs watchfiles (extra svctree[reload])")
    (site.folder / "later.py").write_text("WORD = 'a'\n")
    master, port = startMaster(processes, APP, site.folder, workers=1, autoreload=True)
    assert get(port)[0] == "1"
    # Others use the machine, too: what a reload by itself takes longer than half a
    # second is theirs.
    took = [float("inf")]
    while took[-1] >= 1.0 and len(took) < 6:
        begun = time.monotonic()
        assert "ok" in master.call("reload")
        alone = time.monotonic() - begun
        begun = time.monotonic()
        site.version(f"edit{len(took)}")
        waitUntil(lambda: get(port)[0] == f"edit{len(took)}", "the edit to be served")
        took.append(time.monotonic() - begun - max(0.0, alone - 0.5))
    assert took[-1] < 1.0, took
    site.write("def application(:\n")
    master.running.waitFor("(?s)reload failed, generation .*SyntaxError")
    assert get(port)[0] == f"edit{len(took) - 1}"
    site.version("repaired")
    waitUntil(lambda: get(port)[0] == "repaired", "the repaired code")
    before = get(port)[1]
    (site.folder / "later.py").write_text("WORD = 'b'\n")
    waitUntil(lambda: get(port)[1] != before, "another worker")


def test_autoreloadOfANewFolder(processes: Processes, site: Site) -> None:
    """
    A package that the application has only since an edit is watched, too.
    """
    pytest.importorskip("watchfiles", reason="needs watchfiles (extra svctree[reload])")
    _, port = startMaster(processes, APP, site.folder, workers=1, autoreload=True)
    package = site.folder / "package"
    package.mkdir()
    (package / "__init__.py").write_text("WORD = 'a'\n")
    site.version("2", "import package")
    waitUntil(lambda: get(port)[0] == "2", "the edit to be served")
    # The thread that watches the folder has to begin.
    number = iter(range(1000))
    before = get(port)[1]

    def again() -> bool:
        (package / "__init__.py").write_text(f"WORD = {next(number)}\n")
        return get(port)[1] != before

    waitUntil(again, "another worker")


def test_foldersToWatch(tmp_path: os.PathLike[str]) -> None:
    """
    The application's folders are watched, Python's and hidden ones are not.
    """
    root = os.fspath(tmp_path)
    for folder in ("app/sub", "app/.git", "app/node_modules/x", "app/venv", "other"):
        os.makedirs(os.path.join(root, folder))
        with open(os.path.join(root, folder, "file.py"), "w"):
            pass
    with open(os.path.join(root, "app/venv/pyvenv.cfg"), "w"):
        pass
    found = foldersToWatch(
        [os.path.join(root, "other/file.py"), os.__file__], [os.path.join(root, "app")]
    )
    assert found == [os.path.join(root, name) for name in ("app", "app/sub", "other")]
