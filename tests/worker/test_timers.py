"""
The wheel of deadlines.
"""

from __future__ import annotations

import random

from svctree.worker.timers import NEVER, Wheel


class Timed:
    def __init__(self) -> None:
        self.deadline = NEVER
        self.bucket = 0
        self.fired: list[float] = []

    def expired(self, now: float) -> None:
        self.fired.append(now)


def test_expires() -> None:
    """
    What is armed expires once, at its deadline or at most an eighth of a second later.
    """
    wheel, timed = Wheel(), Timed()
    assert wheel.due == NEVER
    wheel.arm(timed, 10.0)
    assert 10.0 <= wheel.due <= 10.125
    wheel.sweep(9.9)
    assert not timed.fired
    wheel.sweep(wheel.due)
    wheel.sweep(20.0)
    assert len(timed.fired) == 1 and wheel.due == NEVER


def test_laterByAssignment() -> None:
    """
    A deadline is put off by assigning the attribute.
    """
    wheel, timed = Wheel(), Timed()
    wheel.arm(timed, 10.0)
    timed.deadline = 50.0
    wheel.sweep(11.0)
    assert not timed.fired and 50.0 <= wheel.due <= 50.125
    wheel.sweep(51.0)
    assert timed.fired == [51.0]


def test_sooner() -> None:
    """
    A deadline is brought closer by arming again, and then fires once.
    """
    wheel, timed = Wheel(), Timed()
    wheel.arm(timed, 50.0)
    wheel.arm(timed, 10.0)
    wheel.sweep(11.0)
    wheel.sweep(60.0)
    assert timed.fired == [11.0]


def test_disarmed() -> None:
    """
    What is disarmed, or has no deadline any more, never expires.
    """
    wheel, one, other = Wheel(), Timed(), Timed()
    wheel.arm(one, 10.0)
    wheel.arm(other, 10.0)
    wheel.disarm(one)
    wheel.disarm(one)
    other.deadline = NEVER
    wheel.sweep(100.0)
    assert not one.fired and not other.fired and not other.bucket


def test_manyAtRandom() -> None:
    """
    Among many that come and go each expires when it should.
    """
    chance, wheel = random.Random(1), Wheel()
    all_ = [Timed() for _ in range(300)]
    now = 0.0
    for _ in range(2000):
        timed = chance.choice(all_)
        what = chance.random()
        if what < 0.5:
            wheel.arm(timed, now + chance.random() * 5)
        elif what < 0.7 and timed.bucket:
            timed.deadline += 1.0
        elif what < 0.8:
            wheel.disarm(timed)
        before = [(one, one.deadline) for one in all_ if one.bucket]
        now += 0.01
        wheel.sweep(now)
        for one, deadline in before:
            if one.fired and one.fired[-1] == now:
                assert deadline <= now
            else:
                assert deadline > now - 0.15
