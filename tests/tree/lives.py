"""
What happens to fake services in any random life of a tree in which time passes.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from svctree.testing import FakeService, Journal
from tests.tree.test_stateful import NUMBER, Broken, pick

__all__ = ["Lives"]


class Lives(RuleBasedStateMachine):
    """
    Rules that need no more than the services, their journal and the clock.
    """

    journal: Journal
    clock: Clock
    leaves: list[FakeService]

    def check(self) -> None:
        """
        What must be so at any time.
        """
        raise NotImplementedError

    def inPhase(self, phase: str) -> list[FakeService]:
        return [leaf for leaf in self.leaves if leaf.phase == phase and leaf.pending]

    def up(self) -> list[FakeService]:
        return [leaf for leaf in self.leaves if leaf.phase == "up" and leaf.running]

    @rule(which=NUMBER, fails=st.booleans())
    @precondition(lambda self: self.inPhase("stopping"))
    def goDown(self, which: int, fails: bool) -> None:
        leaf = pick(self.inPhase("stopping"), which)
        if fails:
            leaf.failStop(Broken("stop, later"))
        else:
            leaf.down()
        self.check()

    @rule(which=NUMBER, crashes=st.booleans())
    @precondition(lambda self: self.up())
    def fall(self, which: int, crashes: bool) -> None:
        leaf = pick(self.up(), which)
        if crashes:
            leaf.crash(Broken("crash"))
        else:
            leaf.finish()
        self.check()

    @rule(seconds=st.sampled_from([0.05, 0.2, 1.0, 6.0, 40.0]))
    def passTime(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.check()

    @rule(which=NUMBER)
    @precondition(lambda self: self.leaves)
    def repair(self, which: int) -> None:
        self.mend(pick(self.leaves, which))

    def mend(self, leaf: FakeService) -> None:
        leaf.startError = leaf.stopError = None

    def quiet(self, result: Any) -> None:
        if isinstance(result, Deferred):
            result.addErrback(lambda failure: None)

    def settle(self) -> None:
        """
        Everybody who has something pending comes to an end with it, and all delays
        pass.
        """
        for _ in range(300):
            busy = False
            for leaf in self.leaves:
                self.mend(leaf)
                if leaf.phase == "starting" and leaf.pending:
                    leaf.up()
                    busy = True
                elif leaf.phase == "stopping" and leaf.pending:
                    leaf.down()
                    busy = True
            self.check()
            if not busy:
                before = len(self.journal)
                self.clock.advance(40.0)
                if len(self.journal) == before:
                    return
        raise AssertionError("it never comes to rest")
