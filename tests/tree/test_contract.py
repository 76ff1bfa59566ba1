"""
L{svctree.testing.verifyService}: what it accepts, and each thing it finds.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.application import service as twisteds
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from zope.interface import implementer

from svctree.interfaces import IDescribable
from svctree.service import MultiService, Service
from svctree.testing import BareService, ContractViolation, FakeService, verifyService
from tests.tree.persist.sample import Strict


class Coroutines(Service):
    """
    Both calls are coroutine functions.
    """

    clock: Clock

    async def startService(self) -> None:
        await deferLater(self.clock, 1.0)
        self.running = 1

    async def stopService(self) -> None:
        await deferLater(self.clock, 1.0)
        self.running = 0


@pytest.mark.parametrize(
    "make",
    [
        Service,
        MultiService,
        FakeService,
        BareService,
        twisteds.Service,
        twisteds.MultiService,
        lambda: FakeService("named"),
        lambda: Strict(2.5),
    ],
)
def test_accepts(make: Any) -> None:
    """
    Services that keep the contract pass, without a reactor.
    """
    assert verifyService(make) is None


def test_asynchronous() -> None:
    """
    Where a service takes its time, so does the check.
    """
    clock = Clock()

    def make() -> Service:
        service = Coroutines()
        service.clock = clock
        return service

    checking = verifyService(make)
    assert checking is not None
    while not checking.called:
        clock.advance(1.0)
    results: list[object] = []
    checking.addBoth(results.append)
    assert results == [None]


class WithParent(Service):
    parent: Any = MultiService()


class BornRunning(Service):
    running = 1


class Deaf(Service):
    def setName(self, name: str) -> None:
        pass


class Renamable(Service):
    def setName(self, name: str) -> None:
        self.name = name


class Homeless(Service):
    def setServiceParent(self, parent: Any) -> None:
        pass


class Sticky(Service):
    def disownServiceParent(self) -> None:
        pass


class Noisy(Service):
    def disownServiceParent(self) -> Any:
        super().disownServiceParent()
        return "bye"


class LatePrivileges(Service):
    def privilegedStartService(self) -> Any:
        return Deferred()


class AwaitedPrivileges(Service):
    async def privilegedStartService(self) -> None:  # type: ignore[override]
        pass


class NeedsStart(Service):
    def startService(self) -> None:
        super().startService()
        self.resource = object()

    def stopService(self) -> None:
        super().stopService()
        del self.resource


class Once(Service):
    def __init__(self) -> None:
        self.used = False

    def startService(self) -> None:
        if self.used:
            raise RuntimeError("used up")
        self.used = True
        super().startService()


class Forgetful(Service):
    def startService(self) -> None:
        pass


class Immortal(Service):
    def stopService(self) -> None:
        pass


class Talkative(Service):
    def describe(self) -> dict[str, Any]:
        return {"me": self}


@implementer(IDescribable)
class Liar(Service):
    def settings(self) -> dict[str, object]:
        return {"port": 1}


@implementer(IDescribable)
class Rounding(Service):
    def __init__(self, size: int = 7) -> None:
        self.size = size

    def settings(self) -> dict[str, object]:
        return {"size": self.size + 1}


class Everything(MultiService):
    def getServiceNamed(self, name: str) -> Any:
        return None


BAD = [
    (object, "it does not provide IService"),
    (WithParent, "it has a parent before it was given one"),
    (BornRunning, "running is true before it was started"),
    (Deaf, "setName() does not set the name"),
    (Renamable, "setName() raises no RuntimeError while it has a parent"),
    (Homeless, "setServiceParent() does not make it a child"),
    (Sticky, "disownServiceParent() does not take it out of its parent"),
    (Noisy, "disownServiceParent() returns something, but nothing ran"),
    (LatePrivileges, "privilegedStartService() returns something to wait for"),
    (AwaitedPrivileges, "privilegedStartService() returns something to wait for"),
    (NeedsStart, "stopService() after the privileged phase only fails: Attribute"),
    (Once, "startService() again fails: RuntimeError('used up')"),
    (Forgetful, "running is false after it was started"),
    (Immortal, "running is true after it was stopped"),
    (Talkative, "describe() does not return plain data"),
    (Liar, "settings() do not make another one"),
    (Rounding, "settings() do not make a service with the same settings"),
    (Everything, "getServiceNamed() raises no KeyError"),
]


@pytest.mark.parametrize(("make", "violation"), BAD)
def test_finds(make: Any, violation: str) -> None:
    """
    What breaks the contract is said in words.
    """
    with pytest.raises(ContractViolation) as caught:
        verifyService(make)
    assert any(found.startswith(violation) for found in caught.value.violations)
    assert f"{make.__qualname__} breaks the contract:\n  - " in str(caught.value)


def test_notNew() -> None:
    """
    Handing out the same service again is found before it confuses the check.
    """
    service = Service()
    with pytest.raises(ContractViolation, match="it is not new"):
        verifyService(lambda: service)


def test_findsAll() -> None:
    """
    All violations are reported at once.
    """

    class Worse(Immortal, Talkative):
        pass

    with pytest.raises(ContractViolation) as caught:
        verifyService(Worse)
    assert len(caught.value.violations) > 1
