"""
The children of a supervisor and what it knows of each beforehand.
"""

from __future__ import annotations

import random as _random
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from svctree.interfaces import IDescribable, IPlacing
from svctree.tree.child import Child
from svctree.tree.container import MultiService
from svctree.tree.errors import NotAChild, UnknownOption
from svctree.tree.order import Order
from svctree.tree.policy import BackOff, Intensity
from svctree.tree.spec import (
    AutoShutdown,
    ChildSpec,
    Restart,
    Strategy,
    checkKnown,
    checkNumber,
    oneOf,
)


@implementer(IPlacing, IDescribable)
class Placing(MultiService):
    """
    The layer of supervisors that takes children in, with options. The parameters are
    those of L{Supervisor<svctree.tree.supervisor.Supervisor>}.
    """

    defaultSpec = ChildSpec(stopTimeout=30.0)

    _supervises = True
    _order: Order

    def __init__(
        self,
        *,
        strategy: Strategy | str = Strategy.ONE_FOR_ONE,
        maxRestarts: int = 3,
        within: float = 5.0,
        backOff: BackOff | Mapping[str, float] | None = None,
        autoShutdown: AutoShutdown | str = AutoShutdown.NEVER,
        atOnce: int | None = 16,
        rollbackTimeout: float | None = 30.0,
        keepGoing: bool | None = None,
        clock: IReactorTime | None = None,
        random: Callable[[], float] | None = None,
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(keepGoing=keepGoing)
        checkNumber("/", "maxRestarts", maxRestarts, 0, "at least 0")
        checkNumber("/", "within", within, _MOMENT, "more than 0 seconds")
        if atOnce is not None:
            checkNumber("/", "atOnce", atOnce, 1, "at least 1, or None")
        if rollbackTimeout is not None:
            checkNumber("/", "rollbackTimeout", rollbackTimeout, 0, "seconds or None")
        self.strategy: Strategy = oneOf(Strategy, strategy, "/", "strategy")
        self.autoShutdown: AutoShutdown = oneOf(
            AutoShutdown, autoShutdown, "/", "autoShutdown"
        )
        self.maxRestarts = maxRestarts
        self.within = within
        self.backOff = _backOffOf(backOff)
        self.atOnce = atOnce
        self.rollbackTimeout = rollbackTimeout
        self.clock = clock
        self.random = _random.random if random is None else random
        if defaults is not None:
            self.defaultSpec = self.defaultSpec.changed("/", defaults)
        self._prepare()

    def settings(self) -> dict[str, object]:
        """
        @return: the keywords that make a supervisor like this one.
        """
        if type(self).__init__ is not Placing.__init__:
            raise ValueError(
                f"{type(self).__name__} does not say what its settings are; expected "
                "a method settings() of its own"
            )
        return self._options()

    def _options(self) -> dict[str, object]:
        """
        @return: those of our constructor's keywords that are not the usual ones.
        """
        found: dict[str, object] = {
            "strategy": str(self.strategy),
            "maxRestarts": self.maxRestarts,
            "within": self.within,
            "backOff": asdict(self.backOff),
            "autoShutdown": str(self.autoShutdown),
            "atOnce": self.atOnce,
            "rollbackTimeout": self.rollbackTimeout,
            "keepGoing": self.keepGoing,
            "defaults": self.defaultSpec.options(Placing.defaultSpec),
        }
        usual = _USUAL | {"backOff": asdict(BackOff())}
        return {key: value for key, value in found.items() if value != usual[key]}

    def _prepare(self) -> None:
        """
        Make what is not saved with the tree.
        """
        self._order = Order(self._findNamed)
        self._books: dict[int, Child] = {}
        self._intensity = Intensity(self.maxRestarts, self.within)
        self._unstopped: tuple[str, ...] = ()

    def _enrol(self, path: str, service: Any, placement: dict[str, Any]) -> None:
        spec = self._checkSpec(path, self.defaultSpec.changed(path, placement))
        self._place(path, service, spec)

    def addChild(
        self, factory: Callable[[], Any], name: str | None = None, **options: Any
    ) -> Any:
        """
        Add a child that C{factory} makes, now and for each restart.

        @return: the instance that was made.
        """
        service = factory()
        if name is not None:
            service.setName(name)
        self.place(service, factory=factory, **options)
        return service

    def placementOf(self, service: Any) -> dict[str, object]:
        """
        @return: the options of a child that differ from the defaults.
        """
        return self._child(service).spec.options(self.defaultSpec)

    def _checkSpec(self, path: str, spec: ChildSpec) -> ChildSpec:
        if spec.significant:
            if self.autoShutdown is AutoShutdown.NEVER:
                raise UnknownOption(
                    path,
                    "significant",
                    True,
                    "False, since the supervisor's autoShutdown is 'never'",
                )
            if spec.restart is Restart.PERMANENT:
                raise UnknownOption(
                    path,
                    "restart",
                    str(spec.restart),
                    "'transient' or 'temporary', since a significant child has to end",
                )
        return spec

    def _place(self, path: str, service: Any, spec: ChildSpec) -> None:
        if id(service) in self._books and service.parent is not self:
            # Left by a failed add; the present options count.
            self._unplace(service)
        self._order.add(path, service, spec.after, spec.requires)
        self._books[id(service)] = Child(service, spec)

    def _unplace(self, service: Any) -> None:
        child = self._books.pop(id(service), None)
        if child is not None:
            child.gone = True
            child.rest()
        self._order.forget(service)

    def _child(self, service: Any) -> Child:
        child = self._books.get(id(service))
        if child is None:
            if self._children.find(service) < 0:
                raise NotAChild(self.path, service)
            # It was added without options.
            child = self._books[id(service)] = Child(service, self.defaultSpec)
        return child

    def _drop(self, service: Any, position: int) -> None:
        super()._drop(service, position)
        self._unplace(service)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop("_placed", None)
        # Plain data, as far as it goes: classes change.
        children = [self._child(service) for service in self._children]
        state["_placements"] = [child.spec.options(ChildSpec()) for child in children]
        state["backOff"] = asdict(self.backOff)
        for name in ("strategy", "autoShutdown"):
            state[name] = str(state[name])
        if "defaultSpec" in state:
            state["defaultSpec"] = self.defaultSpec.options(ChildSpec())
        # Like the clock, chance is what it is where the tree is loaded.
        for name in (
            *("_order", "_books", "_intensity", "_supervision", "_bringing"),
            "random",
        ):
            state.pop(name, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        placements = state.pop("_placements", ())
        super().__setstate__(state)
        self.strategy = Strategy(state["strategy"])
        self.autoShutdown = AutoShutdown(state["autoShutdown"])
        self.backOff = BackOff(**state["backOff"])
        if "defaultSpec" in state:
            self.defaultSpec = ChildSpec().changed("/", state["defaultSpec"])
        self.random = _random.random
        self._prepare()
        for service, options in zip(self._children, placements, strict=True):
            self._place("/", service, ChildSpec().changed("/", options))


def _backOffOf(given: Any) -> BackOff:
    if given is None:
        return BackOff()
    if isinstance(given, Mapping):
        known = [field.name for field in fields(BackOff)]
        checkKnown("/", given, known)
        given = BackOff(**given)
    if not isinstance(given, BackOff):
        raise UnknownOption("/", "backOff", given, "a BackOff, or its fields")
    for name, value in asdict(given).items():
        checkNumber("/", f"{name} of backOff", value, 0, "a number, not below 0")
    if given.jitter > 1:
        raise UnknownOption("/", "jitter of backOff", given.jitter, "0.0 to 1.0")
    return given


_MOMENT = 1e-9
_USUAL: dict[str, object] = {
    "strategy": "oneForOne",
    "maxRestarts": 3,
    "within": 5.0,
    "autoShutdown": "never",
    "atOnce": 16,
    "rollbackTimeout": 30.0,
    "keepGoing": False,
    "defaults": {},
}

__all__ = ["Placing"]
