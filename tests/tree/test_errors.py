"""
Errors of the tree: one base, the facts as attributes, a message that says the path.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.python.failure import Failure

from svctree.service import MultiService, Service
from svctree.testing import FakeService, buildTree, clockedSupervisor
from svctree.tree import (
    BackOff,
    DynamicSupervisor,
    HealthCheck,
    PartitionSupervisor,
    Supervisor,
    TreeError,
    errors,
)
from svctree.tree.errors import UnknownOption

WHY = Failure(ValueError("why"))

MADE: list[tuple[TreeError, dict[str, object]]] = [
    (errors.AlreadyAChild("/a"), {}),
    (errors.ChildIsRestarting("/a"), {}),
    (errors.ChildIsRunning("/a"), {}),
    (errors.CycleOfParents(["a", "b", "a"]), {"chain": ("a", "b", "a")}),
    (errors.DependencyCycle("/a", ["a", "b", "a"]), {"cycle": ("a", "b", "a")}),
    (errors.DuplicateName("/a", "b"), {"name": "b"}),
    (errors.HealthCheckFailed("/a", 3, WHY), {"times": 3, "cause": WHY}),
    (errors.NameIsFixed("/a", "b"), {"name": "b"}),
    (errors.NameRefused("/a"), {}),
    (errors.NoSuchService("/a", "b", ["c"]), {"name": "b", "siblings": ("c",)}),
    (errors.NotAChild("/a", WHY), {"service": WHY}),
    (errors.PrivilegedPhaseIsSynchronous("/a", WHY), {"result": WHY}),
    (errors.ProcessKeepsEnding("b", 5, "/a"), {"name": "b", "times": 5}),
    (errors.RequirementMissing("/a", "b", "is stopped"), {"requirement": "b"}),
    (
        errors.RestartLimitReached("/a", 3, 5.0, WHY),
        {"maxRestarts": 3, "within": 5.0, "cause": WHY, "exitStatus": 1, "details": ""},
    ),
    (errors.Shutdown("/a: went down", "/a"), {}),
    (errors.StartInterrupted("/a"), {}),
    (errors.StartTimedOut("/a", 5.0), {"timeout": 5.0}),
    (
        errors.StopFailed("/a", [("/a/b", WHY)], [(False, WHY)]),
        {"failures": (("/a/b", WHY),), "results": [(False, WHY)]},
    ),
    (errors.StopOverran("/a", 5.0), {"timeout": 5.0}),
    (errors.SupervisorIsDown("/a"), {}),
    (errors.TooManyChildren("/a", 3), {"maxChildren": 3}),
    (errors.UnknownOption("/a", "b", 5, "a string"), {"option": "b", "value": 5}),
]

DECISIONS = {"DoNotRestart", "Ignore", "StopTree", "TreeError"}
"""What services raise to say what they want, and the base."""


@pytest.mark.parametrize("made", MADE, ids=lambda made: type(made[0]).__name__)
def test_facts(made: tuple[TreeError, dict[str, object]]) -> None:
    """
    Each has its facts as attributes, and one line that begins with the path.
    """
    error, facts = made
    assert error.path == "/a"
    assert {name: getattr(error, name) for name in facts} == facts
    assert str(error).startswith("/a: ")
    assert str(error) == error.message
    assert len(str(error).splitlines()) == 1


def test_allOfThem() -> None:
    """
    None is forgotten here.
    """
    assert {type(error).__name__ for error, _ in MADE} | DECISIONS == set(
        errors.__all__
    )


@pytest.mark.parametrize(
    "options",
    [
        {"maxRestarts": -1},
        {"maxRestarts": None},
        {"maxRestarts": "3"},
        {"within": 0},
        {"within": None},
        {"within": float("nan")},
        {"atOnce": 0},
        {"rollbackTimeout": -1},
        {"strategy": "random"},
        {"autoShutdown": None},
        {"backOff": 5},
        {"backOff": {"colour": 1}},
        {"backOff": BackOff(initial=-1)},
        {"backOff": {"jitter": 5}},
        {"defaults": {"colour": "red"}},
    ],
)
def test_optionsOfSupervisors(options: dict[str, Any]) -> None:
    """
    A supervisor refuses options that make no sense, and says what it expects.
    """
    with pytest.raises(UnknownOption, match=r"^/: .* is .*, expected "):
        Supervisor(**options)


@pytest.mark.parametrize("kind", [MultiService, Supervisor])
@pytest.mark.parametrize(
    "options",
    [
        {"colour": "red"},
        {"after": 5},
        {"after": [1]},
        {"requires": None},
        {"restart": "sometimes"},
        {"startTimeout": "5"},
        {"startTimeout": -1},
        {"stopTimeout": "x"},
        {"health": 5},
        {"health": lambda service: True},
        {"factory": 5},
        {"significant": True},
    ],
)
def test_optionsOfChildren(kind: Any, options: dict[str, Any]) -> None:
    """
    So does a container with the options of a child, before it takes it in.
    """
    container = kind()
    service = FakeService("a")
    with pytest.raises(UnknownOption, match=r"^/a: .* is .*, expected ") as refused:
        container.place(service, **options)
    assert refused.value.path == "/a"
    assert service.parent is None
    assert list(container) == []
    service.setServiceParent(container)
    assert container.placementOf(service) == {}


def test_numbers() -> None:
    """
    The families refuse numbers that are none.
    """
    for maxChildren in ("5", -1):
        with pytest.raises(UnknownOption, match="maxChildren"):
            DynamicSupervisor(FakeService, maxChildren=maxChildren)  # type: ignore[arg-type]
    for partitions in (0, 2.5, "2"):
        with pytest.raises(UnknownOption, match="partitions"):
            PartitionSupervisor(FakeService, partitions)  # type: ignore[arg-type]


class Mute(Exception):
    """
    Cannot say anything.
    """

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


class Mutes(Service):
    """
    Has errors that cannot say anything, nor can it.
    """

    where = "start"

    def startService(self) -> None:
        super().startService()
        if self.where == "start":
            raise Mute

    def stopService(self) -> None:
        super().stopService()
        if self.where == "stop":
            raise Mute

    def __repr__(self) -> str:
        raise RuntimeError("no words")


def test_mute() -> None:
    """
    Errors without a message, from services that have no representation, come through.
    """
    container = buildTree({"a": Mutes()})
    with pytest.raises(Mute):
        container.startService()
    assert "Mute" in container.describe()["reason"]
    with pytest.raises(errors.NotAChild, match="Mutes"):
        container.removeService(Mutes())
    stops = Mutes()
    stops.where = "stop"
    container = buildTree({"a": stops})
    container.startService()
    stopped: list[Any] = []
    container.stopService().addErrback(stopped.append)
    assert "Mute" in str(stopped[0].value)


def test_muteChild() -> None:
    """
    A supervisor gives up in one line about what cannot say anything.
    """
    down: list[Failure] = []
    a = FakeService()
    supervisor, _ = clockedSupervisor({"a": a}, maxRestarts=0)
    supervisor.onDown = down.append
    supervisor.startService()
    a.crash(Mute())
    assert str(down[0].value).startswith("/: gave up after 0 restarts within 5 s: /a: ")
    assert len(str(down[0].value).splitlines()) == 1


def test_healthy() -> None:
    """
    What makes sense is taken.
    """
    supervisor = Supervisor(maxRestarts=0, within=0.5, atOnce=None, backOff={})
    child = FakeService("a")
    supervisor.place(child, after="b", health=HealthCheck(bool), stopTimeout=0)
    assert child.parent is supervisor
