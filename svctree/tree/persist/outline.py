"""
A tree as nested plain data: what the XML document and the program are written from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from twisted.application.service import IProcess, IService

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
    root: Any = IService(application)
    process = IProcess(application)
    found = Outline(
        name=root.name or "",
        uid=_number(process.uid, "uid"),
        gid=_number(process.gid, "gid"),
        processName=process.processName,
        children=[],
    )
    # Not recursive: a tree may be deeper than Python's stack.
    waiting: list[tuple[Any, Any, list[OutlinedService]]]
    waiting = [(root, root.describe(), found.children)]
    while waiting:
        container, described, into = waiting.pop()
        for child, entry in zip(container, described["children"], strict=True):
            service = _outlined(container, child, entry)
            into.append(service)
            if "children" in entry and not IComposite.providedBy(child):
                waiting.append((child, entry, service.children))
    return found


def _outlined(
    parent: object, child: IService, described: Mapping[str, Any]
) -> OutlinedService:
    path = described["path"]
    placing = IPlacing(parent, None)
    try:
        kind, settings = madeOf(child)
        placement: dict[str, object] = {}
        if placing is not None:
            given = placing.placementOf(child)
            placement = {keyword: plain(given[keyword]) for keyword in given}
    except ValueError as problem:
        raise CannotDescribe(path, str(problem)) from None
    return OutlinedService(kind, described["name"], path, settings, placement)


def _number(value: object, what: str) -> int | None:
    if value is None or type(value) is int:
        return value
    raise CannotDescribe("/", f"its {what} is {value!r}, expected a number or None")
