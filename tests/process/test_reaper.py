"""
L{svctree.process.reaper}, in this process and as process 1 of a container.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from svctree.process import ReaperService
from tests.support.accounts import needsRoot
from tests.support.daemons import Daemon
from tests.support.processes import childrenOf, waitUntil

ORPHANS = """
import os

def application(environ, start_response):
    # A child whose own child outlives it, and then ends as somebody else's.
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            os.read(os.open(os.environ["FIFO"], os.O_RDONLY), 1)
        os._exit(0)
    os.waitpid(child, 0)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]
"""


def test_twiceDead() -> None:
    """
    A dead child is buried at the second look, one that lives is left alone.
    """
    clock = Clock()
    service = ReaperService(1.0, clock)
    dead = subprocess.Popen(["true"])
    living = subprocess.Popen(["sleep", "60"])
    stat = Path(f"/proc/{dead.pid}/stat")
    waitUntil(lambda: " Z " in stat.read_text(), "its death")
    service.startService()
    assert stat.exists()
    clock.advance(1.0)
    assert not stat.exists()
    assert Path(f"/proc/{living.pid}").exists()
    service.stopService()
    assert clock.getDelayedCalls() == []
    dead.wait()
    living.kill()
    living.wait()


@contextlib.contextmanager
def processOne(daemon: Daemon, **environment: str) -> Iterator[int]:
    """
    The master as process 1 of a namespace, which TERM ends with status 0.

    @return: its pid, as seen from outside.
    """
    argv = ["unshare", "--pid", "--fork", "--mount-proc", *daemon.argv("run")]
    if subprocess.run([*argv[:4], "true"], check=False).returncode:
        pytest.skip("no pid namespaces here")
    with subprocess.Popen(argv, env={**os.environ, **environment}) as process:
        try:
            daemon.waitForLog("ready, pid 1")
            (master,) = childrenOf(process.pid)
            yield master
            os.kill(master, signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            for pid in childrenOf(process.pid):
                os.kill(pid, signal.SIGKILL)
            process.kill()


def waitForBurial(pids: Iterable[int]) -> None:
    for pid in pids:
        stat = Path(f"/proc/{pid}")
        waitUntil(lambda stat=stat: not stat.exists(), "the burial", 20.0)


@needsRoot
def test_processOne(daemon: Daemon, tmp_path: Path) -> None:
    """
    As process 1 of a container the master buries the orphans of its workers, and
    TERM ends it with status 0.
    """
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    daemon.writeApplication(ORPHANS)
    daemon.configure(detach="no", workers=1)
    with processOne(daemon, FIFO=str(fifo)) as master:
        before = childrenOf(master)
        assert daemon.get() == "ok"
        orphans = waitUntil(lambda: set(childrenOf(master)) - set(before), "the orphan")
        fifo.write_bytes(b"x")
        waitForBurial(orphans)


@needsRoot
def test_killedZygoteOfProcessOne(daemon: Daemon) -> None:
    """
    As process 1 the master becomes the parent of the workers whose zygote was killed:
    it sees their end, buries them, and serves on with others.
    """
    daemon.configure(detach="no", workers=2)
    with processOne(daemon) as master:
        (zygote,) = childrenOf(master)
        old = [zygote, *childrenOf(zygote)]
        os.kill(zygote, signal.SIGKILL)
        waitForBurial(old)
        (other,) = childrenOf(master)
        assert len(childrenOf(other)) == 2
        assert daemon.get() == "hello"
