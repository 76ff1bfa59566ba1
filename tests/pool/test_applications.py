"""
Applications that misbehave: when they are imported, and while they serve.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pool.conftest import Site
from tests.pool.test_chaos import endsWithin, ready
from tests.pool.test_processes import APP, get, workersOf
from tests.support.http import Broken, Client
from tests.support.master import Driven, beginMaster, startMaster
from tests.support.processes import (
    Processes,
    alive,
    childrenOf,
    inSession,
    waitUntil,
)

HARMLESS = {
    "a thread that never ends": (
        "from threading import Thread\nfrom time import sleep\n"
        "Thread(target=sleep, args=(99,)).start()"
    ),
    "warnings are errors, with a thread": (
        "import threading, time, warnings\nwarnings.simplefilter('error')\n"
        "threading.Thread(target=time.sleep, args=(99,), daemon=True).start()"
    ),
    "ignores what ends": (
        "import signal\nfor n in (2, 15, 1, 17): signal.signal(n, signal.SIG_IGN)"
    ),
    "dies of what is passed on": (
        "import signal\nfor n in (2, 1): signal.signal(n, signal.SIG_DFL)"
    ),
    "blocks signals": (
        "from signal import *\npthread_sigmask(SIG_BLOCK, valid_signals())"
    ),
    "sets an alarm": "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0.5)",
    "goes elsewhere": "import os\nos.chdir('/')",
    "prints garbage": (
        "import os\nfor fd in 1, 2: os.write(fd, bytes(range(256)) * 16 + b'\\n')"
    ),
    "closes its streams": "import sys\nsys.stdout.close()\nsys.stderr.close()",
    "has no streams": "import sys\nsys.stdout = sys.stderr = None",
    "hangs at exit": "import atexit, time\natexit.register(time.sleep, 99)",
    "fails at exit": "import atexit\natexit.register(lambda: 1 / 0)",
    "modules that are no modules": (
        "import sys\n"
        "class Lazy:\n"
        "    def __getattr__(self, name): raise ImportError(name)\n"
        "sys.modules['lazy'] = Lazy()\n"
        "class Odd: __file__ = 17\n"
        "sys.modules['odd'] = Odd()\n"
        "sys.modules['\\udcff'] = type(sys)('x')\n"
        "sys.modules['\\udcff'].__file__ = '/\\udcff.py'"
    ),
    "a hundred thousand files": (
        "import sys\n"
        "for n in range(100_000):\n"
        "    sys.modules[f'many{n}'] = m = type(sys)('m')\n"
        "    m.__file__ = f'/' + 'x' * 200 + f'/{n}.py'"
    ),
}


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Driven, Site]]:
    """
    A master whose pool is down, ready to be brought up with what stands in the site,
    and to be brought down again; to start a master each time would take longer than
    the tests.
    """
    processes = Processes(watchdog=300)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        site = Site(tmp_path_factory.mktemp("still"))
        master, _ = startMaster(
            processes, APP, site.folder, workers=1, gracefulTimeout=1.5
        )
        assert "ok" in master.call("down")
        yield master, site
    list(processes.close())


@pytest.mark.parametrize("what", HARMLESS)
def test_import(still: tuple[Driven, Site], what: str) -> None:
    """
    What an application does when it is imported does not keep it from being served,
    its workers from being replaced, a signal to the whole group from being the
    master's, and the pool from ending in time.
    """
    master, site = still
    site.version(1, HARMLESS[what])
    assert "ok" in master.call("up")
    serves(master, master.port, lasting="ITIMER_REAL" in HARMLESS[what])
    begun = time.monotonic()
    assert "ok" in master.call("down")
    assert time.monotonic() - begun < 9.0
    assert inSession(master.pid) == [master.pid]


def serves(master: Driven, port: int, lasting: bool = False) -> None:
    """
    A worker serves, and so does its successor; neither is ended by signals that are
    meant for the master.
    """
    assert get(port)[0] == "1"
    (worker,) = (w["pid"] for w in master.describe()["workers"])
    os.kill(worker, signal.SIGKILL)
    waitUntil(lambda: not alive(worker), "the worker's end")
    found = ready(master, 1)
    zygote = found["workers"][0]["zygote"]  # type: ignore[index]
    for pid in (zygote, found["workers"][0]["pid"]):  # type: ignore[index]
        os.kill(pid, signal.SIGHUP)
        os.kill(pid, signal.SIGINT)
    if lasting:
        begun = time.monotonic()
        waitUntil(lambda: time.monotonic() - begun > 0.6, "an alarm to ring")
    assert get(port)[0] == "1"
    described = master.describe()
    assert described["generation"] == 1
    assert [w["pid"] for w in described["workers"]] == [
        w["pid"]
        for w in found["workers"]  # type: ignore[attr-defined]
    ]


def test_importThatForks(processes: Processes, site: Site) -> None:
    """
    A child that the import forks, and that stays, keeps neither the pool from being
    served and from ending, nor the port.
    """
    site.version(
        1, "import os, time\nif os.fork() == 0:\n    time.sleep(99)\n    os._exit(0)"
    )
    master, port = startMaster(processes, APP, site.folder, workers=1)
    (zygote,) = childrenOf(master.pid)
    (stray,) = set(childrenOf(zygote)) - {
        w["pid"] for w in master.describe()["workers"]
    }
    serves(master, port)
    master.running.signal(signal.SIGTERM)
    waitUntil(lambda: not alive(master.pid), "the end", 9.0)
    assert inSession(master.pid) == [stray]
    socket.create_server(("127.0.0.1", port)).close()
    os.kill(stray, signal.SIGKILL)


FAILING = {
    "an enormous message": ("raise ValueError('x' * 50_000_000)", "ValueError: xxx"),
    "an endless traceback": (
        "def f(): f()\nf()",
        "RecursionError: maximum recursion depth",
    ),
    "two lines": ("raise ValueError('one\\ntwo')", "ValueError: one"),
    "a note": (
        "e = ValueError('one')\ngetattr(e, 'add_note', print)('a note')\nraise e",
        "its import raised ValueError: one",
    ),
    "half a character": ("raise ValueError('\\udcff')", "ValueError: \\udcff"),
    "no message": ("raise KeyboardInterrupt", "its import raised KeyboardInterrupt"),
    "an error that cannot be printed": (
        "class E(Exception):\n    def __str__(self): raise ValueError\nraise E",
        "its import raised poolsite.E",
    ),
    "everything closed": ("import os\nos.closerange(3, 99)", "before it was ready"),
    "gone": ("import os\nos.kill(os.getpid(), 9)", "ended with signal 9"),
}


@pytest.mark.parametrize("what", FAILING)
def test_failedImport(still: tuple[Driven, Site], what: str) -> None:
    """
    However an import fails, the start fails with one line of readable length, and
    nothing is left.
    """
    master, site = still
    code, words = FAILING[what]
    site.version(1, code)
    answer = master.call("up")
    assert words in answer["error"]
    assert "\n" not in answer["error"]
    assert len(answer["error"]) < 700
    assert len(answer["details"]) < 70_000
    assert inSession(master.pid) == [master.pid]


def test_failingAttribute(processes: Processes, site: Site) -> None:
    """
    So it is for a module that fails when it is asked for the application; the process
    ends.
    """
    site.write("def __getattr__(name): raise RuntimeError('not today')")
    master, event = beginMaster(processes, "poolsite:nothing", site.folder)
    assert event["event"] == "failed"
    assert "RuntimeError: not today" in event["error"]
    assert "in __getattr__" in event["details"]
    master.running.wait()
    assert inSession(master.pid) == []


REQUESTS = """
import ctypes, multiprocessing, os, signal, sys, threading, time

