"""
The options C{slowlog} and C{slow-request}, in real daemons.
"""

from __future__ import annotations

import re

import pytest

from tests.cli.conftest import Site
from tests.support.processes import waitUntil

SLOW = """\
import time
def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        dawdle()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]

def dawdle():
    time.sleep(2.5)
"""


@pytest.mark.parametrize("model", ["prefork", "threaded"])
def test_stacks(site: Site, model: str) -> None:
    """
    A request that takes longer has one entry, with what it was doing; it is answered
    all the same. Others have none. After C{mv} and C{logrotate} entries are in the new
    file.
    """
    site.app(code=SLOW)
    site.file("slowlog = slow.log\nslow-request = 300ms\n", workermodel=model)
    site.start()
    path = site.folder / "slow.log"
    assert site.get() == b"done"
    assert site.get("slow") == b"done"
    waitUntil(lambda: "in dawdle" in path.read_text(), "the stacks")
    text = path.read_text()
    entry = r"(?m)^\S+ web: worker \d+ \(pid \d+\): 'GET /slow HTTP/1.1' runs for \d"
    assert len(re.findall(entry, text)) == 1
    assert text.count("in dawdle") == 1
    path.rename(site.folder / "old.log")
    assert site.svctree("logrotate").returncode == 0
    waitUntil(path.exists, "the new file")
    assert site.get("slow") == b"done"
    waitUntil(lambda: "in dawdle" in path.read_text(), "the stacks in the new file")
    assert (site.folder / "old.log").read_text() == text


def test_inTheErrorLog(site: Site) -> None:
    """
    Without C{slowlog} the entries are in the error log.
    """
    site.app(code=SLOW)
    site.file("slow-request = 300ms\n")
    site.start()
    assert site.get("slow") == b"done"
    waitUntil(lambda: "in dawdle" in site.log, "the stacks")
    assert "'GET /slow HTTP/1.1' runs for" in site.log
