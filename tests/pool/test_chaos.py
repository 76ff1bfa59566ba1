"""
Pools whose processes are stopped, killed and made deaf at the worst of times.
"""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.pool.conftest import Site
from tests.pool.test_processes import APP, get, opened, workersOf
from tests.support.http import Client, Load
from tests.support.master import Driven, startMaster
from tests.support.processes import (
    Processes,
    alive,
    childrenOf,
    freeze,
    inSession,
    waitUntil,
)


def commandOf(pid: int) -> bytes:
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read()


def endsWithin(master: Driven, seconds: float) -> None:
    """
    SIGTERM ends the master and everything that belongs to it in time.
    """
    begun = time.monotonic()
    master.running.signal(signal.SIGTERM)
    master.running.wait(seconds + 10)
    assert time.monotonic() - begun < seconds
    assert inSession(master.pid) == []


def ready(master: Driven, count: int, generation: int = 0) -> dict[str, object]:
    """
    Wait for so many workers, of a generation at least so young, and nothing else.
    """

    def whole() -> dict[str, object] | None:
        found = master.describe()
        workers = found["workers"]
        whole = (
            found["ready"] == len(workers) == count
            and found["generation"] >= generation
            and all(alive(w["pid"]) and w["zygote"] for w in workers)
            and len(childrenOf(master.pid)) == 1
        )
        return found if whole else None

    return waitUntil(whole, f"{count} workers", 30.0)  # type: ignore[return-value]


# -- stopped processes

SILENCE = {"svctree.pool.generation._MOST_SILENCE": 1.5}
"""A zygote is given five seconds to answer; too long to wait for in a test."""


def test_stopWithStoppedZygote(processes: Processes, site: Site) -> None:
    """
    A zygote that does not hear the order to end is killed; its workers see the end of
    the line, answer what they have, and end.
    """
    master, port = startMaster(
        processes, APP, site.folder, workers=2, gracefulTimeout=20, constants=SILENCE
    )
    zygote, _ = workersOf(master)
    client = Client(port)
    freeze(zygote)
    client.send("/slow")
    waitUntil(
        lambda: any(w["current"] for w in master.describe()["workers"]), "the request"
    )
    endsWithin(master, 8.0)
    assert client.answer().status == 200
    client.close()
    assert "has not answered for 1.5 s" in master.running.output


def test_stopWithEverythingStopped(processes: Processes, site: Site) -> None:
    """
    With workers stopped, too, the master kills them itself after the graceful
    timeout.
    """
    master, _ = startMaster(processes, APP, site.folder, workers=2, gracefulTimeout=0.5)
    zygote, workers = workersOf(master)
    for pid in (zygote, *workers):
        freeze(pid)
    endsWithin(master, 6.0)


def test_stoppedZygoteIsReplaced(processes: Processes, site: Site) -> None:
    """
    A zygote that should fork and does not is killed, and another generation made; no
    request is lost.
    """
    master, port = startMaster(
        processes, APP, site.folder, workers=2, constants=SILENCE
    )
    zygote, workers = workersOf(master)
    freeze(zygote)
    with Load(port, keepAlive=2, closing=2, pause=0.01) as load:
        master.send("scale 3")
        master.running.waitFor("has not answered for 1.5 s; it is killed")
        ready(master, 3, generation=2)
    assert load.lost == []
    assert not any(map(alive, [zygote, *workers]))


def test_masterStoppedForLong(processes: Processes, site: Site) -> None:
    """
    A master that was stopped does not take what happened meanwhile for being late.
    """
    master, port = startMaster(processes, APP, site.folder, workers=2, bootTimeout=3)
    site.version(2, "import time; time.sleep(0.5)")
    number = master.send("reload")
    waitUntil(lambda: len(childrenOf(master.pid)) == 2, "the second zygote")
    freeze(master.pid)
    begun = time.monotonic()
    waitUntil(lambda: time.monotonic() - begun > 3.5, "the limit to pass")
    os.kill(master.pid, signal.SIGCONT)
    assert "ok" in master.result(number)
    assert get(port)[0] == "2"
    ready(master, 2, generation=2)


