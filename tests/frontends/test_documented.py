"""
The documentation of front ends.
"""

from __future__ import annotations

import re

from tests.frontends import test_apache, test_lighttpd, test_nginx, test_spawned
from tests.frontends.checks import FrontEndChecks
from tests.frontends.servers import LISTINGS, TOP


def test_everyListingIsShown() -> None:
    """
    Each listing stands on a page.
    """
    pages = "".join(page.read_text() for page in (TOP / "docs").glob("*/*.rst"))
    shown = set(re.findall(r"/listings/frontends/(\S+)", pages))
    assert shown == {path.name for path in LISTINGS.iterdir()}


def test_everyListingIsRun() -> None:
    """
    Each listing is the configuration of some class of tests.
    """
    run = set()
    for module in (test_apache, test_lighttpd, test_nginx, test_spawned):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, FrontEndChecks):
                run.add(getattr(value, "file", ""))
    assert {path.name for path in LISTINGS.iterdir()} <= run


def test_everyBehaviourIsTested() -> None:
    """
    Each of the 22 behaviours of the page has a test that names it.
    """
    page = (TOP / "docs" / "explanation" / "gateways.rst").read_text()
    listed = [int(number) for number in re.findall(r"^(\d+)\. ", page, re.MULTILINE)]
    assert listed == list(range(1, 23))
    for path, name in re.findall(r"``(tests/\S+?)::(\w+)``", page):
        found = re.search(rf"(def|class) {name}\b", (TOP / path).read_text())
        assert found, f"{path} has no {name}"
    tests = (TOP / "tests" / "wire" / "test_behaviours.py").read_text()
    named = {int(number) for number in re.findall(r"def test_(\d\d)_", tests)}
    assert named == set(listed)
