"""
Supervisors under random treatment: nobody starts twice, nobody is left running, no
timer is left behind.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from svctree.service import Service
from svctree.tree import Supervisor


class Fickle(Service):
    """
    Starts and stops at once, later, or with an error, as chance has it.
    """

    up = False

    def __init__(self, name: str, chance: random.Random, clock: Clock) -> None:
        self.setName(name)
        self._chance = chance
        self._clock = clock
        self.misuse: list[str] = []

    def startService(self) -> Deferred[None] | None:
        super().startService()
        if self.up:
            self.misuse.append("started twice")
        luck = self._chance.random()
        if luck < 0.1:
            raise RuntimeError("bad luck")
        self.up = True
        return self._later(self._started) if luck < 0.4 else None

    def stopService(self) -> Deferred[None] | None:
        super().stopService()
        self.up = False
        late = self._chance.random() < 0.3
        return self._later(lambda done: done.callback(None)) if late else None

    def _later(self, end: Any) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        delay = self._chance.random() * 4
        self._clock.callLater(delay, lambda: None if done.called else end(done))
        return done

    def _started(self, done: Deferred[None]) -> None:
        if self._chance.random() < 0.8:
            done.callback(None)
        else:
            self.up = False
            done.errback(RuntimeError("worse luck"))


class Treatment:
    """
    One supervisor and what is done to it.
    """

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.clock = Clock()
        self.services: list[Fickle] = []
        self.supervisor = Supervisor(
            clock=self.clock,
            random=self.chance.random,
            strategy=self.chance.choice(["oneForOne", "oneForAll", "restForOne"]),
            maxRestarts=self.chance.choice([0, 2, 50]),
            keepGoing=self.chance.random() < 0.5,
            defaults={"startTimeout": 2.5, "stopTimeout": 2.0},
        )
        self.supervisor.onDown = lambda failure: None
        self.actions = [self.start] * 4 + [self.stop] * 2 + [self.crash] * 4
        self.actions += [self.finish, self.add, self.remove] + [self.wait] * 7
        for _ in range(4):
            self.add()

    def step(self) -> None:
        try:
            waiting = self.chance.choice(self.actions)()
        except RuntimeError:
            # Its own bad luck, within a call.
            return
        if isinstance(waiting, Deferred):
            waiting.addErrback(lambda failure: None)

    def start(self) -> Any:
        return self.supervisor.startService()

    def stop(self) -> Any:
        return self.supervisor.stopService()

    def any(self) -> Fickle | None:
        services = list(self.supervisor)
        return self.chance.choice(services) if services else None

    def crash(self) -> None:
        if service := self.any():
            service.crashed(ValueError("ouch"))

    def finish(self) -> None:
        if service := self.any():
            service.finished()

    def remove(self) -> Any:
        service = self.any()
        return None if service is None else service.disownServiceParent()

    def add(self) -> Any:
        name = f"s{len(self.services)}"
        service = Fickle(name, self.chance, self.clock)
        after = [] if self.chance.random() < 0.7 else [f"s{len(self.services) // 2}"]
        self.services.append(service)
        restart = self.chance.choice(["permanent", "transient", "temporary"])
        needs = [other for other in after if other != name]
        return self.supervisor.place(service, restart=restart, after=needs)

    def wait(self) -> None:
        self.clock.advance(self.chance.random() * 3)


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_churn(first: int) -> None:
    """
    Whatever happens to a supervisor and its children, each is started and stopped in
    turn, and a stop ends with everybody down.
    """
    for seed in range(first, first + 50):
        treatment = Treatment(seed)
        for _ in range(40):
            treatment.step()
        stopping = treatment.supervisor.stopService()
        stopping.addErrback(lambda failure: None)
        treatment.clock.pump([0.5] * 240)
        children = list(treatment.supervisor)
        assert stopping.called, seed
        assert [each.path for each in children if each.up] == [], seed
        assert [each.misuse for each in treatment.services if each.misuse] == [], seed
        assert treatment.clock.getDelayedCalls() == [], seed
