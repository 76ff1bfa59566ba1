"""
Looking at a tree: by path, in numbers, and as plain data.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from twisted.application.service import IServiceCollection
from twisted.python.failure import Failure
from twisted.python.reflect import qual

from svctree.tree.errors import NoSuchService
from svctree.tree.events import sayReason
from svctree.tree.membership import Membership
from svctree.tree.paths import SLASH, join, keyOf, pathOf
from svctree.tree.register import TreeContainer
from svctree.tree.states import State


@dataclass(frozen=True)
class ChildInfo:
    """
    One child, as C{which_children} of OTP has it.

    @ivar key: its name, else C{#} and a serial number.
    @ivar state: what it is doing.
    @ivar kind: C{supervisor} or C{worker}.
    @ivar type: the dotted name of its class.
    @ivar service: the child itself.
    """

    key: str
    state: State
    kind: str
    type: str
    service: Any


class Introspection(Membership):
    """
    The layer of containers that answers questions.
    """

    def lookup(self, path: str) -> Any:
        """
        Find a service from here: C{lookup("web/pool")}. A path that begins with a
        slash is one from the top. A service without a name has a number, C{#3}; a
        slash within a name is written C{%2F}, as it is in C{path}.

        @raise NoSuchService: a part of it is missing (a C{KeyError}); the error says
            which, and what there is.
        """
        here: Any = self
        if path.startswith("/"):
            while isinstance(here.parent, TreeContainer):
                here = here.parent
        for part in path.strip("/").split("/") if path.strip("/") else ():
            here = _childOf(here, part)
        return here

    def whichChildren(self) -> list[ChildInfo]:
        """
        @return: the children in the order in which they were added.
        """
        return [
            ChildInfo(
                key=keyOf(self, service),
                state=self.stateOf(service),
                kind=_kindOf(service),
                type=qual(type(service)),
                service=service,
            )
            for service in self._children
        ]

    def countChildren(self) -> dict[str, int]:
        """
        @return: C{specs} (all children), C{active} (those that are starting, running
            or stopping), C{supervisors} and C{workers}.
        """
        children = self.whichChildren()
        supervisors = sum(child.kind == "supervisor" for child in children)
        return {
            "specs": len(children),
            "active": sum(child.state in _ACTIVE for child in children),
            "supervisors": supervisors,
            "workers": len(children) - supervisors,
        }

    def describe(self) -> dict[str, Any]:
        """
        @return: this container and everything below it, as plain data. A service whose
            C{describe} raises has the reason as C{describeFailed}.
        """
        # With a stack of our own: trees may be deep.
        top = _describe(self, self.path)
        waiting: list[tuple[Any, dict[str, Any]]] = [(self, top)]
        while waiting:
            container, described = waiting.pop()
            below = described["children"] = []
            for service in container:
                path = join(described["path"], keyOf(container, service))
                entry = _describe(service, path)
                below.append(entry)
                if _describesItself(service):
                    entry |= _said(service)
                elif IServiceCollection.providedBy(service):
                    waiting.append((service, entry))
        return top

    def _describeSelf(self) -> dict[str, Any]:
        """
        @return: what there is to say about the container beyond its children.
        """
        return {}


def _describesItself(service: Any) -> bool:
    """
    @return: whether C{service} is a container of ours whose C{describe} somebody has
        overridden, which then tells of the children as well.
    """
    own = Introspection.describe
    return isinstance(service, Introspection) and type(service).describe is not own


def _childOf(container: Any, part: str) -> Any:
    if not IServiceCollection.providedBy(container):
        raise NoSuchService(pathOf(container), part, ())
    for service in container if part.startswith("#") else ():
        if keyOf(container, service) == part:
            return service
    for name in (part, part.replace(SLASH, "/")):
        with contextlib.suppress(KeyError):
            return container.getServiceNamed(name)
    names = [str(each.name) for each in container if each.name]
    raise NoSuchService(pathOf(container), part, names)


def _describe(service: Any, path: str) -> dict[str, Any]:
    described = {
        "name": service.name,
        "path": path,
        "type": qual(type(service)),
        "state": str(_stateOf(service)),
    }
    if isinstance(service, TreeContainer):
        described |= service._describeSelf()  # type: ignore[attr-defined]
        if service._reason is not None and service._state is State.FAILED:  # type: ignore[attr-defined]
            described["reason"] = sayReason(service._reason)  # type: ignore[attr-defined]
    else:
        if callable(getattr(service, "describe", None)):
            described |= _said(service)
    return described


def _said(service: Any) -> dict[str, Any]:
    """
    @return: what a service says of itself; or, where it cannot, why not: one that is
        broken must not hide the others.
    """
    try:
        return dict(service.describe())
    except Exception as error:
        said = sayReason(Failure(error))
        return {"describeFailed": f"{type(error).__name__}: {said}"}


def _stateOf(service: Any) -> State:
    if isinstance(service, TreeContainer):
        return service._state  # type: ignore[attr-defined,no-any-return]
    parent = getattr(service, "parent", None)
    if isinstance(parent, TreeContainer):
        return parent.stateOf(service)  # type: ignore[attr-defined,no-any-return]
    return State.RUNNING if getattr(service, "running", False) else State.STOPPED


def _kindOf(service: Any) -> str:
    return "supervisor" if IServiceCollection.providedBy(service) else "worker"


_ACTIVE = frozenset([State.STARTING, State.RUNNING, State.STOPPING])

__all__ = ["ChildInfo", "Introspection"]