def child():
    time.sleep(99)

def recurse(n=0):
    return recurse(n + 1) + 1

def application(environ, start_response):
    path = environ["PATH_INFO"]
    body = str(os.getpid())
    if path == "/sysexit":
        sys.exit(0)
    elif path == "/exit0":
        os._exit(0)
    elif path == "/abort":
        os.abort()
    elif path == "/segfault":
        ctypes.string_at(0)
    elif path == "/recurse":
        recurse()
    elif path == "/keyboard":
        raise KeyboardInterrupt
    elif path == "/generator":
        raise GeneratorExit
    elif path == "/closeall":
        os.closerange(3, 99)
    elif path == "/garbage":
        for fd in range(3, 20):
            try:
                os.write(fd, b"this is no message\\n")
            except OSError:
                pass
    elif path == "/signals":
        for number in (1, 2, 15, 17, 10):
            signal.signal(number, signal.SIG_IGN)
    elif path == "/fork":
        if os.fork() == 0:
            time.sleep(99)
            os._exit(0)
    elif path == "/forkexit":
        pid = os.fork()
        if pid == 0:
            sys.exit(7)
        body = str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    elif path == "/multiprocessing":
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.terminate()
        process.join()
        body = str(process.exitcode)
    elif path == "/randomness":
        import random
        body = str(random.random())
    elif path == "/blocked":
        read, write = os.pipe()
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        os.read(read, 1)
    elif path == "/slow":
        time.sleep(0.5)
    body = body.encode()
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(body)))])
    return [body]