def test_bootOfAStoppedZygote(processes: Processes, site: Site) -> None:
    """
    A zygote that is stopped while it boots fails the reload in time; the old
    generation serves on.
    """
    master, port = startMaster(processes, APP, site.folder, workers=1, bootTimeout=3)
    old, _ = workersOf(master)
    site.version(2, "import time; time.sleep(2)")
    number = master.send("reload")
    waitUntil(lambda: len(childrenOf(master.pid)) == 2, "the second zygote")
    (new,) = (pid for pid in childrenOf(master.pid) if pid != old)
    # Before that its master waits for the system call.
    waitUntil(lambda: b"svctree.worker" in commandOf(new), "it to be a zygote")
    freeze(new)
    assert "boot-timeout = 3 s" in master.result(number)["error"]
    assert not alive(new)
    assert get(port)[0] == "1"


def test_stoppedWorkerOfAReload(processes: Processes, site: Site) -> None:
    """
    A worker that was stopped does not hold up a reload for ever.
    """
    master, _ = startMaster(processes, APP, site.folder, workers=2, gracefulTimeout=0.5)
    _, workers = workersOf(master)
    freeze(workers[0])
    assert "ok" in master.call("reload")
    assert not any(map(alive, workers))


# -- killed processes


def test_zygoteKilledDuringReload(processes: Processes, site: Site) -> None:
    """
    The serving zygote is killed while a generation comes: there is one generation in
    the end, and no request is lost.
    """
    site.version(1, "import time; time.sleep(0.7)")
    master, port = startMaster(processes, APP, site.folder, workers=2)
    zygote, _ = workersOf(master)
    with Load(port, keepAlive=2, closing=2, pause=0.01) as load:
        number = master.send("reload")
        waitUntil(lambda: len(childrenOf(master.pid)) == 2, "the second zygote")
        os.kill(zygote, signal.SIGKILL)
        assert "ok" in master.result(number)
        found = ready(master, 2, generation=2)
    assert load.lost == []
    assert found["generation"] == 2
    assert len(inSession(master.pid)) == 4


def test_comingZygoteKilled(processes: Processes, site: Site) -> None:
    """
    The zygote of a coming generation is killed: the reload fails and says why.
    """
    site.version(1, "import time; time.sleep(0.7)")
    master, port = startMaster(processes, APP, site.folder, workers=1)
    zygote, _ = workersOf(master)
    number = master.send("reload")
    waitUntil(lambda: len(childrenOf(master.pid)) == 2, "the second zygote")
    os.kill(max(set(childrenOf(master.pid)) - {zygote}), signal.SIGKILL)
    assert "ended with signal 9 before it was ready" in master.result(number)["error"]
    assert get(port)[0] == "1"


def test_zygotesKilledInARow(processes: Processes, site: Site) -> None:
    """
    Every zygote that comes is killed, four times: then one stands, with its workers
    alone.
    """
    master, port = startMaster(processes, APP, site.folder, workers=2)
    seen: set[int] = set()
    with Load(port, closing=2, pause=0.01) as load:
        for _ in range(4):
            zygote = waitUntil(
                lambda: next(iter(set(childrenOf(master.pid)) - seen), 0), "a zygote"
            )
            seen.add(zygote)
            os.kill(zygote, signal.SIGKILL)
        ready(master, 2, generation=2)
    assert load.lost == []
    assert len(inSession(master.pid)) == 4


def test_zygoteKilledDuringStop(processes: Processes, site: Site) -> None:
    """
    The request in hand is answered, and everything ends.
    """
    master, port = startMaster(processes, APP, site.folder, workers=2)
    zygote, _ = workersOf(master)
    client = Client(port)
    client.send("/slow")
    waitUntil(
        lambda: any(w["current"] for w in master.describe()["workers"]), "the request"
    )
    master.running.signal(signal.SIGTERM)
    os.kill(zygote, signal.SIGKILL)
    assert client.answer().status == 200
    client.close()
    master.running.wait()
    assert inSession(master.pid) == []


