"""
The seed's interface, from a program of somebody else.
"""

from __future__ import annotations

import subprocess
import urllib.request
from pathlib import Path

from tests.cli.conftest import Site
from tests.support.processes import Processes, alive

PROGRAM = Path(__file__).parents[2] / "docs" / "listings" / "command" / "program.py"

SEED = """\
[wtf]
protocol = http
mode = daemon
basedir = .
umask = 027
detach = {detach}
listen = 127.0.0.1:0 app.sock(660)
workermodel = threaded
errorlog = {errorlog}
pidfile = app.pid
"""


def run(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    python, *_ = site.command()
    return subprocess.run(
        [python, str(PROGRAM), str(site.folder / "app.ini"), *arguments],
        env=site.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_wholeLife(site: Site) -> None:
    """
    A file with the seed's options only, and the program of the documentation: start,
    second start, logrotate, stop, stop.
    """
    file = site.folder / "app.ini"
    file.write_text(SEED.format(detach="yes", errorlog="error.log"))
    done = run(site, "start")
    assert done.returncode == 0, done.stderr
    pid = int(site.pidfile.read_text())
    assert b"svctree works" in site.get()
    assert Path(f"/proc/{pid}/cwd").readlink() == site.folder
    assert "Umask:\t0027" in Path(f"/proc/{pid}/status").read_text()
    assert (site.folder / "app.sock").stat().st_mode & 0o777 == 0o660
    done = run(site, "start")
    assert done.returncode == 5
    assert done.stderr.rstrip().endswith(f"already running with pid {pid}")
    assert len(done.stderr.splitlines()) == 1
    (site.folder / "error.log").rename(site.folder / "old.log")
    assert run(site, "logrotate").returncode == 0
    assert (site.folder / "error.log").exists()
    (site.folder / "old.log").unlink()
    for _ in range(2):
        done = run(site, "stop")
        assert (done.returncode, done.stderr) == (0, "")
    assert not alive(pid)
    assert set(site.leftovers()) == set()


def test_failedStart(site: Site) -> None:
    """
    A failed start has the status of its reason, which is printed once.
    """
    site.app(code="raise RuntimeError('no such luck')\n")
    site.file()
    done = run(site, "start")
    assert done.returncode == 4
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.endswith("RuntimeError: no such luck\n")
    site.assertNothingLeft()


def test_foreground(site: Site, processes: Processes) -> None:
    """
    With C{detach = no} the program itself serves, whatever its arguments.
    """
    file = site.folder / "app.ini"
    file.write_text(SEED.format(detach="no", errorlog="-"))
    python, *_ = site.command()
    argv = [python, str(PROGRAM), str(file), "whatever"]
    running = processes.start(argv, env=site.environment)
    url = running.waitFor(r"serves .* at (http://127\.0\.0\.1:\d+/)")[1]
    with urllib.request.urlopen(url) as answer:
        assert b"svctree works" in answer.read()
    running.waitFor("ready, pid")
    assert running.terminate() == 0
    site.assertNothingLeft()
