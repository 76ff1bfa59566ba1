"""
Trees under random treatment, much of which comes from within: services act while they
are called, and observers when they hear of something.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from svctree.service import MultiService
from svctree.testing import FakeService, Journal, Misuse
from svctree.tree import Supervisor, TreeError

MOST = 1
"""What may come from within one step."""


class Meddler(FakeService):
    """
    Has C{meddle} called in the middle of each of its calls.
    """

    def __init__(self, name: str, journal: Journal, meddle: Any, **how: Any) -> None:
        super().__init__(name, journal, **how)
        self._meddle = meddle

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        self._meddle(self, "privileged")

    def startService(self) -> Any:
        result = super().startService()
        self._meddle(self, "start")
        return result

    def stopService(self) -> Any:
        result = super().stopService()
        self._meddle(self, "stop")
        return result

    def _startCancelled(self, starting: Deferred[None]) -> None:
        if self.pending is starting:
            self.phase = "down"
        super()._startCancelled(starting)


class Treatment:
    """
    One tree and what is done to it.
    """

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.clock = Clock()
        self.journal = Journal()
        # How much may still come from within one step.
        self.meddling = 0
        self.containers = [self.container() for _ in range(3)]
        self.root = self.containers[0]
        self.root.onDown = lambda failure: None
        self.leaves = [self.leaf(number) for number in range(5)]
        for container in self.containers[1:]:
            container.setServiceParent(self.root)
        for leaf in self.leaves:
            leaf.setServiceParent(self.chance.choice(self.containers))
        self.root.subscribe(lambda event: self.meddle(None, "hears", 0.1))

    def container(self) -> Any:
        keepGoing = self.chance.random() < 0.3
        if self.chance.random() < 0.5:
            plain = MultiService(keepGoing=keepGoing)
            plain.clock = self.clock
            return plain
        return Supervisor(
            clock=self.clock,
            random=self.chance.random,
            strategy=self.chance.choice(["oneForOne", "oneForAll", "restForOne"]),
            maxRestarts=self.chance.choice([0, 3, 50]),
            keepGoing=keepGoing,
        )

    def leaf(self, number: int) -> Meddler:
        later = [self.chance.random() < 0.4 for _ in range(2)]
        return Meddler(
            f"l{number}",
            self.journal,
            self.meddle,
            startsLater=later[0],
            stopsLater=later[1],
        )

    def meddle(self, who: Any, when: str, often: float = 0.25) -> None:
        if self.meddling > 0 and self.chance.random() < often:
            self.meddling -= 1
            self.act(who, when)

    def step(self) -> None:
        self.meddling = MOST
        self.act(None, "")
        self.meddling = 0

    def act(self, who: Any, when: str) -> None:
        try:
            result = self.chosen(who, when)()
        except (TreeError, ValueError, Misuse):
            # Refused, or what a service had to say; misuses are in the journal.
            return
        if isinstance(result, Deferred):
            result.addErrback(lambda failure: None)

    def chosen(self, who: Any, when: str) -> Callable[[], Any]:
        chance = self.chance
        leaf = who if who and chance.random() < 0.4 else chance.choice(self.leaves)
        container = chance.choice(self.containers)
        options: list[Callable[[], Any]] = [
            *[self.root.startService, self.root.stopService] * 2,
            lambda: self.clock.advance(chance.choice([0.05, 0.3, 6.0, 40.0])),
            container.whenReady,
        ]
        if leaf.parent is not None:
            options.append(leaf.disownServiceParent)
        if leaf is not who or when != "stop":
            options += [lambda: leaf.setServiceParent(container)] * 2
        if leaf.pending is not None and leaf is not who:
            ends = leaf.up if leaf.phase == "starting" else leaf.down
            options += [ends] * 3
        if leaf.phase == "up" and leaf is not who:
            options += [lambda: leaf.crash(ValueError("crash")), leaf.finish]
        return chance.choice(options)

    def settle(self) -> None:
        """
        Whatever is pending comes to its end, and all delays pass.
        """
        for _ in range(100):
            pending = [leaf for leaf in self.leaves if leaf.pending is not None]
            for leaf in pending:
                if leaf.pending is not None:
                    (leaf.up if leaf.phase == "starting" else leaf.down)()
            before = len(self.journal)
            self.clock.advance(40.0)
            if not pending and len(self.journal) == before:
                return
        raise AssertionError("it never comes to rest")


@pytest.mark.parametrize("first", range(0, 1500, 500))
def test_churnFromWithin(first: int) -> None:
    """
    Whoever does what from wherever: nobody is started or stopped twice, and a stop ends
    with everybody down, and a start with everybody up who is in the tree.
    """
    for seed in range(first, first + 500):
        treatment = Treatment(seed)
        for _ in range(12):
            treatment.step()
        treatment.settle()
        for call, phase in [("stop", "down"), ("start", "up"), ("stop", "down")]:
            result = getattr(treatment.root, f"{call}Service")()
            if result is not None:
                result.addErrback(lambda failure: None)
            treatment.settle()
            wrong = [
                leaf.name
                for leaf in treatment.leaves
                if leaf.phase != (phase if leaf.parent is not None else "down")
            ]
            assert wrong == [], (seed, call)
        assert treatment.journal.misuses == [], seed
