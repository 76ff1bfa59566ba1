"""
C{whenReady} at all moments, also when children go down before they are ready.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from svctree.service import MultiService
from svctree.testing import FakeService, buildTree, clockedSupervisor
from svctree.tree import Supervisor


class Probed(MultiService):
    """
    Is ready when the test says so.
    """

    probed: Deferred[None]

    def probe(self) -> Deferred[None]:
        self.probed = Deferred()
        return self.probed


def outcomesOf(ready: Deferred[Any]) -> list[Any]:
    """
    @return: a list that is going to have the result of C{ready}.
    """
    outcomes: list[Any] = []
    ready.addBoth(outcomes.append)
    return outcomes


def test_refused() -> None:
    """
    When the probe fails, everybody who asks for that start is told, also later.
    """
    container = Probed()
    container.startService()
    before = outcomesOf(container.whenReady())
    container.probed.errback(ValueError("no"))
    after = outcomesOf(container.whenReady())
    assert [failure.type for failure in before + after] == [ValueError] * 2
    container.stopService()
    container.startService()
    again = outcomesOf(container.whenReady())
    container.probed.callback(None)
    assert again == [None]


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("strategy", ["oneForOne", "oneForAll"])
def test_restarted(fresh: bool, strategy: str) -> None:
    """
    A supervisor is ready when a child that went down before it was ready is up again,
    and ready: the same object or a fresh one.
    """
    supervisor, clock = clockedSupervisor(strategy=strategy)
    supervisor.setName("sup")
    root = buildTree({"sup": supervisor})
    if fresh:
        supervisor.addChild(Probed, "web")
    else:
        web = Probed()
        web.setName("web")
        web.setServiceParent(supervisor)
    FakeService("other").setServiceParent(supervisor)
    root.startService()
    ready = outcomesOf(root.whenReady())
    for _ in range(2):
        root.lookup("sup/web").crashed(ValueError("down"))
    assert ready == []
    clock.advance(1)
    assert ready == []
    root.lookup("sup/web").probed.callback(None)
    assert ready == [None]


def test_nested() -> None:
    """
    So it is with a supervisor that gave up and is restarted.
    """
    supervisor, clock = clockedSupervisor()
    inner = Supervisor(maxRestarts=0, clock=clock)
    leaf, web = FakeService(), Probed()
    buildTree({"leaf": leaf, "web": web}, inner).setServiceParent(supervisor)
    supervisor.startService()
    ready = outcomesOf(supervisor.whenReady())
    leaf.crash(ValueError("leaf"))
    assert ready == []
    web.probed.callback(None)
    assert ready == [None]


@pytest.mark.parametrize("kind", [MultiService, Supervisor])
def test_removed(kind: Any) -> None:
    """
    Who is removed before it was ready is not waited for.
    """
    web, other = Probed(), Probed()
    container = buildTree({"web": web, "other": other}, kind())
    container.startService()
    ready = outcomesOf(container.whenReady())
    web.disownServiceParent()
    assert ready == []
    other.probed.callback(None)
    assert ready == [None]


def test_downForGood() -> None:
    """
    A supervisor does not wait for a child that is not restarted.
    """
    supervisor, _ = clockedSupervisor()
    for name in ("job", "batch", "web"):
        service = Probed()
        service.setName(name)
        supervisor.place(service, restart="transient")
    supervisor.startService()
    ready = outcomesOf(supervisor.whenReady())
    supervisor.getServiceNamed("job").finished()
    supervisor.terminateChild("batch")
    assert ready == []
    supervisor.getServiceNamed("web").probed.callback(None)
    assert ready == [None]


def test_givesUp() -> None:
    """
    It fails when the supervisor goes down.
    """
    supervisor, _ = clockedSupervisor({"web": Probed()}, maxRestarts=0)
    supervisor.onDown = lambda failure: None
    supervisor.startService()
    ready = outcomesOf(supervisor.whenReady())
    supervisor.getServiceNamed("web").crashed(ValueError("web"))
    assert len(ready) == 1
    assert "gave up" in str(ready[0].value)
