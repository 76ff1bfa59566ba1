"""
Reloads by generations, with real processes under load.
"""

from __future__ import annotations

import signal

from tests.pool.conftest import Site
from tests.pool.test_processes import APP, get, workersOf
from tests.support.crowd import Crowd
from tests.support.master import startMaster
from tests.support.processes import Processes, childrenOf, waitUntil


def test_newCode(processes: Processes, site: Site) -> None:
    """
    After the reload only the new code answers, and only its processes are left.
    """
    master, port = startMaster(processes, APP, site.folder, workers=2)
    assert get(port)[0] == "1"
    site.version(2)
    assert master.call("reload") == {"answer": 1, "ok": None}
    assert {get(port)[0] for _ in range(20)} == {"2"}
    _zygote, workers = workersOf(master)
    assert len(workers) == 2
    described = master.describe()
    assert described["generation"] == 2
    assert described["lastReload"] == "done"
    waitUntil(lambda: master.describe()["requests"] == 21, "the last to be counted")


def test_brokenCode(processes: Processes, site: Site) -> None:
    """
    When the new code is broken the old generation serves on, the reload fails with
    the traceback, the description says so, and the next good reload works.
    """
    master, port = startMaster(processes, APP, site.folder, workers=2)
    site.write("def application(environ start_response):\n")
    answer = master.call("reload")
    assert "reload failed" in answer["error"]
    assert "SyntaxError" in answer["error"]
    assert "def application(environ start_response)" in answer["details"]
    assert get(port)[0] == "1"
    assert len(childrenOf(master.pid)) == 1
    assert master.describe()["lastReload"].startswith("failed: ")
    site.version(3)
    assert "ok" in master.call("reload")
    assert get(port)[0] == "3"


def test_nothingIsLost(processes: Processes, site: Site) -> None:
    """
    Ten reloads of an application that takes its time to import, under clients
    with and without keep-alive: no request is lost, and after each reload no answer
    comes from an older generation.
    """
    wait = "import time; time.sleep(0.1)"
    site.version(0, wait)
    master, port = startMaster(processes, APP, site.folder, workers=2)
    with Crowd(port, keepAlive=64, closing=16, pause=0.1) as crowd:
        for number in range(1, 11):
            site.version(number, wait)
            assert "ok" in master.call("reload")
            assert get(port)[0] == str(number)
    assert crowd.lost == []
    assert len(crowd.answers) > 1000


def test_reloadsQueue(processes: Processes, site: Site) -> None:
    """
    A reload asked for during another one is done after it, with what is on disk
    then.
    """
    site.version(1, "import time; time.sleep(0.3)")
    master, port = startMaster(processes, APP, site.folder, workers=1)
    first = master.send("reload")
    site.version(2, "import time; time.sleep(0.3)")
    second = master.send("reload")
    site.version(3)
    assert "ok" in master.result(first)
    assert "ok" in master.result(second)
    assert get(port)[0] == "3"
    assert master.describe()["generation"] == 3


def test_stopDuringReload(processes: Processes, site: Site) -> None:
    """
    A stop ends both generations.
    """
    master, _ = startMaster(processes, APP, site.folder, workers=2)
    site.version(2, "import time; time.sleep(30)")
    master.send("reload")
    waitUntil(lambda: len(childrenOf(master.pid)) == 2, "the second zygote")
    master.running.signal(signal.SIGTERM)
    master.running.wait()
    assert childrenOf(master.pid) == []
