"""
Random lives of nested trees, as in C{test_stateful.py}: supervisors, plain containers
and dynamic supervisors in each other, with time that passes.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from twisted.internet.task import Clock

from svctree.service import MultiService
from svctree.testing import FakeService, Journal
from svctree.tree import DynamicSupervisor, Supervisor, TreeError
from svctree.tree.register import TreeContainer
from tests.tree.lives import Lives
from tests.tree.test_stateful import BEHAVIOURS, NUMBER, Broken, pick

EXAMPLES = int(os.environ.get("SVCTREE_EXAMPLES", "60"))
"""The usual run takes the same ones each time; more of them are others each time."""

KINDS = st.sampled_from(["plain", "supervisor", "supervisor", "dynamic"])
RESTARTS = st.sampled_from(["permanent", "permanent", "transient", "temporary"])


class Families(Lives):
    """
    A tree whose runner stops it when it is down.
    """

    @initialize(kind=KINDS, options=st.data())
    def build(self, kind: str, options: st.DataObject) -> None:
        self.journal = Journal()
        self.clock = Clock()
        self.leaves: list[FakeService] = []
        self.recipes: dict[FakeService, dict[str, Any]] = {}
        self.containers: list[Any] = []
        self.terminated: set[Any] = set()
        self.down: list[object] = []
        self.root = self.make(kind, options)
        self.root.onDown = self.down.append

    def make(self, kind: str, options: st.DataObject) -> Any:
        keepGoing = options.draw(st.booleans())
        if kind == "plain":
            made: Any = MultiService(keepGoing=keepGoing)
            made.clock = self.clock
        else:
            keywords: dict[str, Any] = {
                "clock": self.clock,
                "random": lambda: 0.5,
                "keepGoing": keepGoing,
                "maxRestarts": options.draw(st.sampled_from([0, 2, 1000])),
                "atOnce": options.draw(st.sampled_from([None, 1])),
                "defaults": {"startTimeout": options.draw(st.sampled_from([None, 5]))},
            }
            if kind == "dynamic":
                made = DynamicSupervisor(self.leaf, **keywords)
            else:
                strategies = st.sampled_from(["oneForOne", "oneForAll", "restForOne"])
                made = Supervisor(strategy=options.draw(strategies), **keywords)
        made.name = f"container {len(self.containers)}"
        self.containers.append(made)
        return made

    def leaf(self, name: str, behaviour: dict[str, Any]) -> FakeService:
        made = FakeService(name, self.journal, **behaviour)
        self.leaves.append(made)
        self.recipes[made] = behaviour
        return made

    def mend(self, leaf: FakeService) -> None:
        super().mend(leaf)
        # What a dynamic supervisor makes in its place is made of the same.
        for error in ("startError", "stopError"):
            self.recipes[leaf].pop(error, None)

    # What there is.

    def everybody(self) -> list[Any]:
        return [*self.leaves, *(each for each in self.containers if each != self.root)]

    def children(self) -> list[Any]:
        return [each for each in self.everybody() if each.parent is not None]

    def supervised(self) -> list[Any]:
        return [each for each in self.children() if isinstance(each.parent, Supervisor)]

    def above(self, service: Any) -> list[Any]:
        """
        @return: the containers that it is in, from the inside.
        """
        found = []
        while (service := service.parent) is not None:
            found.append(service)
        return found

    def check(self) -> None:
        """
        What must be so at any time.
        """
        if self.down and self.root._up:
            # As the runner does.
            del self.down[:]
            self.quiet(self.root.stopService())
        assert self.journal.misuses == []
        for leaf in self.leaves:
            above = self.above(leaf)
            if not above:
                assert leaf.phase in ("down", "stopping"), f"{leaf.name}: {leaf.phase}"
                continue
            assert any(each is leaf for each in above[0]), f"{leaf.name} is forgotten"
            if leaf.phase in ("down", "stopping"):
                continue
            for container in above:
                # What stops in order takes one after the other.
                busy = container.running or str(container.state) in _BUSY
                waits = leaf.phase == "privileged" and above[-1].running
                assert busy or waits, f"{leaf.name}: {leaf.phase} in {container!r}"

    # What happens.

    @rule(where=NUMBER, kind=KINDS, restart=RESTARTS, options=st.data())
    @precondition(lambda self: len(self.containers) < 5)
    def addContainer(
        self, where: int, kind: str, restart: str, options: st.DataObject
    ) -> None:
        made = self.make(kind, options)
        self.place(pick(self.containers[:-1], where), made, restart)

    @rule(where=NUMBER, behaviour=st.sampled_from(BEHAVIOURS), restart=RESTARTS)
    @precondition(lambda self: len(self.leaves) < 9)
    def addLeaf(self, where: int, behaviour: dict[str, Any], restart: str) -> None:
        parent = pick(self.containers, where)
        name = f"leaf {len(self.leaves)}"
        behaviour = dict(behaviour)
        if isinstance(parent, DynamicSupervisor):
            try:
                parent.startChild(name, behaviour)
            except Broken:
                assert self.leaves[-1].parent is None
            self.check()
        else:
            self.place(parent, self.leaf(name, behaviour), restart)

    def place(self, parent: Any, service: Any, restart: str) -> None:
        options = {"restart": restart} if isinstance(parent, Supervisor) else {}
        try:
            self.quiet(parent.place(service, **options))
        except Exception as error:
            assert service.parent is None, error
        self.check()

    @rule(which=NUMBER)
    @precondition(lambda self: self.children())
    def remove(self, which: int) -> None:
        service = pick(self.children(), which)
        self.terminated.discard(service)
        try:
            self.quiet(service.disownServiceParent())
        except Broken:
            pass
        assert service.parent is None
        self.check()

    @rule(which=NUMBER, where=NUMBER)
    @precondition(lambda self: self.everybody())
    def move(self, which: int, where: int) -> None:
        service = pick(self.everybody(), which)
        parent = pick(self.containers, where)
        before = service.parent
        try:
            self.quiet(service.setServiceParent(parent))
            self.terminated.discard(service)
        except TreeError:
            assert service.parent in (before, None)
        except Broken:
            assert service.parent is None
        self.check()

    @rule()
    def start(self) -> None:
        del self.down[:]
        try:
            self.quiet(self.root.startService())
        except Exception:
            assert not self.root.running
        self.check()

    @rule()
    def stop(self) -> None:
        self.quiet(self.root.stopService())
        self.check()

    @rule(which=NUMBER, fails=st.booleans())
    @precondition(lambda self: self.inPhase("starting"))
    def endStart(self, which: int, fails: bool) -> None:
        leaf = pick(self.inPhase("starting"), which)
        if fails:
            leaf.failStart(Broken("later"))
        else:
            leaf.up()
        self.check()

    @rule(which=NUMBER)
    @precondition(lambda self: self.supervised())
    def terminate(self, which: int) -> None:
        service = pick(self.supervised(), which)
        self.terminated.add(service)
        self.quiet(service.parent.terminateChild(service))
        self.check()

    # The end.

    def isWanted(self, service: Any) -> bool:
        """
        @return: whether it has to be up for sure while its container is.
        """
        parent = service.parent
        if parent.keepGoing or service in self.terminated:
            return False
        if isinstance(parent, Supervisor):
            return str(parent._child(service).spec.restart) == "permanent"
        # What has finished in a plain container stays so.
        return isinstance(service, TreeContainer) or str(service.state) != "stopped"

    def teardown(self) -> None:
        """
        When all has settled, everybody is up in a container that is; and a stop
        brings everybody down.
        """
        if not hasattr(self, "root"):
            return
        self.settle()
        for service in self.children():
            if not service.parent.running:
                assert not service.running, f"{service!r} in {service.parent}"
            elif self.isWanted(service):
                assert service.running, f"{service!r} is forgotten in {service.parent}"
                if isinstance(service, FakeService):
                    assert service.phase == "up", f"{service!r} is {service.phase}"
        self.quiet(self.root.stopService())
        self.settle()
        assert not self.root.running
        assert str(self.root.state) in ("new", "stopped", "failed")
        for leaf in self.leaves:
            assert leaf.phase == "down", f"{leaf.name} is {leaf.phase}"
        assert [call.func for call in self.clock.getDelayedCalls()] == []


_BUSY = ("stopping", "failed", "starting")

Families.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=30,
    deadline=None,
    derandomize="SVCTREE_EXAMPLES" not in os.environ,
)
TestFamilies = Families.TestCase
