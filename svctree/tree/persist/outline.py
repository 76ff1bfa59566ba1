"""
A tree as nested plain data: what the XML document and the program are written from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from twisted.application.service import IProcess, IService, IServiceCollection

from svctree.interfaces import IComposite, IPlacing
from svctree.tree.description import Reference, madeOf, plain
from svctree.tree.persist.errors import CannotDescribe

__all__ = ["Outline", "OutlinedService", "outline"]


@dataclass
class OutlinedService:
    """
    A service and what is below it.

    @ivar kind: the dotted name of its class.
    @ivar settings: the keywords for its class.
    @ivar placement: the keywords with which its parent takes it in.
    """

    kind: Reference
    name: str | None
    path: str
    settings: Mapping[str, object]
    placement: Mapping[str, object]
    children: list[OutlinedService] = field(default_factory=list)


@dataclass
class Outline:
    """
    An application.
    """

    name: str
    uid: int | None
    gid: int | None
    processName: str | None
    children: list[OutlinedService]


def outline(application: object) -> Outline:
    """
    @raise CannotDescribe: a service of the tree does not say what it is made of.
    """
    root = IService(application)
    process = IProcess(application)
    found = Outline(
        name=root.name or "",
        uid=_number(process.uid, "uid"),
        gid=_number(process.gid, "gid"),
        processName=process.processName,
        children=[],
    )
    # Not recursive: a tree may be deeper than Python's stack.
    waiting = [(root, "", found.children)]
    while waiting:
        container, path, into = waiting.pop()
        for number, child in enumerate(_childrenOf(container)):
            described = _describe(container, child, f"{path}/{child.name or number}")
            into.append(described)
            waiting.append((child, described.path, described.children))
    return found


def _childrenOf(service: object) -> Iterator[IService]:
    collection = IServiceCollection(service, None)
    if collection is None or IComposite.providedBy(service):
        return iter(())
    return iter(list(collection))


def _describe(parent: object, child: IService, path: str) -> OutlinedService:
    placing = IPlacing(parent, None)
    try:
        kind, settings = madeOf(child)
        placement: dict[str, object] = {}
        if placing is not None:
            given = placing.placementOf(child)
            placement = {keyword: plain(given[keyword]) for keyword in given}
    except ValueError as problem:
        raise CannotDescribe(path, str(problem)) from None
    return OutlinedService(kind, child.name, path, settings, placement)


def _number(value: object, what: str) -> int | None:
    if value is None or type(value) is int:
        return value
    raise CannotDescribe("/", f"its {what} is {value!r}, expected a number or None")
