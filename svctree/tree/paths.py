"""
Where a service is: C{/web/pool}, as seen from the topmost container of ours.
"""

from __future__ import annotations

from typing import Any

from svctree.tree.children import TreeContainer


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


def pathOf(service: Any) -> str:
    """
    @return: the path of C{service}; C{/} for the topmost container of ours,
        whatever Twisted object stands above it.
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
    return "/" + "/".join(reversed(keys))


def join(parent: str, key: str) -> str:
    """
    @return: the path of the child C{key} of the container at C{parent}.
    """
    return f"{parent.rstrip('/')}/{key}"


__all__ = ["join", "keyOf", "pathOf"]
