"""
Services that do what nobody expects: Deferreds that have fired and still wait, starts
that end the process, names that look like paths.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed

from svctree.service import MultiService, Service
from svctree.testing import (
    BareService,
    FakeService,
    Journal,
    buildTree,
    clockedSupervisor,
    statesOf,
)
from svctree.tree import HealthCheck, RunService, State, Supervisor
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
        def startService(self) -> Any:
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


class Runs(RunService):
    """
    Runs until it is cancelled, after what it does first.
    """

    def __init__(self, first: Any = None) -> None:
        self.first = first
        self.ended = 0

    async def run(self) -> None:
        if self.first is not None:
            self.first(self)
        try:
            await Deferred()
        finally:
            self.ended += 1


@pytest.mark.parametrize("kind", [MultiService, Supervisor])
@pytest.mark.parametrize(
    "first",
    [
        lambda service: service.disownServiceParent(),
        lambda service: service.parent.stopService(),
    ],
    ids=["leaves", "stops"],
)
def test_runThatStopsItself(kind: Any, first: Any) -> None:
    """
    A C{run()} whose first steps have its service stopped does not go on.
    """
    container = kind()
    service = Runs(first)
    service.setServiceParent(container)
    starting = container.startService()
    if starting is not None:
        starting.addErrback(lambda _: None)
    assert service.ended == 1
    assert not service.running


def test_runThatRaises() -> None:
    """
    A service whose C{run()} raises at once does not say that it runs.
    """

    class Raises(RunService):
        def run(self) -> None:
            raise ValueError("no")

    service = Raises()
    with pytest.raises(ValueError, match="no"):
        buildTree({"a": service}).startService()
    assert not service.running


def test_runThatIsLeftBehind() -> None:
    """
    The end of a run that did not stop in time is not taken for that of the next one.
    """
    runs: list[Deferred[None]] = []

    class Stubborn(RunService):
        async def run(self) -> None:
            runs.append(Deferred())
            mine = len(runs) - 1
            while True:
                try:
                    return await runs[mine]
                except CancelledError:
                    runs[mine] = Deferred()

    supervisor, clock = clockedSupervisor()
    service = Stubborn()
    supervisor.place(service, stopTimeout=1)
    supervisor.startService()
    supervisor.stopService().addErrback(lambda _: None)
    clock.advance(1)
    supervisor.startService()
    runs[0].callback(None)
    assert service.state is State.RUNNING
    runs[1].callback(None)
    assert len(runs) == 3


@pytest.mark.parametrize("killed", [False, True])
def test_removedFromASupervisor(killed: bool) -> None:
    """
    The bound of a stop holds for a child that is removed as well.
    """
    supervisor, clock = clockedSupervisor()
    calls: list[str] = []
    slow = Slow(calls, "slow")
    if killed:
        slow.killService = lambda: calls.append("kill")  # type: ignore[attr-defined]
    supervisor.place(slow, stopTimeout=5)
    supervisor.startService()
    slow.starting.callback(None)
    failures: list[Any] = []
    slow.disownServiceParent().addErrback(failures.append)
    clock.advance(5)
    assert str(failures[0].value) == "/slow: had not stopped after 5 s"
    assert calls[2:] == (["kill"] if killed else [])
    assert supervisor.unstopped == ("/slow",)


def test_killedOnRemoval() -> None:
    """
    Without any time for its stop, a child that is removed is killed.
    """
    supervisor, _ = clockedSupervisor()
    calls: list[str] = []

    class Killed(Slow):
        def killService(self) -> None:
            self.note("kill")

    a = Killed(calls, "a")
    supervisor.place(a, stopTimeout=0)
    supervisor.startService()
    a.starting.callback(None)
    assert a.disownServiceParent() is None
    assert calls == ["start a", "kill a"]


def test_checkThatIsNeverDone() -> None:
    """
    A check that takes no notice of being cancelled fails after its time like others.
    """

    async def hang(service: Any) -> None:
        while True:
            try:
                await Deferred()
            except CancelledError:
                continue

    a = FakeService()
    supervisor, clock = clockedSupervisor()
    a.setName("a")
    supervisor.place(a, health=HealthCheck(hang, interval=1, timeout=1, failures=2))
    supervisor.startService()
    clock.pump([1.0] * 4)
    assert a.starts == 2


def test_checkThatRemovesItsService() -> None:
    """
    A check that has its service removed leaves nothing behind.
    """

    def check(service: Any) -> Deferred[None]:
        service.disownServiceParent()
        return Deferred()

    a = FakeService("a")
    supervisor, clock = clockedSupervisor()
    supervisor.place(a, health=HealthCheck(check, interval=1))
    supervisor.startService()
    clock.advance(1)
    assert clock.getDelayedCalls() == []
    assert a.phase == "down"


@pytest.mark.parametrize("name", ["a/b", "..", "/", "é ü", "%2F", "x" * 10_000, "a b"])
def test_names(name: str) -> None:
    """
    Whatever it is called, a service is found by its path.
    """
    leaf = FakeService()
    root = buildTree({"top": {name: {"leaf": leaf}}})
    assert root.lookup(leaf.path) is leaf
    assert leaf.path.count("/") == 3
    assert root.lookup("top").lookup(leaf.path) is leaf
    below = root.describe()["children"][0]["children"][0]
    assert below["path"] == root.lookup("top").getServiceNamed(name).path


def test_describesItself() -> None:
    """
    A container that overrides C{describe} is heard wherever it is in the tree.
    """

    class Telling(MultiService):
        def describe(self) -> dict[str, Any]:
            return {**super().describe(), "colour": "red"}

    telling = buildTree({"leaf": FakeService()}, Telling())
    root = buildTree({"a": {"b": telling}})
    described = root.describe()["children"][0]["children"][0]
    assert described["colour"] == "red"
    assert [each["path"] for each in described["children"]] == ["/a/b/leaf"]
