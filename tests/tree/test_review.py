"""
Corners in which a container could lose count of a child.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.application import service as twisteds
from twisted.internet.defer import Deferred

from svctree.service import MultiService
from svctree.testing import FakeService, Journal, clockedSupervisor, statesOf


@pytest.fixture
def journal() -> Journal:
    """
    What the fakes of a test note.
    """
    return Journal()


def running(*services: Any) -> MultiService:
    """
    @return: a container that is up, with these children.
    """
    container = MultiService()
    for service in services:
        service.setServiceParent(container)
    container.startService()
    return container


def test_addedWhileItStops(journal: Journal) -> None:
    """
    A child that was removed and is still stopping starts, with its privileged phase,
    when it has stopped: where it was, and elsewhere.
    """
    for elsewhere in (False, True):
        slow = FakeService("slow", journal, stopsLater=True)
        container = running(slow)
        leaving = slow.disownServiceParent()
        assert isinstance(leaving, Deferred)
        journal.take()
        adding = slow.setServiceParent(running() if elsewhere else container)
        assert isinstance(adding, Deferred)
        assert journal.take() == []
        assert not adding.called
        slow.down()
        assert journal.take() == ["privileged slow", "start slow"]
        assert adding.called
        assert journal.misuses == []


def test_movedWhileRunning(journal: Journal) -> None:
    """
    A child moved to another running container has its privileged phase there, after
    its stop.
    """
    slow = FakeService("slow", journal, stopsLater=True)
    running(slow)
    journal.take()
    slow.setServiceParent(running())
    assert journal.take() == ["stop slow"]
    slow.down()
    assert journal.take() == ["privileged slow", "start slow"]


def test_readdedWhileItsRestartWaits(journal: Journal) -> None:
    """
    A child whose start waits for its stop, and which is taken out and put back in the
    meantime, is started once.
    """
    slow = FakeService("slow", journal, stopsLater=True)
    container = running(slow)
    container.stopService()
    container.startService()
    slow.disownServiceParent()
    slow.setServiceParent(container)
    slow.down()
    assert journal.misuses == []
    assert slow.starts == 2
    assert slow.phase == "up"


def test_removedWhileItsRestartWaits(journal: Journal) -> None:
    """
    A child that is taken out while its start waits for its stop is not started.
    """
    slow = FakeService("slow", journal, stopsLater=True)
    container = running(slow)
    container.stopService()
    starting = container.startService()
    slow.disownServiceParent()
    slow.down()
    assert slow.phase == "down"
    assert slow.starts == 1
    assert starting.called


@pytest.mark.parametrize("refused", ["name", "twice"])
def test_refusedTwistedService(refused: str) -> None:
    """
    Also a service of Twisted's own, which takes the parent before it asks, is left
    without one when it is refused.
    """
    container = MultiService()
    service = twisteds.Service()
    service.setName("a")
    if refused == "name":
        other = twisteds.Service()
        other.setName("a")
        other.setServiceParent(container)
        with pytest.raises(RuntimeError):
            service.setServiceParent(container)
        assert service.parent is None
        assert list(container) == [other]
    else:
        service.setServiceParent(container)
        with pytest.raises(RuntimeError):
            container.addService(service)
        assert service.parent is container
        assert list(container) == [service]


def test_refusedTwistedCycle() -> None:
    """
    A cycle through a container of Twisted's own is refused, and leaves none behind.
    """
    ours, theirs = MultiService(), twisteds.MultiService()
    ours.setServiceParent(theirs)
    with pytest.raises(RuntimeError):
        theirs.setServiceParent(ours)
    assert theirs.parent is None
    assert ours.path == "/"


def test_twistedServiceThatFails() -> None:
    """
    A service of Twisted's own that fails to start in a running container is let go.
    """

    class Failing(twisteds.Service):
        def startService(self) -> None:
            raise ZeroDivisionError

    container = running()
    service = Failing()
    with pytest.raises(ZeroDivisionError):
        service.setServiceParent(container)
    assert service.parent is None
    assert list(container) == []


def test_stopErrorOnRemoval(journal: Journal) -> None:
    """
    A child whose stop raises is removed all the same, and its pending start ended.
    """
    odd = FakeService("odd", journal, startsLater=True, stopError=ZeroDivisionError())
    container = MultiService()
    odd.setServiceParent(container)
    starting = container.startService()
    pending = odd.pending
    with pytest.raises(ZeroDivisionError):
        odd.disownServiceParent()
    assert odd.parent is None
    assert list(container) == []
    assert starting.called
    assert pending is not None
    assert pending.called


def test_supervisorStartedWhileItStops(journal: Journal) -> None:
    """
    A supervisor that is started while it stops its children one by one finishes that
    first: nobody is started and then stopped by the old stop, or left out.
    """
    supervisor, _ = clockedSupervisor(
        {
            "first": FakeService(None, journal),
            "slow": FakeService(None, journal, stopsLater=True),
        }
    )
    supervisor.startService()
    journal.take()
    stopping = supervisor.stopService()
    starting = supervisor.startService()
    assert journal.take() == ["stop slow"]
    supervisor.getServiceNamed("slow").down()
    assert journal.take() == ["stop first", "start first", "start slow"]
    assert stopping.called
    assert starting.called
    assert str(supervisor.state) == "running"


def test_supervisorRestartedAfterGivingUp(journal: Journal) -> None:
    """
    A supervisor that is started again while it still stops what it gave up on is not
    taken down by the end of that.
    """
    slow = FakeService(None, journal, stopsLater=True)
    supervisor, _ = clockedSupervisor({"slow": slow}, maxRestarts=0)
    supervisor.startService()
    slow.crash(ZeroDivisionError())
    supervisor.startService()
    slow.down()
    assert supervisor.running
    assert statesOf(supervisor) == {"slow": "running"}


def test_overdueStopIsOverBeforeTheNextStart(journal: Journal) -> None:
    """
    A child that is waited for no longer hears of it before it is started again.
    """
    slow = FakeService(None, journal, stopsLater=True)
    supervisor, clock = clockedSupervisor({"slow": slow})
    supervisor.startService()
    supervisor.stopService().addErrback(lambda _: None)
    supervisor.startService()
    journal.take()
    clock.advance(31.0)
    assert journal.take() == ["abandon slow", "start slow"]
    assert journal.misuses == []


def test_removedWhileTheSupervisorStarts(journal: Journal) -> None:
    """
    Removing the child that a starting supervisor waits for neither fails the start
    nor holds it up.
    """
    slow = FakeService(None, journal, startsLater=True)
    supervisor, _ = clockedSupervisor(
        {"slow": slow, "next": FakeService(None, journal)}
    )
    starting = supervisor.startService()
    slow.disownServiceParent()
    assert starting.called
    assert statesOf(supervisor) == {"next": "running"}
    assert slow.phase == "down"


def test_supervisorLetsAFailedAddGo(journal: Journal) -> None:
    """
    A child that is added to a running supervisor and fails to start, at once or
    later, is not left attached.
    """
    supervisor, _ = clockedSupervisor()
    supervisor.startService()
    later = FakeService("later", journal, startsLater=True)
    adding = later.setServiceParent(supervisor)
    failures: list[object] = []
    adding.addErrback(failures.append)
    later.failStart(ZeroDivisionError())
    assert len(failures) == 1
    assert later.parent is None
    atOnce = FakeService("at once", journal, startError=ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        atOnce.setServiceParent(supervisor)
    assert atOnce.parent is None
    assert list(supervisor) == []


class Acting(FakeService):
    """
    Does C{act} in the middle of its start.
    """

    act: Any = None

    def startService(self) -> Any:
        started = super().startService()
        self.act(self)
        return started


@pytest.mark.parametrize("later", [False, True])
def test_actsWhileItIsAdded(journal: Journal, later: bool) -> None:
    """
    A child that is added to a running container and, in its start, leaves it, stops
    it or goes down, is stopped, and on record as what it is.
    """
    leaving = Acting("leaving", journal, startsLater=later)
    leaving.act = lambda service: service.disownServiceParent()
    leaving.setServiceParent(running())
    assert leaving.parent is None
    assert leaving.phase == "down"
    stopping = Acting("stopping", journal, startsLater=later)
    stopping.act = lambda service: service.parent.stopService()
    container = running()
    stopping.setServiceParent(container)
    assert stopping.phase == "down"
    assert statesOf(container) == {"stopping": "stopped"}
    falling = Acting("falling", journal, startsLater=later)
    falling.act = lambda service: service.crash(ZeroDivisionError())
    falling.setServiceParent(running())
    assert str(falling.state) == "failed"
    falling.disownServiceParent()
    assert falling.phase == "down"
    assert journal.misuses == []


def test_startedByTheEndOfAStop(journal: Journal) -> None:
    """
    A supervisor that is started by whoever waited for the stop of a child that it has
    taken in meanwhile starts that child, and does not wait for what is over.
    """
    slow = FakeService("slow", journal, stopsLater=True)
    running(slow)
    leaving = slow.disownServiceParent()
    supervisor, _ = clockedSupervisor()
    slow.setServiceParent(supervisor)
    leaving.addCallback(lambda _: supervisor.startService())
    slow.down()
    assert statesOf(supervisor) == {"slow": "running"}
    assert journal.misuses == []


def test_addedAgainWhileTheSupervisorWaits(journal: Journal) -> None:
    """
    A child that is added once more to a supervisor that waits for it to stop, to start
    it then, is started once.
    """
    slow = FakeService("slow", journal, stopsLater=True)
    supervisor, _ = clockedSupervisor({"slow": slow})
    supervisor.startService()
    supervisor.stopService()
    supervisor.startService()
    slow.setServiceParent(supervisor)
    journal.take()
    slow.down()
    assert journal.take() == ["start slow"]
    assert journal.misuses == []
    assert statesOf(supervisor) == {"slow": "running"}


def test_addedAgainWhileItIsRestarted(journal: Journal) -> None:
    """
    A child that starts when it has stopped, and is meanwhile told to restart with a
    sibling, is started once, in its turn.
    """
    slow, first = FakeService("slow", journal, stopsLater=True), FakeService("first")
    first.journal = journal
    supervisor, _ = clockedSupervisor({"first": first}, strategy="restForOne")
    slow.setServiceParent(supervisor)
    supervisor.startService()
    slow.setServiceParent(supervisor)
    first.crash(ZeroDivisionError())
    journal.take()
    slow.down()
    assert [call for call in journal.take() if call.startswith("start")] == [
        *("start first", "start slow")
    ]
    assert journal.misuses == []
    assert statesOf(supervisor) == {"first": "running", "slow": "running"}
