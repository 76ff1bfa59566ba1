"""
C{svctree start}: 0 when it serves, else the reason and nothing left behind.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.cli.conftest import Site
from tests.support.processes import alive

SLOW = """\
import time
time.sleep(0.7)
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"slow"]
"""


def test_servesWhenItReturns(site: Site) -> None:
    """
    C{start} returns 0 when the pool serves: a client that connects the moment after
    is answered, also when the application takes its time to import. It says where.
    """
    site.app(code=SLOW)
    done = site.svctree("start")
    assert site.get() == b"slow"
    pid = int(site.pidfile.read_text())
    socket = f"unix:{site.folder}/app.sock"
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"serving at {site.url()} and {socket} (pid {pid})\n"


def test_relativePaths(site: Site) -> None:
    """
    The paths of the file belong to its folder, whatever the working directory.
    """
    pid = site.start()
    assert sorted(site.leftovers()) == ["app.ctl", "app.pid", "app.sock"]
    assert os.readlink(f"/proc/{pid}/cwd") == "/"


@pytest.mark.parametrize(
    ("option", "expected"),
    [("", "0000"), ("umask = 027\n", "0027"), ("umask = inherit\n", "0051")],
)
def test_umask(site: Site, option: str, expected: str) -> None:
    """
    The mask is 0, or what the file says, or the caller's; in every process.
    """
    site.file(option)
    before = os.umask(0o051)
    try:
        site.start()
    finally:
        os.umask(before)
    found = site.processes()
    assert len(found) == 4
    for pid in found:
        status = Path(f"/proc/{pid}/status").read_text()
        assert f"Umask:\t{expected}\n" in status


def test_basedir(site: Site) -> None:
    """
    A relative C{basedir} belongs to the folder of the file, and holds for every
    process.
    """
    (site.folder / "work").mkdir()
    site.file("basedir = work\n")
    site.start()
    for pid in site.processes():
        assert os.readlink(f"/proc/{pid}/cwd") == f"{site.folder}/work"


def test_ordinaryUser(ordinarySite: Site) -> None:
    """
    The same for a user without any rights; C{user} is ignored with a notice.
    """
    ordinarySite.file("user = root\n")
    pid = ordinarySite.start()
    assert ordinarySite.get() == b"first\n"
    assert "not root: user and group (user root" in ordinarySite.log
    assert os.stat(f"/proc/{pid}").st_uid != 0
    assert ordinarySite.svctree("stop").returncode == 0
    ordinarySite.assertNothingLeft()


def test_secondStart(site: Site) -> None:
    """
    A second start fails with status 5, names the running pid and does not disturb it.
    """
    pid = site.start()
    done = site.svctree("start")
    assert done.returncode == 5
    assert done.stderr == (
        f"svctree: pidfile {site.pidfile}: already running with pid {pid}\n"
    )
    assert alive(pid)
    assert int(site.pidfile.read_text()) == pid
    assert site.get() == b"first\n"


def test_applicationRaises(site: Site) -> None:
    """
    An application whose import fails is status 4, with the reason in one line and
    the traceback below it.
    """
    site.app(code="import time\nraise RuntimeError('no such luck')\n")
    done = site.svctree("start")
    assert done.returncode == 4
    first, *rest = done.stderr.splitlines()
    assert first.startswith("svctree: ")
    assert "app" in first
    assert rest[0] == "Traceback (most recent call last):"
    assert f'File "{site.folder}/app.py", line 2' in done.stderr
    assert rest[-1] == "RuntimeError: no such luck"
    site.assertNothingLeft()


def test_applicationNotFound(site: Site) -> None:
    """
    A missing module and a missing name are status 4; the nearest name is offered.
    """
    site.file(application="app:aplication")
    done = site.svctree("start")
    assert done.returncode == 4
    assert done.stderr == (
        "svctree: application 'app:aplication': module 'app' has no attribute "
        "'aplication'; the nearest is 'application'\n"
    )
    site.file(application="ap:application")
    done = site.svctree("start")
    assert done.returncode == 4
    assert done.stderr == (
        "svctree: application 'ap:application': there is no module 'ap'; the nearest "
        "is 'app'\n"
    )
    site.assertNothingLeft()


def test_workersDoNotBoot(site: Site) -> None:
    """
    Workers that fail before they were ever ready are status 3, and no loop.
    """
    site.app(code="def application(e, s): ...\ndef boot():\n    raise SystemExit(9)\n")
    site.file("on-worker-start = app:boot\n")
    done = site.svctree("start")
    assert done.returncode == 3, done.stderr
    site.assertNothingLeft()


def test_bootTakesTooLong(site: Site) -> None:
    """
    So are workers that need longer than C{boot-timeout}.
    """
    site.app(code="import time\ntime.sleep(60)\n")
    site.file("boot-timeout = 500ms\n")
    done = site.svctree("start")
    assert done.returncode == 3, done.stderr
    assert "0.5" in done.stderr or "500ms" in done.stderr
    site.assertNothingLeft()


def test_portInUse(site: Site) -> None:
    """
    An address that somebody else has is one line that names it and the process.
    """
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        site.file(listen=f"127.0.0.1:{port}")
        done = site.svctree("start")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert f"127.0.0.1:{port}" in done.stderr
    assert f"process {os.getpid()}" in done.stderr
    site.assertNothingLeft()


@pytest.mark.parametrize(
    ("option", "path"),
    [
        ("pidfile", "/proc/nowhere/app.pid"),
        ("errorlog", "/proc/nowhere/error.log"),
        ("listen", "/proc/nowhere/app.sock"),
        ("control", "unix:/proc/nowhere/app.ctl"),
        ("basedir", "/proc/nowhere"),
    ],
)
def test_missingFolders(site: Site, option: str, path: str) -> None:
    """
    A folder that is not there is one line that names the path.
    """
    site.file(**{option: path})
    done = site.svctree("start")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "/proc/nowhere" in done.stderr
    site.assertNothingLeft()


def test_unknownUser(site: Site) -> None:
    """
    A user that does not exist is bad configuration, told with its place.
    """
    site.file("user = no-such-user-here\n")
    done = site.svctree("start")
    assert done.returncode == 78
    assert done.stderr.startswith(
        f"svctree: {site.folder}/app.ini:10: user: there is no user 'no-such-user-here'"
    )
    assert site.leftovers() == []


def test_badConfiguration(site: Site) -> None:
    """
    A bad file is status 78 with every problem, and nothing was touched.
    """
    site.file("timeot = 3\nthreads = x\n")
    done = site.svctree("start")
    assert done.returncode == 78
    assert done.stderr.splitlines() == [
        f"svctree: {site.folder}/app.ini:10: unknown option timeot; did you mean "
        "timeout?",
        f"svctree: {site.folder}/app.ini:11: threads: got 'x', expected a whole "
        "number, 1 or more",
    ]
    assert site.leftovers() == []
    assert not (site.folder / "error.log").exists()


def test_notDetached(site: Site) -> None:
    """
    C{detach = no} in the file keeps C{start} in the foreground, and says so.
    """
    site.file(detach="no", listen="/proc/nowhere/app.sock")
    done = site.svctree("start")
    assert "staying in the foreground" in done.stderr.splitlines()[0]


def test_withoutAFile(site: Site) -> None:
    """
    A daemon can be started by flags alone.
    """
    done = site.svctree("settings", "--json")
    assert done.returncode == 0
    site.file()
    pid = site.start("--workers", "1")
    assert site.svctree("status").stdout.count("idle") == 1
    assert alive(pid)
