"""
What it takes to test a tree of services: fakes that obey, a builder for trees, a
supervisor whose time stands still, and a check of services against the contract.

Nothing in here needs a running reactor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

from twisted.application.service import IService, IServiceCollection
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer

from svctree.service import MultiService, Service
from svctree.tree import Supervisor
from svctree.tree.contract import ContractViolation, verifyService

__all__ = [
    "BareService",
    "ClockedTree",
    "ContractViolation",
    "FakeService",
    "Journal",
    "Misuse",
    "buildTree",
    "clockedSupervisor",
    "statesOf",
    "verifyService",
]


class Misuse(AssertionError):
    """
    A container called a fake service when it should not: it started what was up, or
    stopped what was down.
    """


class Journal(list[str]):
    """
    What happened to several fakes, in order: C{"start web"}, C{"stop web"}, ...

    @ivar misuses: the message of each L{Misuse} that was raised. A container treats
        it like any other error of a service, so look here at the end of a test.
    """

    def __init__(self) -> None:
        super().__init__()
        self.misuses: list[str] = []

    def take(self) -> list[str]:
        """
        @return: everything noted since the last time.
        """
        taken = list(self)
        self.clear()
        return taken


class FakeService(Service):
    """
    A service that does nothing, notes what it is told, and does it when you say so.

    It raises L{Misuse} when it is started twice or stopped without having been
    started (or privileged), so that a container cannot do so unnoticed.

    @ivar journal: where calls are noted.
    @ivar phase: C{"down"}, C{"privileged"}, C{"starting"}, C{"up"}, C{"stopping"}.
    @ivar starts: how often it has been started.
    @ivar stops: how often it has been stopped.
    @ivar pending: the Deferred of a start or a stop that is under way, else L{None}.
    """

    def __init__(
        self,
        name: str | None = None,
        journal: Journal | None = None,
        *,
        startsLater: bool = False,
        stopsLater: bool = False,
        startError: Exception | None = None,
        stopError: Exception | None = None,
    ) -> None:
        """
        @param name: its name, also in the journal.
        @param journal: shared between fakes, to see the order of calls.
        @param startsLater: C{startService} returns a Deferred; it fires with L{up}
            or L{failStart}.
        @param stopsLater: C{stopService} returns a Deferred; it fires with L{down}
            or L{failStop}.
        @param startError: C{startService} raises it, until the attribute is L{None}.
        @param stopError: C{stopService} raises it, likewise.
        """
        if name is not None:
            self.setName(name)
        self.journal = Journal() if journal is None else journal
        self.startsLater = startsLater
        self.stopsLater = stopsLater
        self.startError = startError
        self.stopError = stopError
        self.phase = "down"
        self.starts = self.stops = 0
        self.pending: Deferred[None] | None = None

    def _note(self, what: str) -> None:
        self.journal.append(f"{what} {self.name}")

    def _misused(self, what: str) -> NoReturn:
        problem = f"{what} of {self.name!r}, which is {self.phase}"
        self.journal.misuses.append(problem)
        raise Misuse(problem)

    def privilegedStartService(self) -> None:
        """
        Note C{privileged NAME}.
        """
        if self.phase != "down":
            self._misused("privileged phase")
        self._note("privileged")
        self.phase = "privileged"

    def startService(self) -> Deferred[None] | None:
        """
        Note C{start NAME}.
        """
        if self.phase not in ("down", "privileged"):
            self._misused("start")
        self._note("start")
        self.starts += 1
        if self.startError is not None:
            self.phase = "down"
            raise self.startError
        super().startService()
        if not self.startsLater:
            self.phase = "up"
            return None
        self.phase = "starting"
        self.pending = Deferred(self._startCancelled)
        return self.pending

    def stopService(self) -> Deferred[None] | None:
        """
        Note C{stop NAME}.
        """
        if self.phase in ("down", "stopping"):
            self._misused("stop")
        self._note("stop")
        self.stops += 1
        super().stopService()
        # A start that is pending stays so: ending it is the container's duty.
        self.pending = None
        if self.stopError is not None:
            self.phase = "down"
            raise self.stopError
        if not self.stopsLater:
            self.phase = "down"
            return None
        self.phase = "stopping"
        self.pending = Deferred(self._stopCancelled)
        return self.pending

    def up(self) -> None:
        """
        The start has succeeded.
        """
        self._finish("starting", "up").callback(None)

    def failStart(self, error: Exception) -> None:
        """
        The start has failed.
        """
        self.running = 0
        self._finish("starting", "down").errback(error)

    def down(self) -> None:
        """
        The stop is complete.
        """
        self._finish("stopping", "down").callback(None)

    def failStop(self, error: Exception) -> None:
        """
        The stop has ended with an error.
        """
        self._finish("stopping", "down").errback(error)

    def crash(self, error: Exception) -> None:
        """
        Go down by itself, because of C{error}; it is to be stopped all the same.
        """
        self.crashed(error)

    def _finish(self, phase: str, next: str) -> Deferred[None]:
        pending, self.pending = self.pending, None
        if self.phase != phase or pending is None:
            raise Misuse(f"{self.name!r} is {self.phase}, expected {phase}")
        self.phase = next
        return pending

    def finish(self) -> None:
        """
        Go down by itself, because the work is done; it is to be stopped all the same.
        """
        self.finished()

    def _stopCancelled(self, stopping: Deferred[None]) -> None:
        # Who waits no longer has given it up: nothing of it is left.
        if self.pending is stopping:
            self.pending = None
            self.phase = "down"
            self._note("abandon")

    def _startCancelled(self, starting: Deferred[None]) -> None:
        if self.pending is starting:
            self.pending = None
            self._note("cancel")


@implementer(IService)
class BareService:
    """
    The least that a container has to live with: a service of a class of its own,
    without C{__dict__}, weak references, hash, or equality of its own.
    """

    __slots__ = ("name", "parent", "running")

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, name: str | None = None) -> None:
        self.name = name
        self.parent: Any = None
        self.running = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BareService)

    def setName(self, name: str) -> None:
        if self.parent is not None:
            raise RuntimeError("cannot change the name while there is a parent")
        self.name = name

    def setServiceParent(self, parent: Any) -> None:
        if self.parent is not None:
            self.disownServiceParent()
        self.parent = IServiceCollection(parent, parent)
        self.parent.addService(self)

    def disownServiceParent(self) -> Any:
        parent, self.parent = self.parent, None
        return parent.removeService(self)

    def privilegedStartService(self) -> None:
        return None

    def startService(self) -> None:
        self.running = True

    def stopService(self) -> None:
        self.running = False


Shape = Mapping[str, Any]
"""Children by name: a service, a shape for a plain container, or a pair of a
container and the shape of what goes into it."""


def buildTree(shape: Shape, root: Any = None) -> Any:
    """
    Make a tree from nested mappings::

        buildTree({
            "web": {"listener": FakeService(), "pool": FakeService()},
            "jobs": (Supervisor(), {"mailer": FakeService()}),
        })

    @param shape: the children by name, in the order in which they are added.
    @param root: the container to fill; default: a new C{MultiService}.
    @return: C{root}.
    """
    root = MultiService() if root is None else root
    waiting: list[tuple[Any, Shape]] = [(root, shape)]
    while waiting:
        parent, children = waiting.pop()
        for name, given in children.items():
            child: Any = given
            inner: Shape = {}
            if isinstance(child, tuple):
                child, inner = child
            elif isinstance(child, Mapping):
                inner = child
                child = MultiService()
            if child.name is None:
                child.setName(name)
            child.setServiceParent(parent)
            if inner:
                waiting.append((child, inner))
    return root


def clockedSupervisor(shape: Shape | None = None, **keywords: Any) -> ClockedTree:
    """
    Make a supervisor whose time stands still until the test moves it, and whose
    restarts come without jitter.

    @param shape: its children, as for L{buildTree}.
    @param keywords: for L{Supervisor<svctree.tree.Supervisor>}.
    """
    clock = Clock()
    supervisor = Supervisor(clock=clock, random=lambda: 0.5, **keywords)
    return ClockedTree(buildTree(shape or {}, supervisor), clock)


class ClockedTree(NamedTuple):
    """
    What L{clockedSupervisor} makes: move C{clock} on with C{clock.advance(seconds)}.
    """

    supervisor: Supervisor
    clock: Clock


def statesOf(container: Any) -> dict[str, Any]:
    """
    @return: the state of each child by name, and nested for containers, to compare
        with what a test expects: C{{"web": {"listener": "running"}}}.
    """
    states: dict[str, Any] = {}
    for number, child in enumerate(container):
        key = child.name or f"#{number}"
        if IServiceCollection.providedBy(child):
            states[key] = statesOf(child)
        else:
            states[key] = str(container.stateOf(child))
    return states
