"""
Random lives of a supervisor, as in C{test_stateful.py}, with time that passes.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from svctree.testing import FakeService, Journal, clockedSupervisor
from tests.tree.lives import Lives
from tests.tree.test_stateful import BEHAVIOURS, NUMBER, Broken, pick

EXAMPLES = int(os.environ.get("SVCTREE_EXAMPLES", "100"))


class Supervised(Lives):
    """
    One supervisor and its children.
    """

    @initialize(
        strategy=st.sampled_from(["oneForOne", "oneForAll", "restForOne"]),
        maxRestarts=st.sampled_from([0, 3, 1000]),
        atOnce=st.sampled_from([None, 1]),
        keepGoing=st.booleans(),
    )
    def build(self, **keywords: Any) -> None:
        self.journal = Journal()
        self.supervisor, self.clock = clockedSupervisor(**keywords)
        self.members: list[FakeService] = []
        self.leaves: list[FakeService] = []
        self.terminated: set[FakeService] = set()

    def children(self) -> list[FakeService]:
        return [leaf for leaf in self.leaves if leaf.parent is not None]

    def check(self) -> None:
        """
        What must be so at any time.
        """
        assert self.journal.misuses == []
        for leaf in self.leaves:
            if leaf.parent is None:
                assert leaf.phase in ("down", "stopping"), leaf.phase
                assert not any(each is leaf for each in self.supervisor)
            else:
                assert any(each is leaf for each in self.supervisor)
            if not self.supervisor.running:
                # An orderly stop takes one after the other.
                stopping = str(self.supervisor.state) in ("stopping", "failed")
                assert stopping or leaf.phase in ("down", "stopping"), leaf.phase

    @rule(
        behaviour=st.sampled_from(BEHAVIOURS),
        restart=st.sampled_from(["permanent", "transient", "temporary"]),
        after=st.none() | NUMBER,
        requires=st.booleans(),
    )
    @precondition(lambda self: len(self.leaves) < 6)
    def place(
        self, behaviour: dict[str, Any], restart: str, after: int | None, requires: bool
    ) -> None:
        leaf = FakeService(f"leaf {len(self.leaves)}", self.journal, **behaviour)
        self.leaves.append(leaf)
        options: dict[str, Any] = {"restart": restart}
        if after is not None and self.children():
            name = pick(self.children(), after).name
            options["requires" if requires else "after"] = [name]
        try:
            self.quiet(self.supervisor.place(leaf, **options))
        except Exception as error:
            # Its own error, or that of what it requires.
            assert leaf.parent is None, error
        self.check()

    @rule(which=NUMBER)
    @precondition(lambda self: self.children())
    def remove(self, which: int) -> None:
        leaf = pick(self.children(), which)
        self.terminated.discard(leaf)
        try:
            self.quiet(leaf.disownServiceParent())
        except Broken:
            pass
        assert leaf.parent is None
        self.check()

    @rule()
    def start(self) -> None:
        try:
            self.quiet(self.supervisor.startService())
        except Exception:
            assert not self.supervisor.running
        self.check()

    @rule()
    def stop(self) -> None:
        self.quiet(self.supervisor.stopService())
        self.check()

    @rule(which=NUMBER)
    @precondition(lambda self: self.inPhase("starting"))
    def comeUp(self, which: int) -> None:
        pick(self.inPhase("starting"), which).up()
        self.check()

    @rule(which=NUMBER)
    @precondition(lambda self: self.inPhase("starting"))
    def failToStart(self, which: int) -> None:
        pick(self.inPhase("starting"), which).failStart(Broken("later"))
        self.check()

    @rule(which=NUMBER)
    @precondition(lambda self: self.children())
    def terminate(self, which: int) -> None:
        leaf = pick(self.children(), which)
        self.terminated.add(leaf)
        self.quiet(self.supervisor.terminateChild(leaf))
        self.check()

    def teardown(self) -> None:
        """
        When all has settled, the children are what the supervisor is; and a stop
        brings everybody down.
        """
        if not hasattr(self, "supervisor"):
            return
        self.settle()
        self.check()
        state = str(self.supervisor.state)
        if self.supervisor.running:
            assert state == "running"
            for leaf in self.children():
                if leaf in self.terminated or not self._wanted(leaf):
                    continue
                assert leaf.phase == "up", f"{leaf.name} is {leaf.phase}, forgotten"
                assert leaf.running, f"{leaf.name} went down, and was forgotten"
        else:
            assert state in ("new", "stopped", "failed"), state
            assert {leaf.phase for leaf in self.leaves} <= {"down"}
        self.quiet(self.supervisor.stopService())
        self.settle()
        self.check()
        assert not self.supervisor.running
        assert {leaf.phase for leaf in self.leaves} <= {"down"}

    def _wanted(self, leaf: FakeService) -> bool:
        """
        @return: whether it has to be up for sure: a transient one may have finished,
            one whose start failed with C{keepGoing} waits for a person, and so does
            what requires it.
        """
        if self.supervisor.keepGoing:
            return False
        spec = self.supervisor._child(leaf).spec
        return str(spec.restart) == "permanent" and not spec.requires


Supervised.TestCase.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=30, deadline=None
)
TestSupervised = Supervised.TestCase
