"""
Checks a service against what the tree relies on.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Sequence
from typing import Any

from twisted.application.service import IService, IServiceCollection
from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from zope.interface.exceptions import Invalid
from zope.interface.verify import verifyObject

from svctree.interfaces import IDescribable
from svctree.tree.description import madeOf, plain

__all__ = ["ContractViolation", "verifyService"]


class ContractViolation(AssertionError):
    """
    A service does not do what the tree relies on.

    @ivar violations: one sentence for each.
    """

    def __init__(self, service: object, violations: Sequence[str]) -> None:
        lines = "".join(f"\n  - {violation}" for violation in violations)
        super().__init__(f"{type(service).__qualname__} breaks the contract:{lines}")
        self.violations = tuple(violations)


def verifyService(make: Callable[[], Any]) -> Deferred[None] | None:
    """
    Check that services made by C{make} keep the contract: they provide
    L{IService<twisted.application.service.IService>}, take and leave a parent, do
    their privileged phase at once, survive being stopped after it, start, stop, and
    start again. Where they offer more (C{describe()}, C{settings()}, children), that
    is checked as well.

    @param make: called without arguments, several times; each time it returns a new
        service that is not running and has no parent.
    @return: L{None} when everything was synchronous; else a Deferred that fires when
        the check is over, in which case time has to pass for the service meanwhile.
    @raise ContractViolation: the contract is broken. It lists all violations found,
        and comes through the Deferred if there is one.
    """
    done = _Verification(make).run()
    if not done.called:
        return done
    outcome: list[Any] = []
    done.addBoth(outcome.append)
    if outcome[0] is not None:
        outcome[0].raiseException()
    return None


class _Verification:
    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._violations: list[str] = []

    @inlineCallbacks
    def run(self) -> Generator[Deferred[Any], Any, None]:
        service = self._make()
        if self._looks(service):
            self._names(self._make())
            if (yield from self._privileges(self._make())):
                yield from self._lives(self._make())
                yield from self._moves(self._make())
            if IServiceCollection.providedBy(service):
                self._collects(self._make())
            self._tells(self._make())
        if self._violations:
            raise ContractViolation(service, self._violations)

    def _fails(self, violation: str) -> None:
        self._violations.append(violation)

    def _looks(self, service: Any) -> bool:
        """
        @return: whether it makes sense to go on.
        """
        try:
            verifyObject(IService, service)
        except Invalid as problem:
            words = " ".join(str(problem).split())
            self._fails(f"it does not provide IService: {words}")
            return False
        if service.running:
            self._fails("running is true before it was started")
        if service.parent is not None:
            self._fails("it has a parent before it was given one")
            return False
        if service is self._make():
            self._fails("it is not new: each call has to make another one")
            return False
        return True

    def _names(self, service: Any) -> None:
        from svctree.service import MultiService

        if service.name is None:
            service.setName("a name")
            if service.name != "a name":
                self._fails("setName() does not set the name")
        parent = MultiService()
        service.setServiceParent(parent)
        if service.parent is not parent or not any(each is service for each in parent):
            self._fails("setServiceParent() does not make it a child")
            return
        try:
            service.setName("another")
        except RuntimeError:
            pass
        else:
            self._fails("setName() raises no RuntimeError while it has a parent")
            return
        if service.disownServiceParent() is not None:
            self._fails("disownServiceParent() returns something, but nothing ran")
        if service.parent is not None or list(parent):
            self._fails("disownServiceParent() does not take it out of its parent")

    def _privileges(self, service: Any) -> Generator[Deferred[Any], Any, bool]:
        """
        @return: whether it makes sense to start it.
        """
        result = service.privilegedStartService()
        if isinstance(result, Deferred) or inspect.isawaitable(result):
            self._fails(
                "privilegedStartService() returns something to wait for; privileges "
                "are dropped as soon as it returns"
            )
            if inspect.iscoroutine(result):
                result.close()
            return False
        # A tree whose start fails stops what has only been privileged.
        yield from self._call(service, "stopService", "after the privileged phase only")
        return True

    def _lives(self, service: Any) -> Generator[Deferred[Any], Any, None]:
        for when in ("", "again"):
            service.privilegedStartService()
            started = yield from self._call(service, "startService", when)
            if not started:
                return
            if not service.running:
                self._fails(f"running is false after it was started {when}".rstrip())
            stopped = yield from self._call(service, "stopService", when)
            if not stopped:
                return
            if service.running:
                self._fails(f"running is true after it was stopped {when}".rstrip())

    def _moves(self, service: Any) -> Generator[Deferred[Any], Any, None]:
        from svctree.service import MultiService

        parent = MultiService()
        parent.startService()
        yield from self._call(
            service, "setServiceParent", "with a running parent", parent
        )
        if not service.running:
            self._fails("a running parent does not start it")
        yield from self._call(service, "disownServiceParent", "while running")
        if service.running:
            self._fails("leaving a running parent does not stop it")

    def _call(
        self, service: Any, method: str, when: str, *arguments: object
    ) -> Generator[Deferred[Any], Any, bool]:
        """
        @return: whether the call, and what it started, came to a good end.
        """
        try:
            yield maybeDeferred(_awaited, getattr(service, method), *arguments)
        except Exception as problem:
            # Whatever it raises is the violation.
            self._fails(f"{method}() {when}".rstrip() + f" fails: {problem!r}")
            return False
        return True

    def _collects(self, collection: Any) -> None:
        try:
            collection.getServiceNamed("nobody by this name")
        except KeyError:
            pass
        else:
            self._fails("getServiceNamed() raises no KeyError for an unknown name")
        if len(list(collection)) != len(list(collection)):
            self._fails("iterating over it twice gives two different answers")

    def _tells(self, service: Any) -> None:
        describe = getattr(service, "describe", None)
        if describe is not None:
            try:
                plain(describe())
            except ValueError as problem:
                self._fails(f"describe() does not return plain data: {problem}")
        if IDescribable(service, None) is None:
            return
        try:
            _, settings = madeOf(service)
            again = type(service)(**_resolved(settings))
            if madeOf(again)[1] != settings:
                self._fails("settings() do not make a service with the same settings")
        except Exception as problem:
            # Its class refuses its own settings, or they are not plain.
            self._fails(f"settings() do not make another one: {problem}")


def _awaited(call: Callable[..., Any], *arguments: object) -> Any:
    result = call(*arguments)
    return Deferred.fromCoroutine(result) if inspect.iscoroutine(result) else result


def _resolved(settings: dict[str, Any]) -> dict[str, Any]:
    return {keyword: _resolve(value) for keyword, value in settings.items()}


def _resolve(value: Any) -> Any:
    if hasattr(value, "resolve"):
        return value.resolve()
    if type(value) in (list, tuple):
        return type(value)(_resolve(item) for item in value)
    if type(value) is dict:
        return _resolved(value)
    return value
