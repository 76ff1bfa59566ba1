"""
Where a service is: C{/web/pool}, as seen from the topmost container of ours.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

from svctree.tree.register import TreeContainer

SLASH = "%2F"
"""What stands for a slash within a name, in a path."""


def keyOf(container: Any, service: Any) -> str:
    """
    @return: what C{service} is called among the children of C{container}: its
        name, else C{#} and a serial number.
    """
    if service.name:
        return str(service.name)
    if isinstance(container, TreeContainer):
        children = container._children  # type: ignore[attr-defined]
        position = children.find(service)
        if position >= 0:
            return f"#{children.serial(position)}"
    else:
        for number, sibling in enumerate(container):
            if sibling is service:
                return f"#{number}"
    return f"#{type(service).__name__}"


class _Epoch:
    """
    Counts how often a container has got another parent: paths that were worked out
    before may be wrong since.
    """

    def __init__(self) -> None:
        self.number = 0

    def end(self) -> None:
        """
        A container has moved.
        """
        self.number += 1


epoch = _Epoch()


def pathOf(service: Any) -> str:
    """
    @return: the path of C{service}; C{/} for the topmost container of ours,
        whatever Twisted object stands above it.
    """
    above = getattr(service, "parent", None)
    if isinstance(above, TreeContainer):
        return join(_pathOfContainer(above), keyOf(above, service))
    return _pathOfContainer(service)


def _pathOfContainer(container: Any) -> str:
    """
    Containers keep their paths: a chain of a thousand would spend its time on them.
    """
    now = epoch.number
    # Not by way of __dict__: once it is asked for, every attribute is slower.
    known = getattr(container, "_path", None)
    if known is not None and known[0] == now:
        path: str = known[1]
        return path
    chain = [container]
    path = ""
    while isinstance(above := getattr(chain[-1], "parent", None), TreeContainer):
        known = above._path
        if known is not None and known[0] == now:
            path = known[1]
            chain.append(above)
            break
        chain.append(above)
    else:
        alone = above is None or getattr(above, "parent", None) is None
        if not (alone and isinstance(chain[-1], TreeContainer)):
            return _pathAcross(container)
        chain[-1]._path = (now, "/")
        path = "/"
    for at in range(len(chain) - 2, -1, -1):
        path = join(path, keyOf(chain[at + 1], chain[at]))
        chain[at]._path = (now, path)
    return path


def _pathAcross(service: Any) -> str:
    """
    @return: the path of a service, where containers of Twisted's may be on the way;
        we do not know when these move.
    """
    chain = [service]
    while (above := getattr(chain[-1], "parent", None)) is not None:
        chain.append(above)
    while len(chain) > 1 and not isinstance(chain[-1], TreeContainer):
        chain.pop()
    keys = [keyOf(chain[at + 1], chain[at]) for at in range(len(chain) - 1)]
    if not keys and not isinstance(service, TreeContainer):
        # A leaf that stands alone, or below a container of Twisted's.
        keys = [str(service.name or f"#{type(service).__name__}")]
    return reduce(join, reversed(keys), "") or "/"


def join(parent: str, key: str) -> str:
    """
    @return: the path of the child C{key} of the container at C{parent}; a slash in
        C{key} stands there as C{%2F}.
    """
    return f"{parent.rstrip('/')}/{key.replace('/', SLASH)}"


__all__ = ["SLASH", "epoch", "join", "keyOf", "pathOf"]
