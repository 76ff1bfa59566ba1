"""
Pools with real processes: what they are, and what follows when they end.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.pool.conftest import Site
from tests.support.http import Broken, Client, Load
from tests.support.master import Driven, beginMaster, startMaster
from tests.support.processes import Processes, alive, childrenOf, inSession, waitUntil

APP = "poolsite:application"


def get(port: int, path: str = "/") -> list[str]:
    """
    @return: version, pid and parent's pid of the worker that answered.
    """
    client = Client(port)
    try:
        return client.get(path, Connection="close").body.decode().split()
    finally:
        client.close()


def workersOf(master: Driven) -> tuple[int, list[int]]:
    """
    @return: the zygote's pid and those of its workers.
    """
    (zygote,) = childrenOf(master.pid)
    return zygote, childrenOf(zygote)


def test_processTree(processes: Processes, site: Site) -> None:
    """
    There are a master, its zygote, and the zygote's workers, which answer; neither
    zygote nor workers have loaded Twisted.
    """
    master, port = startMaster(processes, APP, site.folder, workers=2)
    zygote, workers = workersOf(master)
    assert len(workers) == 2
    version, pid, parent = get(port)
    assert version == "1"
    assert int(pid) in workers
    assert int(parent) == zygote
    modules = get(port, "/modules")
    assert "svctree.worker.zygote" in modules
    assert not {"twisted", "asyncio", "zope.interface", "attr"} & set(modules)
    assert master.running.terminate() in (0, -signal.SIGTERM)
    assert inSession(master.pid) == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/PID/fd")
def test_descriptors(processes: Processes, site: Site) -> None:
    """
    Zygote and workers have what they need and nothing else; nothing of it is
    inherited by what the application starts.
    """
    inherited = os.open(site.folder, os.O_RDONLY)
    os.set_inheritable(inherited, True)
    site.version(
        1,
        "import subprocess, os\n"
        "CHILD = subprocess.Popen(['sleep', '60'], close_fds=False)\n",
    )
    master, port = startMaster(processes, APP, site.folder, workers=2)
    os.close(inherited)
    zygote, children = workersOf(master)
    sleeper, *workers = sorted(children)
    assert opened(sleeper) == {"0": 1, "1": 1, "2": 1}
    common = {"0": 1, "1": 1, "2": 1, "pipe": 3, "memfd": 1}
    # The control channel, the listener, the two ends of the relay, and a channel for
    # each worker.
    assert opened(zygote) == {**common, "socket": 6}
    for worker in workers:
        # The channel, the listener and the relay; and the line once more, for its
        # other signal.
        assert opened(worker) == {**common, "pipe": 4, "socket": 4, "eventpoll": 1}
    assert get(port)[0] == "1"


def opened(pid: int) -> dict[str, int]:
    """
    @return: how many descriptors of each kind a process has; the standard ones by
        number.
    """
    found: Counter[str] = Counter()
    for entry in os.scandir(f"/proc/{pid}/fd"):
        target = os.readlink(entry.path)
        kind = re.search("socket|pipe|memfd|eventpoll", target)
        standard = entry.name in ("0", "1", "2")
        found[entry.name if standard else kind[0] if kind else target] += 1
    return dict(found)


@pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="needs /proc to count threads"
)
def test_oneThreadAtFork(processes: Processes, site: Site) -> None:
    """
    The zygote has one thread.
    """
    master, _ = startMaster(processes, APP, site.folder, workers=1)
    zygote, _ = workersOf(master)
    assert len(os.listdir(f"/proc/{zygote}/task")) == 1


def test_threadsOfTheImport(processes: Processes, site: Site) -> None:
    """
    An application that starts a thread when it is imported gets a warning.
    """
    site.version(
        1,
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    )
    master, _ = startMaster(processes, APP, site.folder, workers=1)
    master.running.waitFor(r"started 1 thread\(s\); they do not exist in the workers")


@pytest.mark.alone
def test_killedWorkerIsReplaced(processes: Processes, site: Site) -> None:
    """
    A replacement answers within 100 ms of the moment at which the master noticed a
    worker's sudden end; on a busy machine not each time, but in the best of seven.
    """
    master, port = startMaster(processes, APP, site.folder, workers=1)
    ended = r"(?m)^(\d+\.\d+) .*\(pid %s\) ended with signal 9; replacement at once"
    took = []
    for _ in range(7):
        _, worker, _ = get(port)
        os.kill(int(worker), signal.SIGKILL)
        noticed = float(master.running.waitFor(ended % worker)[1])
        assert get(port)[1] != worker
        took.append(time.time() - noticed)
    assert min(took) < 0.1, took
    assert master.describe()["crashes"] == 7


def test_neighboursOfAKilledWorker(processes: Processes, site: Site) -> None:
    """
    The others go on, and there are as many as before.
    """
    master, _ = startMaster(processes, APP, site.folder, workers=2)
    _, (one, other) = workersOf(master)
    os.kill(one, signal.SIGKILL)
    waitUntil(lambda: not alive(one), "its end")
    waitUntil(lambda: master.describe()["ready"] == 2, "the replacement")
    assert other in workersOf(master)[1]


def test_stoppedWorkerIsShown(processes: Processes, site: Site) -> None:
    """
    A worker that was stopped is stuck, whether it was idle or requests wait for it; it
    goes on where it was.
    """
    master, port = startMaster(processes, APP, site.folder, workers=1)
    (worker,) = workersOf(master)[1]

    def state() -> object:
        return master.describe()["workers"][0]["state"]

    assert state() == "idle"
    os.kill(worker, signal.SIGSTOP)
    waitUntil(lambda: state() == "stuck", "the idle one to be stuck")
    client = Client(port)
    client.send("/")
    assert state() == "stuck"
    os.kill(worker, signal.SIGCONT)
    assert client.answer().status == 200
    client.close()
    waitUntil(lambda: state() == "idle", "it to be idle")


def test_killedZygoteLosesNothing(processes: Processes, site: Site) -> None:
    """
    The workers of a killed zygote serve on until another generation stands; no
    request is lost.
    """
    site.version(1, "import time; time.sleep(0.5)")
    master, port = startMaster(processes, APP, site.folder, workers=2)
    zygote, workers = workersOf(master)
    with Load(port, keepAlive=4, closing=2) as load:
        waitUntil(lambda: len(load.answers) > 50, "some answers")
        os.kill(zygote, signal.SIGKILL)
        master.running.waitFor("the zygote ended with signal 9")
        waitUntil(lambda: not any(map(alive, workers)), "the old workers' end")
        count = len(load.answers)
        waitUntil(lambda: len(load.answers) > count + 50, "more answers")
    assert load.lost == []
    other, fresh = workersOf(master)
    assert other != zygote
    assert len(fresh) == 2
    assert master.describe()["generation"] == 2


def test_killedMasterLeavesNothing(processes: Processes, site: Site) -> None:
    """
    Two seconds after the master was killed no process is left, and the port is
    free.
    """
    master, port = startMaster(processes, APP, site.folder, workers=2)
    idle = Client(port)
    assert idle.get().status == 200
    os.kill(master.pid, signal.SIGKILL)
    waitUntil(lambda: inSession(master.pid) == [], "the end of all", 2.0)
    idle.close()
    socket.create_server(("127.0.0.1", port)).close()


@pytest.mark.parametrize("module", ["poolsite", "setproctitle"])
def test_killedMasterWhileImporting(
    processes: Processes, site: Site, module: str
) -> None:
    """
    An application that hangs in its import does not outlive the master, nor does what
    svctree imports itself and finds beside it.
    """
    hanging = site.folder / f"{module}.py"
    hanging.write_text("import time; print('importing', flush=True); time.sleep(50)")
    running = processes.start(
        [sys.executable, "-m", "twisted", "svctree", "--listen=tcp:0", APP],
        cwd=site.folder,
    )
    running.waitFor("importing")
    running.signal(signal.SIGKILL)
    waitUntil(lambda: inSession(running.pid) == [], "the end of all", 2.0)


@pytest.mark.parametrize("model", ["single", "prefork"])
def test_stopAnswersWhatIsEstablished(
    processes: Processes, site: Site, model: str
) -> None:
    """
    Twelve connections that were established before the signal are all answered,
    though each takes its time; then everything ends.
    """
    master, port = startMaster(
        processes, APP, site.folder, workers=2, workermodel=model
    )
    clients = [Client(port) for _ in range(12)]
    for client in clients:
        client.send("/pause")
    master.running.signal(signal.SIGTERM)
    assert [client.answer().status for client in clients] == [200] * 12
    master.running.wait()
    assert inSession(master.pid) == []
    for client in clients:
        client.close()


BOOT_FAILURES = [
    ("import nowhere", {}, 4, "No module named 'nowhere'", "import nowhere"),
    ("raise SystemExit(3)", {}, 4, "its import raised SystemExit: 3", "SystemExit"),
    ("import os; os._exit(9)", {}, 3, "ended with exit status 9", ""),
    (
        "import time; time.sleep(30)",
        {"bootTimeout": 0.5},
        3,
        "took longer than boot-timeout = 0.5 s",
        "",
    ),
    (
        "def hook(): raise ValueError('no cache')",
        {"onWorkerStart": "poolsite:hook"},
        3,
        "failed to boot: ValueError: no cache",
        "in hook",
    ),
    (
        "def hook():\n import os; os._exit(5)",
        {"onWorkerStart": "poolsite:hook"},
        3,
        "ended with exit status 5 before it was ready",
        "",
    ),
    (
        "def hook():\n import time; time.sleep(30)",
        {"onWorkerStart": "poolsite:hook", "bootTimeout": 2.5},
        3,
        "was not ready within boot-timeout = 2.5 s",
        "",
    ),
    ("import nowhere", {"preload": False}, 4, "No module named 'nowhere'", "import"),
]


@pytest.mark.parametrize(
    ("before", "keywords", "status", "words", "details"), BOOT_FAILURES
)
def test_bootFailure(
    processes: Processes,
    site: Site,
    before: str,
    keywords: dict[str, object],
    status: int,
    words: str,
    details: str,
) -> None:
    """
    Each way of failing to boot ends the start once, with its reason, and leaves no
    process.
    """
    site.version(1, before)
    master, event = beginMaster(processes, APP, site.folder, workers=2, **keywords)
    assert event["event"] == "failed"
    assert event["status"] == status
    assert words in event["error"]
    assert details in event["details"]
    assert master.running.wait() == 0
    assert inSession(master.pid) == []


def test_requestTimeout(processes: Processes, site: Site) -> None:
    """
    A request over the limit is logged with the stacks of its worker, its connection
    is closed, and the worker is replaced.
    """
    master, port = startMaster(processes, APP, site.folder, workers=1, timeout=0.5)
    client = Client(port)
    client.send("/hang")
    with pytest.raises(Broken):
        client.answer()
    client.close()
    master.running.waitFor(r"GET /hang HTTP/1.1' runs for 0\.\d s, timeout is 0.5 s")
    master.running.waitFor(r'poolsite.py", line \d+ in application')
    assert get(port)[0] == "1"


def test_requestTimeoutOfABusyLoop(processes: Processes, site: Site) -> None:
    """
    So it is when the worker never comes back to the interpreter.
    """
    master, port = startMaster(processes, APP, site.folder, workers=1, timeout=0.5)
    client = Client(port)
    client.send("/spin")
    with pytest.raises(Broken):
        client.answer()
    client.close()
    master.running.waitFor("GET /spin")
    master.running.waitFor(r'poolsite.py", line \d+ in application')
    assert get(port)[0] == "1"


def test_scale(processes: Processes, site: Site) -> None:
    """
    Workers come and go on request, and no request is lost by it.
    """
    master, port = startMaster(processes, APP, site.folder, workers=2)
    with Load(port, keepAlive=8, closing=4) as load:
        assert "ok" in master.call("scale 4")
        assert len(workersOf(master)[1]) == 4
        assert "ok" in master.call("scale 1")
        assert len(workersOf(master)[1]) == 1
    assert load.lost == []
    assert "expected 1 to" in master.call("scale 0")["error"]
    assert "expected 1 to" in master.call("scale 5000")["error"]


def test_scaleOfSingle(processes: Processes, site: Site) -> None:
    """
    What is one process by definition says so.
    """
    master, _ = startMaster(processes, APP, site.folder, workermodel="single")
    assert "only prefork can be scaled" in master.call("scale 2")["error"]


def test_termToAWorker(processes: Processes, site: Site) -> None:
    """
    A worker that somebody sends SIGTERM finishes what it has, and is replaced.
    """
    master, port = startMaster(processes, APP, site.folder, workers=1)
    _, (worker,) = workersOf(master)
    client = Client(port)
    client.send("/slow")
    waitUntil(lambda: master.describe()["workers"][0]["current"], "the request")
    os.kill(worker, signal.SIGTERM)
    assert client.answer().status == 200
    client.close()
    waitUntil(lambda: workersOf(master)[1] not in ([], [worker]), "the replacement")


def test_crashLoopBacksOff(processes: Processes, site: Site) -> None:
    """
    Workers that die as soon as they are ready are not restarted ever faster.
    """
    master, _ = startMaster(processes, APP, site.folder, workers=1)
    killed = 0

    def another() -> int:
        (worker,) = master.describe()["workers"] or [{"pid": killed, "ready": False}]
        found: int = worker["pid"] if worker["ready"] else killed
        return 0 if found == killed else found

    for _ in range(4):
        killed = waitUntil(another, "a worker")
        os.kill(killed, signal.SIGKILL)
    master.running.waitFor(r"replacement at once")
    master.running.waitFor(r"replacement in 0\.[1-9] s")


def test_pingAndDescribe(processes: Processes, site: Site) -> None:
    """
    The zygote answers, and the description has what people look for.
    """
    master, port = startMaster(processes, APP, site.folder, workers=2)
    assert "ok" in master.call("ping")
    for _ in range(3):
        get(port)
    # A request is counted when its answer has been sent.
    waitUntil(lambda: master.describe()["requests"] == 3, "the last to be counted")
    described = master.describe()
    assert described["generation"] == 1
    assert len(described["workers"]) == described["ready"] == 2
    assert described["listeners"] == [f"http://127.0.0.1:{port}/"]
    for worker in described["workers"]:
        assert worker["state"] == "idle"
        assert worker["memory"] > 1_000_000
        assert alive(worker["pid"])