def test_hangingOrphanIsKilled(processes: Processes, site: Site) -> None:
    """
    A worker in a busy loop, whose zygote was killed, has the graceful timeout, and
    then the master kills it.
    """
    master, port = startMaster(
        processes, APP, site.folder, workers=2, gracefulTimeout=1, timeout=0
    )
    zygote, workers = workersOf(master)
    client = Client(port)
    client.send("/spin")
    waitUntil(
        lambda: any(w["current"] for w in master.describe()["workers"]), "the request"
    )
    os.kill(zygote, signal.SIGKILL)
    waitUntil(lambda: not any(map(alive, workers)), "the end of the old", 20.0)
    client.close()
    ready(master, 2, generation=2)


def test_stopWhileOrphansServe(processes: Processes, site: Site) -> None:
    """
    The zygote was killed and the code on disk is broken: the pool serves on with the
    orphans, a stop ends them, and no timer is left.
    """
    master, port = startMaster(processes, APP, site.folder, workers=2)
    site.write("syntax error")
    os.kill(workersOf(master)[0], signal.SIGKILL)
    master.running.waitFor("next try in")
    assert get(port)[0] == "1"
    assert "ok" in master.call("down")
    assert master.call("timers")["ok"] == []
    assert inSession(master.pid) == [master.pid]
    endsWithin(master, 5.0)


def test_scaleWhileOrphansServe(processes: Processes, site: Site) -> None:
    """
    What cannot be done yet is done by the generation that comes; the command ends.
    """
    master, _ = startMaster(processes, APP, site.folder, workers=1)
    good = (site.folder / "poolsite.py").read_text()
    site.write("syntax error")
    os.kill(workersOf(master)[0], signal.SIGKILL)
    master.running.waitFor("next try in")
    number = master.send("scale 3")
    site.write(good)
    assert "ok" in master.result(number)
    ready(master, 3, generation=2)


def test_allWorkersKilled(processes: Processes, site: Site) -> None:
    """
    All workers at once: all are replaced, and clients only have to wait.
    """
    master, port = startMaster(processes, APP, site.folder, workers=4)
    _, workers = workersOf(master)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    assert get(port)[0] == "1"
    ready(master, 4)


def test_masterKilledDuringReload(processes: Processes, site: Site) -> None:
    """
    Both generations end.
    """
    master, _ = startMaster(processes, APP, site.folder, workers=2)
    site.version(2, "import time; time.sleep(50)")
    master.send("reload")
    waitUntil(lambda: len(childrenOf(master.pid)) == 2, "the second zygote")
    os.kill(master.pid, signal.SIGKILL)
    waitUntil(lambda: inSession(master.pid) == [], "the end of all", 4.0)


@pytest.mark.parametrize("path", ["/hang", "/spin"])
def test_killedMasterWithARequestThatHangs(
    processes: Processes, site: Site, path: str
) -> None:
    """
    Its zygote kills it after the graceful timeout.
    """
    master, port = startMaster(processes, APP, site.folder, gracefulTimeout=0.5)
    client = Client(port)
    client.send(path)
    waitUntil(
        lambda: any(w["current"] for w in master.describe()["workers"]), "the request"
    )
    os.kill(master.pid, signal.SIGKILL)
    waitUntil(lambda: inSession(master.pid) == [], "the end of all", 6.0)
    client.close()


@pytest.mark.parametrize("path", ["/hang", "/spin"])
@pytest.mark.parametrize("keywords", [{}, {"workermodel": "threaded"}])
def test_masterAndZygoteKilled(
    processes: Processes, site: Site, path: str, keywords: dict[str, object]
) -> None:
    """
    With both gone nobody is left who would kill a worker whose request hangs, or never
    comes back to the interpreter: it has set itself a limit, and ends.
    """
    # The number of a signal is the number of seconds; this one's is small.
    site.version(1, "import svctree.worker.limit as l; l._LEAST_ALARM = 1")
    master, port = startMaster(
        processes, APP, site.folder, workers=1, gracefulTimeout=0.5, **keywords
    )
    zygote, workers = workersOf(master)
    client = Client(port)
    client.send(path)
    waitUntil(lambda: master.describe()["workers"][0]["current"], "the request")
    for pid in (zygote, master.pid):
        os.kill(pid, signal.SIGKILL)
    waitUntil(lambda: not any(map(alive, workers)), "the end of all", 6.0)
    client.close()


