"""
The option C{accesslog}, in real daemons.
"""

from __future__ import annotations

import socket
import urllib.parse

import pytest

from tests.cli.conftest import Site
from tests.support.processes import waitUntil


@pytest.mark.parametrize("model", ["prefork", "threaded"])
def test_lines(site: Site, model: str) -> None:
    """
    Every request has a line, refused ones as well; after C{mv} and C{logrotate} the
    lines are in the new file.
    """
    site.file("accesslog = access.log\n", workermodel=model)
    site.start()
    path = site.folder / "access.log"
    site.get()
    waitUntil(
        lambda: '"GET / HTTP/1.1" 200 6 "-" "Python' in path.read_text(), "a line"
    )
    where = urllib.parse.urlparse(site.url())
    with socket.create_connection((where.hostname, where.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 400")
    waitUntil(lambda: '"-" 400' in path.read_text(), "the line of the refusal")
    moved = site.folder / "old.log"
    path.rename(moved)
    assert site.svctree("logrotate").returncode == 0
    waitUntil(path.exists, "the new file")
    before = moved.read_text()
    for _ in range(4):
        site.get()
    waitUntil(lambda: path.read_text().count(" 200 ") == 4, "the lines")
    assert moved.read_text() == before


def test_cannotOpen(site: Site) -> None:
    """
    A file that cannot be opened ends the start with one line.
    """
    site.file("accesslog = /proc/nowhere/access.log\n")
    done = site.svctree("start")
    assert done.returncode == 3
    assert done.stderr.startswith("svctree: accesslog /proc/nowhere/access.log: cannot")
    assert len(done.stderr.splitlines()) == 1
    site.assertNothingLeft()


def test_unknownAtom(site: Site) -> None:
    """
    An atom that does not exist is bad configuration.
    """
    site.file("accesslog = -\naccesslog-format = %(h)s %(y)s\n")
    done = site.svctree("start")
    assert done.returncode == 78
    assert "accesslog-format: %(y)s is no atom, expected one of h l u" in done.stderr