"""


def test_deadlyRequests(processes: Processes, site: Site) -> None:
    """
    The client is told by a close, the worker is replaced, and that can be seen.
    """
    site.write(REQUESTS)
    master, port = startMaster(processes, APP, site.folder, workers=1)
    for count, path in enumerate(["/exit0", "/abort", "/segfault", "/closeall"], 1):
        (worker,) = get(port)
        client = Client(port)
        client.send(path)
        with pytest.raises(Broken):
            client.answer()
        client.close()
        waitUntil(lambda pid=int(worker): not alive(pid), "its end")  # type: ignore[misc]
        ready(master, 1)
        assert get(port) != [worker]
        assert master.describe()["crashes"] == count
    endsWithin(master, 8.0)


def test_strangeExceptions(processes: Processes, site: Site) -> None:
    """
    They are failures of the one request, and no more.
    """
    site.write(REQUESTS)
    master, port = startMaster(processes, APP, site.folder, workers=1)
    _, (worker,) = workersOf(master)
    for path in ("/sysexit", "/recurse", "/keyboard", "/generator"):
        client = Client(port)
        assert client.get(path).status == 500, path
        client.close()
        assert get(port) == [str(worker)]


@pytest.mark.parametrize("path", ["/garbage", "/signals"])
def test_strangeDeeds(processes: Processes, site: Site, path: str) -> None:
    """
    An application that writes to all descriptors, or ignores all signals, hurts itself
    at most: the pool goes on and ends in time.
    """
    site.write(REQUESTS)
    master, port = startMaster(processes, APP, site.folder, workers=2)
    zygote, _ = workersOf(master)
    client = Client(port)
    client.send(path)
    try:
        client.answer()
    except (Broken, ValueError):
        # The client got some, too.
        assert path == "/garbage"
    client.close()
    assert get(port)
    assert "ok" in master.call("ping")
    assert workersOf(master)[0] == zygote
    endsWithin(master, 8.0)


def test_children(processes: Processes, site: Site) -> None:
    """
    A child that the application forks ends as children do: by C{sys.exit}, and by
    SIGTERM, which its worker hears nothing of.
    """
    site.write(REQUESTS)
    master, port = startMaster(processes, APP, site.folder, workers=1)
    _, (worker,) = workersOf(master)
    assert get(port, "/forkexit") == ["7"]
    assert get(port, "/multiprocessing") == [str(-signal.SIGTERM)]
    assert get(port) == [str(worker)]
    assert master.describe()["workers"][0]["state"] in ("idle", "busy")


def test_childThatStays(processes: Processes, site: Site) -> None:
    """
    It keeps neither the port nor the pool's end.
    """
    site.write(REQUESTS)
    master, port = startMaster(processes, APP, site.folder, workers=1)
    assert get(port, "/fork")
    master.running.signal(signal.SIGTERM)
    waitUntil(lambda: not alive(master.pid), "the end", 8.0)
    (stray,) = inSession(master.pid)
    socket.create_server(("127.0.0.1", port)).close()
    os.kill(stray, signal.SIGKILL)


@pytest.mark.parametrize("keywords", [{}, {"threads": 2}])
def test_blockedForGood(
    processes: Processes, site: Site, keywords: dict[str, object]
) -> None:
    """
    A request in a system call that never returns, with every signal blocked, is over
    its limit like any other.
    """
    site.write(REQUESTS)
    master, port = startMaster(
        processes, APP, site.folder, workers=1, timeout=0.5, **keywords
    )
    client = Client(port)
    begun = time.monotonic()
    client.send("/blocked")
    with pytest.raises(Broken):
        client.answer()
    assert time.monotonic() - begun < 10
    client.close()
    master.running.waitFor("GET /blocked HTTP/1.1' runs for")
    ready(master, 1)


def test_random(processes: Processes, site: Site) -> None:
    """
    No two workers draw the same numbers, nor does a successor those of its
    predecessor.
    """
    site.write("import random\nrandom.seed(1)\n" + REQUESTS)
    master, port = startMaster(processes, APP, site.folder, workers=1)
    drawn = set()
    for _ in range(4):
        drawn.add(get(port, "/randomness")[0])
        (worker,) = (w["pid"] for w in master.describe()["workers"])
        os.kill(worker, signal.SIGKILL)
        waitUntil(lambda w=worker: not alive(w), "its end")  # type: ignore[misc]
        ready(master, 1)
    assert len(drawn) == 4


def test_inheritedSignals(processes: Processes, site: Site) -> None:
    """
    What an application starts can be ended like any program: it inherits no ignored
    signals.
    """
    site.version(1, "import subprocess\nCHILD = subprocess.Popen(['sleep', '99'])\n")
    master, _ = startMaster(processes, APP, site.folder, workers=1)
    zygote, children = workersOf(master)
    sleeper = next(
        pid for pid in children if b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    status = Path(f"/proc/{sleeper}/status").read_text()
    ignored = int(status.split("SigIgn:")[1].split()[0], 16)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        assert not ignored & (1 << (number - 1))
    assert alive(zygote)