@pytest.mark.parametrize("workermodel", ["prefork", "threaded"])
def test_masterKilledUnderLoad(
    processes: Processes, site: Site, workermodel: str
) -> None:
    """
    What is in hand is answered, in every model, though the master is no more.
    """
    master, port = startMaster(
        processes, APP, site.folder, workers=1, workermodel=workermodel
    )
    client = Client(port)
    client.send("/slow")
    waitUntil(lambda: master.describe()["workers"][0]["current"], "the request")
    os.kill(master.pid, signal.SIGKILL)
    assert client.answer().status == 200
    client.close()
    waitUntil(lambda: inSession(master.pid) == [], "the end of all", 4.0)


NO_FORK = """
import os

REAL = os.fork

def fork():
    if os.path.exists("full"):
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return REAL()

os.fork = fork
"""


def test_outOfProcesses(processes: Processes, site: Site) -> None:
    """
    When the system gives no more processes the pool serves with what it has, says so,
    and tries again; a reload that cannot be made whole fails in time.
    """
    site.version(1, NO_FORK)
    master, port = startMaster(processes, APP, site.folder, workers=2, bootTimeout=2.5)
    full = site.folder / "full"
    full.touch()
    _, workers = workersOf(master)
    os.kill(workers[0], signal.SIGKILL)
    master.running.waitFor("Resource temporarily unavailable.*; serving with 1")
    assert get(port)[1] == str(workers[1])
    error = master.call("reload")["error"]
    assert "0 of 2 workers of pool 'web' were ready within boot-timeout = 2.5" in error
    assert get(port)[1] == str(workers[1])
    full.unlink()
    ready(master, 2)


# -- nothing is left behind


def test_nothingLeaks(processes: Processes, site: Site) -> None:
    """
    After many reloads, failed ones, and deaths of zygotes and workers the master has
    the descriptors, slots, timers and children that it had.
    """
    master, _ = startMaster(processes, APP, site.folder, workers=2)
    good = (site.folder / "poolsite.py").read_text()

    def holdings() -> tuple[object, ...]:
        return (
            len(os.listdir(f"/proc/{master.pid}/fd")),
            master.call("free")["ok"],
            len(childrenOf(master.pid)),
        )

    def round() -> None:
        assert "ok" in master.call("reload")
        site.write("syntax error")
        assert "error" in master.call("reload")
        site.write(good)
        zygote, (worker, _) = workersOf(master)
        os.kill(worker, signal.SIGKILL)
        waitUntil(lambda: not alive(worker), "the worker's end")
        ready(master, 2)
        generation = master.describe()["generation"]
        os.kill(zygote, signal.SIGKILL)
        ready(master, 2, generation + 1)

    round()
    before = holdings()
    for _ in range(3):
        round()
    waitUntil(lambda: holdings() == before, f"what there was: {before}")
    assert "ok" in master.call("down")
    assert master.call("timers")["ok"] == []
    assert inSession(master.pid) == [master.pid]


# -- up and down again


def test_upAgain(processes: Processes, site: Site) -> None:
    """
    A supervisor stops and starts the service: it serves again, and holds no more than
    before.
    """
    master, port = startMaster(processes, APP, site.folder, workers=2)
    before = opened(master.pid)
    for _ in range(3):
        assert "ok" in master.call("down")
        assert inSession(master.pid) == [master.pid]
        assert "ok" in master.call("up")
        assert get(port)[0] == "1"
    assert opened(master.pid) == before
    endsWithin(master, 8.0)


def test_upAgainAfterAFailure(processes: Processes, site: Site) -> None:
    """
    A start that failed can be tried again without a stop in between, and holds
    nothing.
    """
    master, port = startMaster(processes, APP, site.folder, workers=1)
    before = opened(master.pid)
    good = (site.folder / "poolsite.py").read_text()
    master.call("down")
    site.write("syntax error")
    for _ in range(3):
        assert "SyntaxError" in master.call("up")["error"]
    site.write(good)
    assert "ok" in master.call("up")
    assert get(port)[0] == "1"
    assert opened(master.pid) == before


