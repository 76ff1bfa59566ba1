"""
Random lives of trees, against a simple model: no child is ever started twice, stopped
twice, forgotten, or left running under a stopped parent.

The model knows only who belongs where, and whether a container is meant to be up. The
fakes themselves refuse to be started or stopped out of turn, and note it.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
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


class Plain(MultiService):
    """
    A plain container that remembers nothing but its number.
    """

    number: int


class PlainTrees(RuleBasedStateMachine):
    """
    Trees of plain containers and leaves.
    """

    containers = Bundle("containers")
    leaves = Bundle("leaves")

    def __init__(self) -> None:
        super().__init__()
        self.journal = Journal()
        self.root = Plain()
        self.root.setName("root")
        self.members: dict[Any, list[Any]] = {self.root: []}
        self.allLeaves: list[FakeService] = []
        # Down for a reason of their own: they failed to start or went down.
        self.excused: set[FakeService] = set()
        self.count = 0

    # What happens.

    @rule(target=containers)
    def theRoot(self) -> Any:
        return self.root

    @rule(target=containers, parent=containers, keepGoing=st.booleans())
    def addContainer(self, parent: Any, keepGoing: bool) -> Any:
        made = Plain(keepGoing=keepGoing)
        self.count += 1
        made.setName(f"container {self.count}")
        self.members[made] = []
        self._add(made, parent)
        return made

    @rule(
        target=leaves,
        parent=containers,
        startsLater=st.booleans(),
        stopsLater=st.booleans(),
        startError=st.sampled_from([None, None, None, Broken("start")]),
        stopError=st.sampled_from([None, None, None, Broken("stop")]),
    )
    def addLeaf(
        self,
        parent: Any,
        startsLater: bool,
        stopsLater: bool,
        startError: Exception | None,
        stopError: Exception | None,
    ) -> Any:
        self.count += 1
        leaf = FakeService(
            f"leaf {self.count}",
            self.journal,
            startsLater=startsLater,
            stopsLater=stopsLater,
            startError=startError,
            stopError=stopError,
        )
        self.allLeaves.append(leaf)
        self._add(leaf, parent)
        return leaf

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

    @rule(service=leaves | containers)
    def remove(self, service: Any) -> None:
        assume(service.parent is not None)
        parent = service.parent
        try:
            self._quiet(service.disownServiceParent())
        except Broken:
            pass
        self.members[parent].remove(service)
        assert service.parent is None

    @rule(service=leaves | containers, parent=containers)
    def move(self, service: Any, parent: Any) -> None:
        # The root is started by the test itself, so it stays the root.
        assume(
            service is not self.root or (parent is not None and self._isBelow(parent))
        )
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
            assert cycle or parent is before
            assert service.parent is before
            return
        assert not cycle
        self._quiet(result)
        if before is not None:
            self.members[before].remove(service)
        if service.parent is not None:
            assert service.parent is parent
            self.members[parent].append(service)

    def _isBelow(self, container: Any) -> bool:
        while container is not None and container is not self.root:
            container = container.parent
        return container is self.root

    @rule(privileged=st.booleans())
    def start(self, privileged: bool) -> None:
        self._forgive(self.root)
        try:
            if privileged and str(self.root.state) in ("new", "stopped"):
                self.root.privilegedStartService()
            self._quiet(self.root.startService())
        except Broken:
            assert not self.root.running

    @rule()
    def stop(self) -> None:
        self._quiet(self.root.stopService())
        assert not self.root.running

    @rule(leaf=leaves)
    def comeUp(self, leaf: FakeService) -> None:
        assume(leaf.phase == "starting" and leaf.pending is not None)
        leaf.up()

    @rule(leaf=leaves)
    def failToStart(self, leaf: FakeService) -> None:
        assume(leaf.phase == "starting" and leaf.pending is not None)
        self.excused.add(leaf)
        leaf.failStart(Broken("later"))

    @rule(leaf=leaves, fails=st.booleans())
    def goDown(self, leaf: FakeService, fails: bool) -> None:
        assume(leaf.phase == "stopping")
        if fails:
            leaf.failStop(Broken("stop, later"))
        else:
            leaf.down()

    @rule(leaf=leaves)
    def crash(self, leaf: FakeService) -> None:
        assume(leaf.phase == "up")
        leaf.crash(Broken("crash"))

    @rule(leaf=leaves)
    def repair(self, leaf: FakeService) -> None:
        leaf.startError = leaf.stopError = None

    # What must be so.

    def _quiet(self, result: Any) -> None:
        if isinstance(result, Deferred):
            result.addErrback(lambda failure: None)

    def _forgive(self, container: Any) -> None:
        self.excused.clear()

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
        for leaf in self.allLeaves:
            if leaf.parent is None or not leaf.parent.running:
                assert leaf.phase in ("down", "stopping", "privileged"), (
                    f"{leaf.name} is {leaf.phase}"
                )
        for container in self.members:
            if container.parent is not None and not container.parent.running:
                assert not container.running

    @invariant()
    def nobodyIsForgotten(self) -> None:
        for leaf in self.allLeaves:
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
        for leaf in self.allLeaves:
            if leaf.phase == "stopping":
                leaf.down()
        for leaf in self.allLeaves:
            if leaf.parent is not None:
                assert leaf.phase == "down", f"{leaf.name} is {leaf.phase}"
        self.nobodyIsCalledOutOfTurn()


PlainTrees.TestCase.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=30, deadline=None
)
TestPlainTrees = PlainTrees.TestCase
