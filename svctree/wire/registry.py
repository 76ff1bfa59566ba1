"""
Which protocols there are, by name.

Modules are imported when a protocol is asked for, so that a worker loads one only.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from svctree.wire.contract import ICodecFactory, Limits

__all__ = ["MakeFactory", "UnknownProtocol", "codecs", "names", "register"]

MakeFactory = Callable[[Limits, str, str], ICodecFactory]
"""C{(limits, mount, serverName)}; C{mount} has no slash at its end."""

_places: dict[str, str] = {
    "http": "svctree.wire.http:HTTPFactory",
    "scgi": "svctree.wire.scgi:SCGIFactory",
    "fastcgi": "svctree.wire.fastcgi:FastCGIFactory",
    "uwsgi": "svctree.wire.uwsgi:UWSGIFactory",
}


class UnknownProtocol(LookupError):
    """
    Nobody registered a protocol of this name.
    """

    exitStatus = 78

    def __init__(self, name: str) -> None:
        super().__init__(
            f"unknown protocol {name!r}, expected one of {', '.join(names())}"
        )
        self.name = name


def names() -> list[str]:
    """
    @return: the protocols that can be asked for.
    """
    return sorted(_places)


def register(name: str, place: str) -> None:
    """
    Add or replace a protocol.

    @param place: where its factory's maker is, C{"package.module:name"}; imported
        when it is first asked for.
    """
    _places[name] = place


def codecs(name: str) -> MakeFactory:
    """
    @return: what makes a codec factory for the protocol C{name}.
    @raise UnknownProtocol: there is none of that name.
    """
    try:
        module, _, attribute = _places[name].partition(":")
    except KeyError:
        raise UnknownProtocol(name) from None
    found: MakeFactory = getattr(import_module(module), attribute)
    return found
