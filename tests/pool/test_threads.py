"""
Pools whose workers have threads.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

import pytest

from tests.pool.conftest import Site
from tests.pool.test_processes import APP, get, workersOf
from tests.support.http import Broken, Client, Load
from tests.support.master import Driven, startMaster
from tests.support.processes import Processes, alive, inSession, waitUntil

THREADED = [
    {"workermodel": "threaded", "maxthreads": 4, "maxspare": 4},
    {"workermodel": "prefork", "workers": 1, "threads": 4},
]


def threads(master: Driven) -> int:
    found: int = master.describe()["workers"][0]["threads"]
    return found


def test_threadsFollowTheLoad(processes: Processes, site: Site) -> None:
    """
    Threads become more while requests wait for one, and fewer when there is nothing
    to do; an idle connection takes none.
    """
    master, port = startMaster(
        processes,
        APP,
        site.folder,
        workermodel="threaded",
        minspare=1,
        maxspare=2,
        maxthreads=6,
    )
    # One that waits for the clients, and the spare ones.
    assert threads(master) <= 3
    idle = [Client(port) for _ in range(20)]
    for client in idle:
        assert client.get().status == 200
    assert threads(master) <= 3
    with Load(port, closing=6, path="/slow") as load:
        waitUntil(lambda: threads(master) == 6, "six threads")
    waitUntil(lambda: threads(master) <= 3, "three threads", 30.0)
    assert load.lost == []
    for client in idle:
        assert client.get().status == 200
        client.close()


@pytest.mark.parametrize("keywords", THREADED, ids=str)
def test_requestsShareAWorker(
    processes: Processes, site: Site, keywords: dict[str, object]
) -> None:
    """
    Four slow requests in one worker take the time of one.
    """
    master, port = startMaster(processes, APP, site.folder, **keywords)
    clients = [Client(port) for _ in range(4)]
    for client in clients:
        client.send("/slow")
    waitUntil(
        lambda: len(master.describe()["workers"][0]["current"]) == 4,
        "four requests in hand",
    )
    answers = [client.answer() for client in clients]
    assert [answer.status for answer in answers] == [200] * 4
    assert answers[-1].at - answers[0].at < 0.5
    for client in clients:
        client.close()


@pytest.mark.parametrize("keywords", THREADED, ids=str)
@pytest.mark.parametrize("path", ["/hang", "/spin"])
def test_requestTimeout(
    processes: Processes, site: Site, keywords: dict[str, object], path: str
) -> None:
    """
    One stuck request: the stacks of all threads are logged with its line, its
    connection is closed, another request of the same worker is finished, and the
    worker is replaced.
    """
    master, port = startMaster(processes, APP, site.folder, timeout=0.5, **keywords)
    _, (worker,) = workersOf(master)
    stuck, other = Client(port), Client(port)
    stuck.send(path)
    waitUntil(lambda: master.describe()["workers"][0]["current"], "the stuck one")
    master.running.waitFor(f"GET {path} HTTP/1.1' runs for")
    master.running.waitFor(r'poolsite.py", line \d+ in application')
    with pytest.raises(Broken):
        stuck.answer()
    waitUntil(lambda: not alive(worker), "the end of the stuck worker")
    assert get(port)[1] != str(worker)
    other.close()
    stuck.close()


def test_othersFinish(processes: Processes, site: Site) -> None:
    """
    A request that is within its time when another one of its worker is not, is
    answered before the worker ends.
    """
    site.version(
        1,
        "import time\nSECONDS = {'/a': 30, '/b': 1.2}\n",
    )
    text = (site.folder / "poolsite.py").read_text()
    site.write(
        text.replace(
            '    if path == "/slow":',
            "    if path in SECONDS:\n        time.sleep(SECONDS[path])\n"
            '    elif path == "/slow":',
        )
    )
    master, port = startMaster(
        processes, APP, site.folder, timeout=1.5, workers=1, threads=4
    )
    stuck, fine = Client(port), Client(port)
    stuck.send("/a")
    waitUntil(
        lambda: any(
            one["seconds"] > 1.0 for one in master.describe()["workers"][0]["current"]
        ),
        "the first to be old",
    )
    fine.send("/b")
    assert fine.answer().status == 200
    with pytest.raises(Broken):
        stuck.answer()
    stuck.close()
    fine.close()


@pytest.mark.parametrize("keywords", THREADED, ids=str)
def test_stopAnswersWhatIsEstablished(
    processes: Processes, site: Site, keywords: dict[str, object]
) -> None:
    """
    Twelve established connections are answered before the end.
    """
    master, port = startMaster(processes, APP, site.folder, **keywords)
    clients = [Client(port) for _ in range(12)]
    for client in clients:
        client.send("/pause")
    master.running.signal(signal.SIGTERM)
    assert [client.answer().status for client in clients] == [200] * 12
    master.running.wait()
    assert inSession(master.pid) == []
    for client in clients:
        client.close()


def test_killedUnderLoad(processes: Processes, site: Site) -> None:
    """
    Workers killed again and again under load: only what was in hand on a killed
    worker is lost, and there is always a replacement.
    """
    master, port = startMaster(processes, APP, site.folder, workers=3)
    killed = 0

    def proven() -> int:
        """
        @return: a worker that has answered in more than one turn of its loop, so that
            it was counted: one that had not would be replaced after a moment.
        """
        answered = Counter(int(a.body.split()[1]) for _, _, a in list(load.answers))
        pid = max(workersOf(master)[1], key=lambda pid: answered[pid])
        return pid if answered[pid] > 6 else 0

    with Load(port, closing=6, pause=0.005) as load:
        for _ in range(10):
            count = len(load.answers)
            waitUntil(lambda n=count: len(load.answers) > n + 30, "some answers")  # type: ignore[misc]
            os.kill(
                waitUntil(proven, "a worker that has proved itself"), signal.SIGKILL
            )
            killed += 1
            waitUntil(lambda: len(workersOf(master)[1]) == 3, "the replacement")
    # Each worker has one request in hand, and may have accepted some more.
    assert len(load.lost) <= 6 * killed
    assert len(load.lost) < len(load.answers) / 10
    assert "replacement at once" in master.running.output
    assert "replacement in" not in master.running.output
