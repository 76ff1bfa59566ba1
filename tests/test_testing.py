"""
What L{svctree.testing} publishes.
"""

from __future__ import annotations

import pytest
from twisted.application.service import IService
from twisted.internet.defer import CancelledError, Deferred
from zope.interface.verify import verifyObject

from svctree.service import MultiService
from svctree.testing import (
    BareService,
    FakeService,
    Journal,
    Misuse,
    buildTree,
    clockedSupervisor,
    statesOf,
    verifyService,
)
from svctree.tree import Supervisor


@pytest.mark.parametrize("kind", [FakeService, BareService])
def test_fakesAreServices(kind: type) -> None:
    """
    The fakes provide the interface and keep the contract.
    """
    verifyObject(IService, kind("name"))
    assert verifyService(kind) is None


def test_bareService() -> None:
    """
    A bare service is as inconvenient as promised.
    """
    bare = BareService()
    assert not hasattr(bare, "__dict__")
    assert bare == BareService()
    with pytest.raises(TypeError):
        hash(bare)
    bare.setName("name")
    first, second = MultiService(), MultiService()
    bare.setServiceParent(first)
    bare.setServiceParent(second)
    assert bare.parent is second
    assert list(first) == []
    with pytest.raises(RuntimeError):
        bare.setName("other")


def test_misuse() -> None:
    """
    A fake refuses what a container must not do, and notes it.
    """
    journal = Journal()
    fake = FakeService("x", journal)
    with pytest.raises(Misuse):
        fake.stopService()
    fake.privilegedStartService()
    with pytest.raises(Misuse):
        fake.privilegedStartService()
    fake.startService()
    with pytest.raises(Misuse):
        fake.startService()
    for call in (fake.up, fake.down):
        with pytest.raises(Misuse):
            call()
    assert journal.misuses == [
        "stop of 'x', which is down",
        "privileged phase of 'x', which is privileged",
        "start of 'x', which is up",
    ]
    assert journal.take() == ["privileged x", "start x"]
    assert journal.take() == []


def test_later() -> None:
    """
    Pending starts and stops end as the test says.
    """
    fake = FakeService("x", startsLater=True, stopsLater=True)
    outcomes: list[object] = []
    for end in (fake.up, lambda: fake.failStart(KeyError())):
        starting = fake.startService()
        assert isinstance(starting, Deferred)
        assert fake.phase == "starting"
        end()
        starting.addBoth(outcomes.append)
        if fake.phase == "up":
            stopping = fake.stopService()
            assert isinstance(stopping, Deferred)
            fake.failStop(KeyError())
            stopping.addBoth(outcomes.append)
    assert outcomes[0] is None
    assert [type(outcome.value) for outcome in outcomes[1:]] == [KeyError, KeyError]


def test_cancelled() -> None:
    """
    A start that is cancelled still wants to be stopped; a stop that is cancelled has
    ended.
    """
    fake = FakeService("x", startsLater=True, stopsLater=True)
    for call, phase in ((fake.startService, "starting"), (fake.stopService, "down")):
        pending = call()
        assert pending is not None
        failures: list[object] = []
        pending.addErrback(lambda failure, f=failures: f.append(failure.type))
        pending.cancel()
        assert failures == [CancelledError]
        assert fake.phase == phase
    assert fake.journal == ["start x", "cancel x", "stop x", "abandon x"]


def test_buildTree() -> None:
    """
    Mappings become containers, pairs bring their own, and names are kept.
    """
    jobs = Supervisor()
    named = FakeService("own name")
    tree = buildTree({"web": {"pool": FakeService()}, "jobs": (jobs, {"key": named})})
    assert jobs.parent is tree
    assert statesOf(tree) == {"web": {"pool": "new"}, "jobs": {"own name": "new"}}
    tree.startService()
    assert statesOf(tree)["web"] == {"pool": "running"}


def test_clockedSupervisor() -> None:
    """
    Its restarts come when the clock says so, exactly.
    """
    supervisor, clock = clockedSupervisor({"a": FakeService()}, maxRestarts=9)
    supervisor.startService()
    (fake,) = supervisor
    for delay in (0.0, 0.1, 0.2):
        fake.crash(KeyError())
        if delay:
            clock.advance(delay - 0.001)
            assert statesOf(supervisor) != {"a": "running"}
            clock.advance(0.001)
        assert statesOf(supervisor) == {"a": "running"}
