"""
Paths, addresses, and who is at the other end.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import attrs

from svctree.settings.kinds.base import Kind
from svctree.settings.kinds.lists import Several
from svctree.settings.problems import BadValue

__all__ = ["Address", "Addresses", "Path", "Paths", "Peers", "anchorAddress"]


# The address of CGI scripts, which have no time to load the grammar for a word.
_STDIN = "stdin"


class Path(Kind[str]):
    """
    A path in the file system; C{-} stays itself where a stream is meant.
    """

    metavar = "PATH"

    def __init__(self, stream: str | None = None) -> None:
        """
        @param stream: what C{-} stands for, if anything.
        """
        self._stream = stream
        self.expected = f"a path, or - for {stream}" if stream else "a path"

    def fromText(self, text: str) -> str:
        if not text or "\0" in text or (text == "-" and not self._stream):
            raise self.refuse(text)
        return text

    def fromValue(self, value: object) -> str:
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        return super().fromValue(value)

    def anchored(self, value: str, folder: str) -> str:
        if value == "-" and self._stream:
            return value
        return os.path.normpath(os.path.join(folder, os.path.expanduser(value)))


class Paths(Several):
    expected = "paths separated by white space"
    metavar = "PATH"

    def anchored(self, value: tuple[str, ...], folder: str) -> tuple[str, ...]:
        one = Path()
        return tuple(one.anchored(path, folder) for path in value)


class Peers(Several):
    """
    Networks in CIDR notation, single addresses, or C{unix}.
    """

    expected = "addresses or networks such as 10.0.0.0/8 or ::1, or unix"
    metavar = "PEER"

    def item(self, text: str) -> str:
        import ipaddress

        if text == "unix":
            return text
        try:
            return str(ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise self.refuse(text) from None

    def split(self, text: str) -> Sequence[str]:
        return [] if text == "none" else text.replace(",", " ").split()


def anchorAddress(address: str, folder: str) -> str:
    """
    @return: C{address} with the path of a unix socket starting at C{folder};
        anything else as it is.
    """
    if address == _STDIN:
        return address
    from svctree.listen import UnixAddress, parseAddress

    parsed = parseAddress(address)
    if not isinstance(parsed, UnixAddress) or os.path.isabs(parsed.path):
        return address
    path = Path().anchored(parsed.path, folder)
    return attrs.evolve(parsed, path=path).render()


def _checkAddress(text: str) -> str:
    if text == _STDIN:
        return text
    # Imported here: the schema is also used where nobody listens.
    from svctree.listen import AddressError, parseAddress

    try:
        parseAddress(text)
    except AddressError as error:
        raise BadValue(str(error)) from None
    return text


class Address(Kind[str]):
    """
    One address, or C{none}.
    """

    metavar = "ADDRESS"

    def __init__(self, local: bool = False) -> None:
        """
        @param local: only a unix socket will do.
        """
        self._local = local
        example = "unix:run/app.ctl(600)" if local else "127.0.0.1:8080"
        kind = "the address of a unix socket" if local else "an address"
        self.expected = f"{kind}, such as {example}, or none"

    def fromText(self, text: str) -> str:
        if text == "none":
            return text
        from svctree.listen import AbstractAddress, UnixAddress, parseAddress

        _checkAddress(text)
        here = isinstance(parseAddress(text), (UnixAddress, AbstractAddress))
        if self._local and not here:
            raise self.refuse(text)
        return text

    def anchored(self, value: str, folder: str) -> str:
        return value if value == "none" else anchorAddress(value, folder)


class Addresses(Several):
    """
    Where to listen; the grammar is L{svctree.listen}'s.
    """

    expected = "addresses such as 127.0.0.1:8080 or unix:run/app.sock(660)"
    metavar = "ADDRESS"

    def item(self, text: str) -> str:
        return _checkAddress(text)

    def anchored(self, value: tuple[str, ...], folder: str) -> tuple[str, ...]:
        return tuple(anchorAddress(address, folder) for address in value)