def test_downDuringUp(processes: Processes, site: Site) -> None:
    """
    A stop ends a start that goes on.
    """
    master, _ = startMaster(processes, APP, site.folder, workers=1)
    master.call("down")
    site.version(1, "import time; time.sleep(50)")
    up = master.send("up")
    waitUntil(lambda: childrenOf(master.pid), "the zygote")
    assert "ok" in master.call("down")
    assert "error" in master.result(up)
    assert inSession(master.pid) == [master.pid]
    assert master.call("timers")["ok"] == []


def test_queuedReloadsEndWithTheService(processes: Processes, site: Site) -> None:
    """
    A stop ends the reload that goes on and the ones that wait behind it.
    """
    master, _ = startMaster(processes, APP, site.folder, workers=1)
    site.version(1, "import time; time.sleep(50)")
    numbers = [master.send("reload") for _ in range(3)]
    waitUntil(lambda: len(childrenOf(master.pid)) == 2, "the second zygote")
    assert "ok" in master.call("down")
    assert all("error" in master.result(number) for number in numbers)
    assert inSession(master.pid) == [master.pid]


# -- numbers


def test_scaleDuringReload(processes: Processes, site: Site) -> None:
    """
    The coming generation has the number that was asked for meanwhile.
    """
    site.version(1, "import time; time.sleep(0.7)")
    master, _ = startMaster(processes, APP, site.folder, workers=2)
    for count in (4, 1):
        reload = master.send("reload")
        waitUntil(lambda: len(childrenOf(master.pid)) == 2, "the second zygote")
        assert "ok" in master.call(f"scale {count}")
        assert "ok" in master.result(reload)
        ready(master, count)


def test_reloadDuringScale(processes: Processes, site: Site) -> None:
    """
    Both commands end, and the number is the new one.
    """
    master, _ = startMaster(processes, APP, site.folder, workers=1)
    numbers = [master.send("scale 4"), master.send("reload"), master.send("scale 2")]
    assert all("ok" in master.result(number) for number in numbers)
    ready(master, 2, generation=2)


def test_manyGenerationsAtOnce(processes: Processes, site: Site) -> None:
    """
    When long requests keep so many generations that the scoreboard is full, a reload
    waits for the first of them to go.
    """
    master, port = startMaster(
        processes,
        APP,
        site.folder,
        workers=2,
        gracefulTimeout=3,
        timeout=0,
        constants={"svctree.pool.shared._LEAST_SLOTS": 8},
    )
    numbers = []
    for generation in range(1, 6):
        workers = [
            w for w in master.describe()["workers"] if w["generation"] == generation
        ]
        assert len(workers) == 2
        for worker in workers:
            os.kill(worker["pid"], signal.SIGSTOP)
        numbers.append(master.send("reload"))
        if generation < 5:
            waitUntil(
                lambda g=generation: master.describe()["generation"] > g,  # type: ignore[misc]
                "the next generation",
                30.0,
            )
    assert all("ok" in master.result(number) for number in numbers)
    assert get(port)[0] == "1"


def test_drain(processes: Processes, site: Site) -> None:
    """
    A drained pool has no workers, says so when it is to be scaled, and a reload fills
    it again.
    """
    master, port = startMaster(processes, APP, site.folder, workers=2)
    client = Client(port)
    client.send("/slow")
    waitUntil(
        lambda: any(w["current"] for w in master.describe()["workers"]), "the request"
    )
    assert "ok" in master.call("drain")
    assert client.answer().status == 200
    client.close()
    waitUntil(lambda: inSession(master.pid) == [master.pid], "no workers")
    assert "was drained" in master.call("scale 2")["error"]
    assert "error" in master.call("ping")
    assert "ok" in master.call("reload")
    assert get(port)[0] == "1"
    ready(master, 2, generation=2)
