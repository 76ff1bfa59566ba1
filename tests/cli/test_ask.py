"""
The commands that a running daemon answers.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import pytest

from tests.cli.conftest import Site
from tests.support.processes import alive, waitUntil

BUSY = """\
import os, time
def application(environ, start_response):
    open(os.path.join(os.path.dirname(__file__), "held"), "w").close()
    time.sleep(5)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"held"]
"""


def test_reload(site: Site) -> None:
    """
    When C{reload} returns, new code serves, in the same daemon.
    """
    pid = site.start()
    assert site.get() == b"first\n"
    site.app(b"second\n")
    done = site.svctree("reload")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "reloaded http and web\n",
        "",
    )
    for _ in range(4):
        assert site.get() == b"second\n"
    assert int(site.pidfile.read_text()) == pid
    assert alive(pid)


def test_reloadOfBrokenCode(site: Site) -> None:
    """
    A C{reload} onto code that does not come up fails with the traceback; the old
    workers serve on, status says so, and the next good reload works.
    """
    site.start()
    site.app(code="def broken(:\n")
    done = site.svctree("reload")
    assert done.returncode == 1
    assert done.stderr.startswith("svctree: ")
    assert "reload failed" in done.stderr.splitlines()[0]
    assert f'File "{site.folder}/app.py", line 1' in done.stderr
    assert done.stderr.rstrip().splitlines()[-1].startswith("SyntaxError")
    assert site.get() == b"first\n"
    assert "the last reload failed" in site.svctree("status").stdout
    site.app(b"third\n")
    assert site.svctree("reload").returncode == 0
    assert site.get() == b"third\n"
    assert "the last reload failed" not in site.svctree("status").stdout


def test_logrotateWaits(site: Site) -> None:
    """
    C{logrotate} returns when a worker that has a request in hand writes to the new
    file as well: the old one can be compressed.
    """
    site.app(
        code="import os, sys, time\n"
        "def application(environ, start_response):\n"
        "    open(os.path.join(os.path.dirname(__file__), 'held'), 'w').close()\n"
        "    time.sleep(1)\n"
        "    print('written late', file=sys.stderr, flush=True)\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [b'']\n"
    )
    site.start()
    asking = threading.Thread(target=site.get)
    asking.start()
    waitUntil((site.folder / "held").exists, "the request")
    moved = site.folder / "error.log.1"
    os.rename(site.folder / "error.log", moved)
    done = site.svctree("logrotate")
    assert done.returncode == 0, done.stderr
    assert moved.read_text().endswith("written late\n")
    asking.join()


def test_logrotate(site: Site) -> None:
    """
    After C{mv} and C{logrotate}, or C{logreopen}, everybody writes to the new file.
    """
    site.app(
        code="import sys\ndef application(environ, start_response):\n"
        "    print('written by a worker', file=sys.stderr, flush=True)\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [b'']\n"
    )
    site.start()
    url = site.url()
    for number, command in enumerate(["logrotate", "logreopen"]):
        moved = site.folder / f"error.log.{number}"
        os.rename(site.folder / "error.log", moved)
        size = moved.stat().st_size
        done = site.svctree(command)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"reopened {site.folder}/error.log\n"
        (site.folder / "error.log").write_text(f"http listens on {url}\n")
        site.get()
        waitUntil(lambda: "written by a worker" in site.log, "the line in the log")
        assert moved.stat().st_size == size
        moved.unlink()


def test_logrotateWithoutControl(site: Site) -> None:
    """
    Without a control socket the log is reopened by a signal.
    """
    site.file("control = none\n")
    pid = site.start()
    os.rename(site.folder / "error.log", site.folder / "old.log")
    done = site.svctree("logrotate")
    assert (done.returncode, done.stdout) == (
        0,
        f"asked pid {pid} to reopen its logs\n",
    )
    waitUntil((site.folder / "error.log").exists, "the new log")
    assert "app.ctl" not in site.leftovers()


def test_status(site: Site) -> None:
    """
    C{status} shows the daemon, its pool and every worker, for people and as JSON.
    """
    pid = site.start()
    site.get()
    shown = site.svctree("status").stdout.splitlines()
    assert shown[0].startswith(f"svctree is serving, pid {pid}, up ")
    assert shown[2].startswith("web: app:application over http at http://127.0.0.1:")
    assert shown[3].startswith("  prefork, 2 of 2 ready, generation 1, 1 requests,")
    head = ["PID", "GEN", "STATE", "REQUESTS", "CONNS", "MEMORY", "NOW"]
    assert shown[4].split() == head
    assert len(shown) == 7
    data = json.loads(site.svctree("status", "--json").stdout)
    assert data["pid"] == pid
    workers = data["services"]["web"]["workers"]
    assert {line.split()[0] for line in shown[5:]} == {str(w["pid"]) for w in workers}


def test_statusWhileBusy(site: Site) -> None:
    """
    The daemon answers while every worker is busy, and says with what.
    """
    site.app(code=BUSY)
    site.file(workers="1")
    site.start()
    asking = threading.Thread(target=site.get)
    asking.start()
    waitUntil((site.folder / "held").exists, "the request to begin")
    shown = site.svctree("status").stdout
    asking.join(20.0)
    assert " busy " in shown
    assert "GET / " in shown


def test_top(site: Site) -> None:
    """
    Without a terminal C{top} is one look.
    """
    site.start()
    done = site.svctree("top")
    assert done.returncode == 0
    assert done.stdout.count(" idle ") == 2


def test_tree(site: Site) -> None:
    """
    C{tree} draws the services; C{--json} has everything they report.
    """
    site.start()
    lines = site.svctree("tree").stdout.splitlines()
    names = ["svctree", "daemon", "http", "web", "control"]
    for line, name in zip(lines, names, strict=True):
        assert line.lstrip("├─└ ").startswith(name), lines
    data = json.loads(site.svctree("tree", "--json").stdout)
    assert [one["name"] for one in data["services"]] == names[1:]


def test_scale(site: Site) -> None:
    """
    When C{scale} returns, there are so many workers.
    """
    site.start()
    done = site.svctree("scale", "3")
    assert (done.returncode, done.stdout) == (0, "web: 3 workers\n")
    assert site.svctree("status").stdout.count(" idle ") == 3
    assert site.svctree("scale", "1").stdout == "web: 1 worker\n"
    waitUntil(lambda: site.svctree("status").stdout.count(" idle ") == 1, "one worker")


def test_scaleToNonsense(site: Site) -> None:
    """
    A number of workers that cannot be is refused with the bounds.
    """
    site.start()
    done = site.svctree("scale", "0")
    assert done.returncode in (1, 2)
    assert done.stderr.startswith("svctree: ")
    assert len(done.stderr.splitlines()) == 1
    done = site.svctree("scale", "3", "--pool", "wbe")
    assert done.returncode == 2
    assert "'wbe'" in done.stderr
    assert "web" in done.stderr


@pytest.mark.parametrize(
    "command",
    [["status"], ["tree"], ["top"], ["reload"], ["scale", "3"], ["logrotate"]],
)
def test_notRunning(site: Site, command: list[str]) -> None:
    """
    With none running these are status 7 and one line that says so.
    """
    done = site.svctree(*command)
    assert (done.returncode, done.stdout) == (7, "")
    assert done.stderr == (
        f"svctree: not running: nobody holds the pidfile {site.pidfile}\n"
    )


def test_noAnswer(site: Site) -> None:
    """
    A daemon without its control socket is told from none.
    """
    pid = site.start()
    (site.folder / "app.ctl").unlink()
    done = site.svctree("status")
    assert done.returncode == 1
    assert f"the daemon with pid {pid} does not answer" in done.stderr
    os.kill(pid, signal.SIGKILL)
    waitUntil(lambda: not alive(pid), "the daemon to die")
    assert site.svctree("status").returncode == 7


def test_controlIsPrivate(site: Site) -> None:
    """
    The control socket is its owner's alone.
    """
    site.start()
    assert (Path(site.folder) / "app.ctl").stat().st_mode & 0o777 == 0o600
