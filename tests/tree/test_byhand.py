"""
C{terminateChild}, C{restartChild} and C{deleteChild}, at all moments.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from svctree.service import MultiService
from svctree.testing import FakeService, clockedSupervisor, statesOf
from svctree.tree import DynamicSupervisor, State
from svctree.tree.errors import (
    ChildIsRestarting,
    NotAChild,
    StartInterrupted,
    SupervisorIsDown,
    TooManyChildren,
)
from svctree.tree.events import ChildDropped


@pytest.mark.parametrize(
    "method", ["terminateChild", "restartChild", "deleteChild", "placementOf"]
)
def test_stranger(method: str) -> None:
    """
    A supervisor refuses to do anything about a service that is not its child.
    """
    home = MultiService()
    stranger = FakeService("x")
    stranger.setServiceParent(home)
    supervisor, _ = clockedSupervisor({"a": FakeService()})
    supervisor.startService()
    with pytest.raises(NotAChild):
        getattr(supervisor, method)(stranger)
    assert stranger.parent is home
    assert list(home) == [stranger]
    assert stranger.journal == []


def test_restartUnderBackOff() -> None:
    """
    A child that is about to be restarted is not started a second time by hand; after
    C{terminateChild} it may be.
    """
    made: list[FakeService] = []

    def make() -> FakeService:
        made.append(FakeService())
        return made[-1]

    supervisor, clock = clockedSupervisor(maxRestarts=10)
    supervisor.addChild(make, "a")
    supervisor.startService()
    for reason in ("first", "second"):
        made[-1].crash(ValueError(reason))
    with pytest.raises(ChildIsRestarting) as refused:
        supervisor.restartChild("a")
    assert refused.value.path == "/a"
    clock.advance(10)
    assert [each.phase for each in made] == ["down", "down", "up"]
    made[-1].crash(ValueError("third"))
    supervisor.terminateChild("a")
    supervisor.restartChild("a")
    clock.advance(10)
    assert [each.phase for each in made] == ["down"] * 3 + ["up"]


def test_restartWhileItsGroupEnds() -> None:
    """
    A child that was terminated and started by hand, while its siblings are stopped for
    a restart of all, is not started again with them.
    """
    a, b = FakeService(stopsLater=True), FakeService()
    supervisor, _ = clockedSupervisor({"a": a, "b": b}, strategy="oneForAll")
    supervisor.startService()
    b.crash(ValueError("b"))
    supervisor.terminateChild("b")
    supervisor.restartChild("b")
    a.down()
    assert statesOf(supervisor) == {"a": "running", "b": "running"}
    assert (a.starts, b.starts) == (2, 2)
    assert a.journal.misuses == b.journal.misuses == []


def test_restartUnderStoppedSupervisor() -> None:
    """
    Nobody is started under a supervisor that does not run.
    """
    a = FakeService()
    supervisor, _ = clockedSupervisor({"a": a})
    for _ in range(2):
        with pytest.raises(SupervisorIsDown) as refused:
            supervisor.restartChild("a")
        assert refused.value.path == "/"
        assert a.phase == "down"
        supervisor.startService()
        supervisor.stopService()


def test_terminateWhileStarting() -> None:
    """
    Terminating a child that has not come up yet is no failure of the start; it starts
    with the others the next time.
    """
    b = FakeService(startsLater=True)
    supervisor, _ = clockedSupervisor(
        {"a": FakeService(), "b": b, "c": FakeService(startsLater=True)}
    )
    starting = supervisor.startService()
    supervisor.terminateChild("c")
    supervisor.terminateChild("b")
    assert starting.called
    assert statesOf(supervisor) == {"a": "running", "b": "stopped", "c": "new"}
    supervisor.stopService()
    supervisor.startService()
    assert statesOf(supervisor)["b"] == "starting"


def test_terminateTemporary() -> None:
    """
    A temporary child that is terminated is dropped, as in OTP.
    """
    supervisor, _ = clockedSupervisor()
    dropped: list[Any] = []
    supervisor.subscribe(
        lambda event: dropped.append(event) if isinstance(event, ChildDropped) else None
    )
    a = FakeService("a")
    supervisor.place(a, restart="temporary")
    supervisor.startService()
    supervisor.terminateChild("a")
    assert list(supervisor) == []
    assert a.parent is None
    assert [event.path for event in dropped] == ["/a"]


def test_dynamicChildrenThatAreDownForGood() -> None:
    """
    What a dynamic supervisor does not restart is no child any more, and makes room; a
    restart takes no room.
    """
    clock = Clock()
    pool = DynamicSupervisor(
        FakeService,
        maxChildren=2,
        clock=clock,
        random=lambda: 0.5,
        defaults={"restart": "transient"},
    )
    pool.startService()
    ann, bob = pool.startChild("ann"), pool.startChild("bob")
    ann.crash(ValueError("ann"))
    pool.getServiceNamed("ann").crash(ValueError("ann, again"))
    with pytest.raises(TooManyChildren):
        pool.startChild("eve")
    clock.advance(10)
    assert statesOf(pool) == {"ann": "running", "bob": "running"}
    bob.finish()
    assert statesOf(pool) == {"ann": "running"}
    pool.startChild("eve")
    pool.terminateChild("ann")
    assert statesOf(pool) == {"eve": "running"}


def test_significantUnderBackOff() -> None:
    """
    C{allSignificant} counts a child that waits for its restart as one that lives.
    """
    supervisor, clock = clockedSupervisor(maxRestarts=10, autoShutdown="allSignificant")
    a, b = FakeService("a"), FakeService("b")
    for service in (a, b):
        supervisor.place(service, restart="transient", significant=True)
    supervisor.startService()
    a.crash(ValueError("first"))
    a.crash(ValueError("second"))
    b.finish()
    assert supervisor.state is State.RUNNING
    clock.advance(1)
    assert statesOf(supervisor) == {"a": "running", "b": "stopped"}
    supervisor.onDown = lambda failure: None
    a.finish()
    assert str(supervisor.state) == "failed"


def test_restartWhileStopping() -> None:
    """
    A child that was terminated and still stops is started when it has stopped, unless
    it is terminated again or its supervisor stops.
    """
    for interrupt in (None, "terminate", "stop", "remove"):
        a = FakeService(stopsLater=True)
        supervisor, _ = clockedSupervisor({"a": a})
        supervisor.startService()
        supervisor.terminateChild("a")
        outcomes: list[Any] = []
        supervisor.restartChild("a").addBoth(outcomes.append)
        assert a.journal == ["start a", "stop a"]
        if interrupt == "terminate":
            supervisor.terminateChild("a")
        elif interrupt == "stop":
            supervisor.stopService()
        elif interrupt == "remove":
            a.disownServiceParent()
        a.down()
        if interrupt is None:
            assert outcomes == [None]
            assert a.journal[2:] == ["privileged a", "start a"]
        else:
            assert outcomes[0].check(StartInterrupted)
            assert a.phase == "down"
        assert a.journal.misuses == []
