"""
Random lives of trees, against a simple model: no child is ever started twice, stopped
twice, forgotten, or left running under a stopped parent.

The model knows only who belongs where, and whether a container is meant to be up. The
fakes themselves refuse to be started or stopped out of turn, and note it.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)
from twisted.internet.defer import Deferred

from svctree.service import MultiService
from svctree.testing import FakeService, Journal

EXAMPLES = int(os.environ.get("SVCTREE_EXAMPLES", "150"))
"""More of them find rarer orders: thousands were run when this was written."""


class Broken(Exception):
    """
    What goes wrong in a fake.
    """


def pick(candidates: list[Any], number: int) -> Any:
    """
    @return: one of the candidates.
    """
    return candidates[number % len(candidates)]


NUMBER = st.integers(0, 11)

BEHAVIOURS: list[dict[str, Any]] = [
    {},
    {"startsLater": True},
    {"stopsLater": True},
    {"startsLater": True, "stopsLater": True},
    {"startError": Broken("start")},
    {"stopError": Broken("stop")},
    {"startsLater": True, "stopError": Broken("stop")},
    {"stopsLater": True, "startError": Broken("start")},
]


def isBad(leaf: FakeService) -> bool:
    """
    @return: whether it raises when it is started or stopped.
    """
    return leaf.startError is not None or leaf.stopError is not None


class PlainTrees(RuleBasedStateMachine):
    """
    Trees of plain containers and leaves.

    Rules draw a number and take the candidate that it leads to, and are not offered
    when there is none: most steps then do something.
    """

    def __init__(self) -> None:
        super().__init__()
        self.journal = Journal()
        self.root = MultiService()
        self.root.setName("root")
        self.members: dict[Any, list[Any]] = {self.root: []}
        self.leaves: list[FakeService] = []
        # Down for a reason of their own: they failed to start or went down.
        self.excused: set[FakeService] = set()

    def containers(self) -> list[Any]:
        return list(self.members)

    def inPhase(self, *phases: str) -> list[FakeService]:
        return [
            leaf
            for leaf in self.leaves
            if leaf.phase in phases and leaf.pending is not None
        ]

    def everybody(self) -> list[Any]:
        return [*self.leaves, *(each for each in self.members if each is not self.root)]

    # What happens.

    @rule(where=NUMBER, keepGoing=st.booleans())
    @precondition(lambda self: len(self.members) < 5)
    def addContainer(self, where: int, keepGoing: bool) -> None:
        made = MultiService(keepGoing=keepGoing)
        made.setName(f"container {len(self.members)}")
        parent = pick(self.containers(), where)
        self.members[made] = []
        self._add(made, parent)

    @rule(where=NUMBER, behaviour=st.sampled_from(BEHAVIOURS))
    @precondition(lambda self: len(self.leaves) < 8)
    def addLeaf(self, where: int, behaviour: dict[str, Any]) -> None:
        leaf = FakeService(f"leaf {len(self.leaves)}", self.journal, **behaviour)
        self.leaves.append(leaf)
        self._add(leaf, pick(self.containers(), where))

    def _add(self, service: Any, parent: Any) -> None:
        try:
            result = service.setServiceParent(parent)
        except Broken:
            assert service.parent is None
            assert service not in list(parent)
            return
        self._quiet(result)
        if service.parent is not None:
            self.members[parent].append(service)

    @rule(which=NUMBER)
    @precondition(lambda self: any(each.parent for each in self.everybody()))
    def remove(self, which: int) -> None:
        service = pick([each for each in self.everybody() if each.parent], which)
        parent = service.parent
        try:
            self._quiet(service.disownServiceParent())
        except Broken:
            pass
        self.members[parent].remove(service)
        assert service.parent is None

    @rule(which=NUMBER, where=NUMBER)
    @precondition(lambda self: self.everybody())
    def move(self, which: int, where: int) -> None:
        service = pick(self.everybody(), which)
        parent = pick(self.containers(), where)
        before = service.parent
        above, cycle = parent, False
        while above is not None:
            cycle = cycle or above is service
            above = above.parent
        try:
            result = service.setServiceParent(parent)
        except Broken:
            if before is not None:
                self.members[before].remove(service)
            assert service.parent is None
            return
        except RuntimeError:
            assert cycle
            assert service.parent is before
            return
        assert not cycle
        self._quiet(result)
        if before is not None:
            self.members[before].remove(service)
        if service.parent is not None:
            assert service.parent is parent
            self.members[parent].append(service)

    @rule(privileged=st.booleans())
    def start(self, privileged: bool) -> None:
        if not self.root.running:
            self.excused.clear()
        try:
            if privileged and not self.root.running:
                self.root.privilegedStartService()
            self._quiet(self.root.startService())
        except Broken:
            assert not self.root.running

    @rule()
    @precondition(lambda self: self.root.running)
    def stop(self) -> None:
        self._quiet(self.root.stopService())
        assert not self.root.running

    @rule(which=NUMBER)
    @precondition(lambda self: self.inPhase("starting"))
    def comeUp(self, which: int) -> None:
        pick(self.inPhase("starting"), which).up()

    @rule(which=NUMBER)
    @precondition(lambda self: self.inPhase("starting"))
    def failToStart(self, which: int) -> None:
        leaf = pick(self.inPhase("starting"), which)
        self.excused.add(leaf)
        leaf.failStart(Broken("later"))

    @rule(which=NUMBER, fails=st.booleans())
    @precondition(lambda self: self.inPhase("stopping"))
    def goDown(self, which: int, fails: bool) -> None:
        leaf = pick(self.inPhase("stopping"), which)
        if fails:
            leaf.failStop(Broken("stop, later"))
        else:
            leaf.down()

    @rule(which=NUMBER)
    @precondition(lambda self: any(leaf.phase == "up" for leaf in self.leaves))
    def crash(self, which: int) -> None:
        leaf = pick([leaf for leaf in self.leaves if leaf.phase == "up"], which)
        leaf.crash(Broken("crash"))

    @rule(which=NUMBER)
    @precondition(lambda self: any(isBad(leaf) for leaf in self.leaves))
    def repair(self, which: int) -> None:
        leaf = pick([leaf for leaf in self.leaves if isBad(leaf)], which)
        if leaf.phase == "down":
            # It stays as it is until the next start.
            self.excused.add(leaf)
        leaf.startError = leaf.stopError = None

    # What must be so.

    def _quiet(self, result: Any) -> None:
        if isinstance(result, Deferred):
            result.addErrback(lambda failure: None)

    @invariant()
    def nobodyIsCalledOutOfTurn(self) -> None:
        assert self.journal.misuses == []

    @invariant()
    def everybodyIsWhereTheyBelong(self) -> None:
        for container, members in self.members.items():
            for member in list(members):
                if member.parent is None:
                    # It failed to start in a parent that was up, which let it go.
                    assert member in self.excused or not member.running
                    members.remove(member)
            assert [id(each) for each in container] == [id(each) for each in members]
            assert all(each.parent is container for each in members)

    @invariant()
    def nobodyRunsUnderAStoppedParent(self) -> None:
        for leaf in self.leaves:
            if leaf.parent is None or not leaf.parent.running:
                assert leaf.phase in ("down", "stopping", "privileged"), (
                    f"{leaf.name} is {leaf.phase}"
                )
        for container in self.members:
            if container.parent is not None and not container.parent.running:
                assert not container.running

    @invariant()
    def nobodyIsForgotten(self) -> None:
        for leaf in self.leaves:
            parent = leaf.parent
            if parent is None or not parent.running or leaf in self.excused:
                continue
            if parent.keepGoing and leaf.startError is not None:
                continue
            assert leaf.phase in ("starting", "up", "stopping"), (
                f"{leaf.name} is {leaf.phase} in a running parent"
            )

    def teardown(self) -> None:
        """
        However the life went, a stop brings everybody down.
        """
        self._quiet(self.root.stopService())
        for leaf in self.leaves:
            if leaf.phase == "stopping":
                leaf.down()
        for leaf in self.leaves:
            if leaf.parent is not None:
                assert leaf.phase == "down", f"{leaf.name} is {leaf.phase}"
        self.nobodyIsCalledOutOfTurn()


PlainTrees.TestCase.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=30, deadline=None
)
TestPlainTrees = PlainTrees.TestCase
