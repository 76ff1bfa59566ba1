"""
Services and observers that change the tree while it calls them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from svctree.service import MultiService, Service
from svctree.testing import FakeService, Journal, buildTree, clockedSupervisor, statesOf
from svctree.tree import State, Supervisor, TreeEvent

KINDS = pytest.mark.parametrize("kind", [MultiService, Supervisor])


class Acting(FakeService):
    """
    Does something in the middle of one of its calls, once.

    @ivar acts: what, by the name of the call.
    """

    def __init__(self, **acts: Callable[[], object]) -> None:
        super().__init__()
        self.acts = acts

    def _note(self, what: str) -> None:
        super()._note(what)
        act = self.acts.pop(what, None)
        if act is not None:
            result = act()
            if isinstance(result, Deferred):
                result.addErrback(lambda _: None)


def on(container: Any, line: str, act: Callable[[], object]) -> None:
    """
    Call C{act} when the event with C{line} is first told.
    """

    def observe(event: TreeEvent) -> None:
        if event.line() == line:
            unsubscribe()
            result = act()
            if isinstance(result, Deferred):
                result.addErrback(lambda _: None)

    unsubscribe = container.subscribe(observe)


@KINDS
def test_stoppedByItsChildInTheStart(kind: Any) -> None:
    """
    A child that stops the tree in its own start is stopped, once, and its siblings do
    not start.
    """
    container = kind()
    journal = Journal()
    a = Acting(start=lambda: container.stopService())
    b = FakeService()
    buildTree({"a": a, "b": b}, container)
    for service in (a, b):
        service.journal = journal
    # The note comes first: what the start does after it is undone by nobody else.
    a.startService = lambda: Service.startService(a) or a._note("start")  # type: ignore[method-assign, func-returns-value]
    a.stopService = lambda: a._note("stop")  # type: ignore[method-assign]
    container.startService()
    assert journal == ["start a", "stop a"]
    assert container.state is State.STOPPED
    assert statesOf(container) == {"a": "stopped", "b": "new"}


@KINDS
def test_stoppedByAnObserverOfTheStart(kind: Any) -> None:
    """
    An observer that stops a container when it hears of its start is obeyed.
    """
    a = FakeService()
    container = buildTree({"a": a}, kind())
    on(container, "/: new -> starting", container.stopService)
    container.startService()
    assert a.journal == []
    assert container.state is State.STOPPED
    container.startService()
    assert a.phase == "up"


@KINDS
def test_addedByAnObserverOfTheStart(kind: Any) -> None:
    """
    A child that is added when the start is heard of is started once.
    """
    container = buildTree({"a": FakeService()}, kind())
    b = FakeService("b")
    on(container, "/: new -> starting", lambda: b.setServiceParent(container))
    container.startService()
    assert b.starts == 1
    assert statesOf(container) == {"a": "running", "b": "running"}


@KINDS
def test_stopJoinedInTheMiddle(kind: Any) -> None:
    """
    Who asks for a stop while its calls go out is told when it is over.
    """
    joined: list[Any] = []
    container = kind()
    a = Acting(stop=lambda: container.stopService().addCallback(joined.append))
    buildTree({"a": a}, container)
    container.startService()
    container.stopService()
    assert len(joined) == 1
    assert container.state is State.STOPPED


def test_stopJoinedDuringTheUndoing() -> None:
    """
    So is who stops the tree while one of its containers undoes a failed start.
    """
    journal = Journal()
    inner, slow = MultiService(), FakeService("slow", journal, startsLater=True)
    root = buildTree({"inner": inner})
    slow.setServiceParent(inner)
    quick = Acting(stop=lambda: root.stopService())
    quick.setName("quick")
    quick.setServiceParent(inner)
    root.startService().addErrback(lambda _: None)
    slow.failStart(ValueError("slow"))
    assert quick.stops == 1
    stopped: list[Any] = []
    root.stopService().addBoth(stopped.append)
    assert len(stopped) == 1
    slow.startsLater = False
    root.startService()
    assert statesOf(root) == {"inner": {"slow": "running", "quick": "running"}}


@KINDS
def test_startedInTheMiddleOfAStop(kind: Any) -> None:
    """
    A start that is asked for while the calls of a stop go out begins after them:
    everybody is stopped and started in turn.
    """
    container = kind()
    b = Acting(stop=lambda: container.startService())
    a, c = FakeService(), FakeService()
    buildTree({"a": a, "b": b, "c": c}, container)
    container.startService()
    container.stopService()
    for service in (a, b, c):
        assert (service.starts, service.stops) == (2, 1)
        assert service.journal.misuses == []
    assert container.state is State.RUNNING


def test_startedInTheMiddleAndStopped() -> None:
    """
    It does not begin if another stop is asked for meanwhile.
    """
    container = MultiService()
    starting: list[Any] = []

    def act() -> None:
        container.startService().addErrback(starting.append)
        container.stopService()

    a, b = FakeService(), Acting(stop=act)
    buildTree({"a": a, "b": b}, container)
    container.startService()
    container.stopService()
    assert (a.starts, a.stops) == (1, 1)
    assert container.state is State.STOPPED
    assert "was stopped before it was up" in str(starting[0].value)


@pytest.mark.parametrize("keepGoing", [False, True])
def test_startedByAnObserverOfTheFailure(keepGoing: bool) -> None:
    """
    An observer that starts a container again when it hears that its start has failed
    has it undone first.
    """
    a, b = FakeService(), FakeService(startError=ValueError("b"))
    container = buildTree({"a": a, "b": b})

    def again() -> Any:
        b.startError = None
        return container.startService()

    on(container, "/: starting -> failed: b", again)
    with pytest.raises(ValueError, match="b"):
        container.startService()
    assert a.journal == ["start a", "stop a", "start a"]
    assert statesOf(container) == {"a": "running", "b": "running"}


@KINDS
def test_stopsInItsPrivilegedPhase(kind: Any) -> None:
    """
    A child that stops the tree in its privileged phase is stopped, and not started.
    """
    container = kind()
    a = Acting(privileged=lambda: container.stopService())
    a.privilegedStartService = lambda: a._note("privileged")  # type: ignore[method-assign]
    a.stopService = lambda: a._note("stop")  # type: ignore[method-assign]
    b = FakeService()
    buildTree({"a": a, "b": b}, container)
    container.privilegedStartService()
    assert a.journal == ["privileged a", "stop a"]
    assert b.journal == []


@KINDS
@pytest.mark.parametrize("leaves", [False, True])
def test_endsInItsPrivilegedPhaseWhenAdded(kind: Any, leaves: bool) -> None:
    """
    A child that is added to a running container, and leaves it or stops it in its
    privileged phase, is not started.
    """
    container = kind()
    container.startService()
    a = Acting()
    a.setName("a")
    a.acts["privileged"] = a.disownServiceParent if leaves else container.stopService
    a.privilegedStartService = lambda: a._note("privileged")  # type: ignore[method-assign]
    a.stopService = lambda: a._note("stop")  # type: ignore[method-assign]
    a.setServiceParent(container)
    assert a.journal == ["privileged a", "stop a"]


def test_leavesInItsPrivilegedPhaseWhenRestarted() -> None:
    """
    Neither is one that leaves in the privileged phase of its restart.
    """
    a = Acting()
    supervisor, _ = clockedSupervisor({"a": a, "b": FakeService()})
    supervisor.startService()
    a.acts["privileged"] = a.disownServiceParent
    a.privilegedStartService = lambda: a._note("privileged")  # type: ignore[method-assign]
    a.crash(ValueError("a"))
    assert a.starts == 1
    assert a.parent is None
    assert statesOf(supervisor) == {"b": "running"}


def test_crashedWhileStarting() -> None:
    """
    What crashes while its start is pending has that start cancelled: it cannot come up
    behind the back of a container that has given it up.
    """
    a = FakeService(startsLater=True)
    container = buildTree({"a": a, "b": FakeService()})
    container.startService().addErrback(lambda _: None)
    a.crash(ValueError("a"))
    assert a.journal == ["start a", "cancel a"]
    assert container.state is State.FAILED
