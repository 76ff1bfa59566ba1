"""
Services that do what nobody expects: Deferreds that have fired and still wait, starts
that end the process, names that look like paths.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed

from svctree.service import MultiService, Service
from svctree.testing import (
    BareService,
    FakeService,
    Journal,
    buildTree,
    clockedSupervisor,
    statesOf,
)
from svctree.tree import State, Supervisor
from svctree.tree.errors import DependencyCycle, DuplicateName, StopFailed
from tests.tree.services import Slow


class Chained(Service):
    """
    Its Deferreds have fired already, and wait for what their callbacks returned.
    """

    def __init__(self) -> None:
        self.cancelled: list[str] = []

    def _chain(self, what: str) -> Deferred[None]:
        pending: Deferred[None] = Deferred(lambda _: self.cancelled.append(what))
        return succeed(None).addCallback(lambda _: pending)

    def startService(self) -> Deferred[None]:
        super().startService()
        return self._chain("start")

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return self._chain("stop")


def test_chainedStart() -> None:
    """
    The bound of a start holds for a Deferred that has fired and waits again.
    """
    supervisor, clock = clockedSupervisor()
    service = Chained()
    supervisor.place(service, startTimeout=5, stopTimeout=5)
    starting = supervisor.startService()
    failures: list[Any] = []
    starting.addErrback(failures.append)
    assert service.state is State.STARTING
    clock.advance(5)
    assert service.cancelled == ["start"]
    clock.advance(5)
    assert service.cancelled == ["start", "stop"]
    assert str(failures[0].value) == "/#0: was not up after 5 s"


def test_chainedStop() -> None:
    """
    So does the bound of a stop, and that which dynamic supervisors have for all.
    """
    supervisor, clock = clockedSupervisor()

    class Stopped(Chained):
        def startService(self) -> None:
            self.running = 1

    service = Stopped()
    supervisor.place(service, stopTimeout=5)
    supervisor.startService()
    failures: list[Any] = []
    supervisor.stopService().addErrback(failures.append)
    clock.advance(5)
    assert service.cancelled == ["stop"]
    assert supervisor.unstopped == ("/#0",)
    assert failures[0].check(StopFailed)
    assert str(failures[0].value) == (
        "/: did not stop cleanly: /#0: had not stopped after 5 s"
    )


@pytest.mark.parametrize("kind", [MultiService, Supervisor])
def test_startThatWaitedForAStopIsCancelled(kind: Any) -> None:
    """
    A start that waited for a stop is cancelled like any other when its service is told
    to stop again.
    """
    calls: list[str] = []
    container = kind()
    a = Slow(calls, "a")
    a.setServiceParent(container)
    container.startService()
    a.starting.callback(None)
    container.stopService()
    container.startService().addErrback(lambda _: None)
    a.stopping.callback(None)
    stopping = container.stopService()
    a.stopping.callback(None)
    assert calls == ["start a", "stop a", "start a", "stop a", "cancelled a"]
    assert stopping.called
    assert container.state is State.STOPPED


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("keepGoing", [False, True])
@pytest.mark.parametrize("kind", [MultiService, Supervisor])
def test_exitDuringStart(error: Any, keepGoing: bool, kind: Any) -> None:
    """
    What ends a process leaves through the call after the start is undone, also where
    a container would do without a child that fails.
    """

    class Exits(Service):
        def startService(self) -> None:
            raise error("enough")

    a, c = FakeService(), FakeService()
    container = buildTree({"a": a, "b": Exits(), "c": c}, kind(keepGoing=keepGoing))
    with pytest.raises(error):
        container.startService()
    assert container.state is State.FAILED
    assert statesOf(container) == {"a": "stopped", "b": "failed", "c": "new"}
    assert a.journal == ["start a", "stop a"]


def test_exitDuringRestart() -> None:
    """
    A service that wants to end the process when it is restarted has failed to.
    """

    class Exits(FakeService):
        def startService(self) -> Any:
            if self.starts == 1:
                self.starts += 1
                self.phase = "down"
                raise SystemExit("enough")
            return super().startService()

    a = Exits()
    supervisor, clock = clockedSupervisor({"a": a})
    supervisor.startService()
    a.crash(ValueError("a"))
    clock.advance(1)
    assert statesOf(supervisor) == {"a": "running"}


@pytest.mark.parametrize("kind", [MultiService, Supervisor])
def test_refusedPlacement(kind: Any) -> None:
    """
    A refused C{place} leaves what is known of the order as it was.
    """
    container = kind()
    first = FakeService("b")
    container.place(first, after="a")
    with pytest.raises(DuplicateName):
        container.place(FakeService("b"), after="z")
    assert container.placementOf(first) == {"after": ("a",)}
    with pytest.raises(DependencyCycle) as refused:
        container.place(FakeService("a"), after="b")
    assert refused.value.cycle == ("a", "b", "a")
    assert list(container) == [first]


@pytest.mark.parametrize("kind", [MultiService, Supervisor])
def test_placedAgain(kind: Any) -> None:
    """
    What is a child already is not placed again; it keeps its placement.
    """
    container = kind()
    child = FakeService("b")
    container.place(child, after="a")
    with pytest.raises(RuntimeError):
        container.place(child, requires="c")
    assert container.placementOf(child) == {"after": ("a",)}


def test_equalServicesThatWait() -> None:
    """
    Services that are equal to each other wait for their siblings one by one.
    """
    container = MultiService()
    calls: list[str] = []

    class Equal(BareService):
        __slots__ = ()

        def startService(self) -> None:
            calls.append(str(self.name))

    for name in "abc":
        container.place(Equal(name), after="slow")
    slow = FakeService("slow", startsLater=True)
    container.place(slow)
    starting = container.startService()
    assert calls == []
    slow.up()
    assert calls == ["a", "b", "c"]
    assert starting.called


def test_stopsUsWhileOthersWait() -> None:
    """
    A child with C{after} that stops its container from its own start, and raises,
    leaves it stopped.
    """

    class Rude(Service):
        def startService(self) -> None:
            assert self.parent is not None
            self.parent.stopService()
            raise ValueError("rude")

    container = MultiService()
    journal = Journal()
    container.place(FakeService("a", journal))
    container.place(Rude(), after="a")
    container.place(FakeService("c", journal), after="a")
    with pytest.raises(ValueError, match="rude"):
        container.startService()
    assert container.state is State.STOPPED
    assert journal == ["start a", "stop a"]
