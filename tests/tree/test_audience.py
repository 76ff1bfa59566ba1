"""
Who is told: nobody's events are not made, and somebody's are all there.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    LogPublisher,
    PredicateResult,
    formatEvent,
    globalLogBeginner,
)

from svctree.service import MultiService
from svctree.testing import FakeService
from svctree.tree import audience, events
from svctree.tree.books import MANY

Entries = list[dict[str, Any]]

NOBODY = FilteringLogObserver(lambda entry: None, [])._negativeObserver


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> LogPublisher:
    """
    The log, with nobody to read it.
    """
    publisher = LogPublisher()
    monkeypatch.setattr(audience, "globalLogPublisher", publisher)
    monkeypatch.setattr(audience._log, "observer", publisher)
    return publisher


@pytest.fixture
def beginner(monkeypatch: pytest.MonkeyPatch, log: LogPublisher) -> Any:
    """
    Logging that has not begun.
    """
    made = type(globalLogBeginner)(
        log, sys.stderr, sys, SimpleNamespace(showwarning=None)
    )
    monkeypatch.setattr(audience, "globalLogBeginner", made)
    return made


def tree(count: int) -> Any:
    """
    @return: a container of C{count} children.
    """
    top = MultiService()
    for _ in range(count):
        FakeService().setServiceParent(top)
    return top


def lines(entries: Entries) -> list[str]:
    return [formatEvent(entry) for entry in entries]


def only(level: Any) -> LogLevelFilterPredicate:
    return LogLevelFilterPredicate(defaultLogLevel=level)


def maybe(event: object) -> Any:
    """
    A predicate of somebody else's.
    """
    return PredicateResult.maybe


def test_whoListens(log: LogPublisher) -> None:
    """
    Only where no observer can take what is said of level "info", nobody listens.
    """
    read: Entries = []
    warnings, everything = only(LogLevel.warn), only(LogLevel.debug)
    everything.setLogLevelForNamespace("svctree", LogLevel.error)
    for observers, heard in [
        ([], False),
        ([read.append], True),
        ([NOBODY], False),
        ([FilteringLogObserver(read.append, [warnings])], False),
        ([FilteringLogObserver(read.append, [everything])], False),
        ([FilteringLogObserver(read.append, [only(LogLevel.info)])], True),
        ([FilteringLogObserver(read.append, [warnings], read.append)], True),
        ([FilteringLogObserver(NOBODY, [])], False),
        ([FilteringLogObserver(read.append, [maybe])], True),
        # What one says before may be "yes".
        ([FilteringLogObserver(read.append, [maybe, warnings])], True),
        ([LogPublisher(FilteringLogObserver(read.append, [warnings]))], False),
        ([LogPublisher(NOBODY, read.append)], True),
    ]:
        log._observers[:] = observers
        assert audience.listens(None) is heard, observers


def test_nobodyListens(log: LogPublisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where the log takes warnings only, no event is made of what goes well; what goes
    wrong is logged.
    """
    read: Entries = []
    log.addObserver(FilteringLogObserver(read.append, [only(LogLevel.warn)]))
    made: list[object] = []
    make = events.transition
    monkeypatch.setattr(
        events, "transition", lambda *facts: made.append(facts) or make(*facts)
    )
    top = tree(3)
    top.startService()
    top.stopService()
    assert made == []
    top.startService()
    top.services[1].crash(ZeroDivisionError("ouch"))
    assert lines(read) == ["/#1: running -> failed: ouch"]


def test_levelIsChanged(log: LogPublisher) -> None:
    """
    A level that is changed while the program runs counts from then on.
    """
    read: Entries = []
    level = only(LogLevel.warn)
    log.addObserver(FilteringLogObserver(read.append, [level]))
    top = tree(1)
    top.startService()
    assert lines(read) == []
    level.setLogLevelForNamespace("svctree.tree", LogLevel.info)
    FakeService("late").setServiceParent(top)
    assert lines(read) == ["/late: new -> running"]


def test_everyTransition(log: LogPublisher) -> None:
    """
    Who listens has a line for each transition of each child, however many there are,
    with its facts as fields.
    """
    read: Entries = []
    log.addObserver(read.append)
    count = 3 * MANY
    top = tree(count)
    top.startService()
    added = FakeService("added", startsLater=True)
    added.setServiceParent(top)
    added.up()
    added.disownServiceParent()
    top.stopService()
    assert lines(read) == [
        "/: new -> starting",
        *(f"/#{number}: new -> running" for number in range(count)),
        "/: starting -> running",
        "/added: new -> starting",
        "/added: starting -> running",
        "/added: running -> stopped",
        "/: running -> stopping",
        *(f"/#{number}: running -> stopped" for number in reversed(range(count))),
        "/: stopping -> stopped",
    ]
    assert {entry["log_namespace"] for entry in read} == {"svctree.tree"}
    facts = {key: str(read[1][key]) for key in ("path", "old", "new")}
    assert facts == {"path": "/#0", "old": "new", "new": "running"}


def test_beforeLoggingBegins(log: LogPublisher, beginner: Any) -> None:
    """
    What happens before logging begins is there when it does; except that a crowd does
    not fill the memory in which Twisted keeps it meanwhile.
    """
    read: Entries = []
    tree(MANY).startService()
    tree(MANY + 1).startService()
    beginner.beginLoggingTo([read.append], redirectStandardIO=False)
    mine = [entry for entry in read if entry["log_namespace"] == "svctree.tree"]
    assert len(mine) == 2 + MANY + 2
