"""
What an address can be.

These are values: they know how they are written (L{render}) and nothing of sockets.
L{svctree.listen.grammar.parseAddress} reads what C{render} writes.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TypeAlias

import attrs

__all__ = [
    "AbstractAddress",
    "Address",
    "DescriptorAddress",
    "StdinAddress",
    "SystemdAddress",
    "TCPAddress",
    "UnixAddress",
]

# What makes a text a Twisted description; a path that contains it is quoted.
TWISTED_KEYS = re.compile(
    r"(?:^|:)(address|backlog|domain|group|index|interface|lockfile|mode|name"
    r"|owner|port|wantPID)="
)


def quote(text: str) -> str:
    """
    Escape an argument of a Twisted description.
    """
    return text.replace("\\", "\\\\").replace(":", "\\:").replace("=", "\\=")


def _host(instance: object, attribute: object, value: str) -> None:
    if not value or re.search(r"[\s/()\[\]\x00-\x1f]", value):
        raise ValueError(f"{value!r} is no host")


def _port(instance: object, attribute: object, value: int) -> None:
    if not 0 <= value <= 65535:
        raise ValueError(f"port {value} is not between 0 and 65535")


def _path(instance: object, attribute: object, value: str) -> None:
    if not value or value.startswith("@") or re.search(r"[\x00-\x1f\x7f]", value):
        raise ValueError(f"{value!r} is no path of a socket")


def _mode(instance: object, attribute: object, value: int | None) -> None:
    if value is not None and not 0 <= value <= 0o777:
        raise ValueError(f"permission {value:o} is not between 0 and 777")


def _backlog(instance: object, attribute: object, value: int | None) -> None:
    if value is not None and value < 1:
        raise ValueError(f"backlog {value} is not positive")


@attrs.frozen
class TCPAddress:
    """
    A TCP port.

    @ivar host: a name, an IPv4 or IPv6 address (without brackets), or C{*} for
        every IPv4 and IPv6 address of the machine.
    @ivar port: 0 lets the system choose.
    @ivar backlog: overrides the listener's, or L{None}.
    """

    host: str = attrs.field(validator=_host)
    port: int = attrs.field(validator=_port)
    backlog: int | None = attrs.field(default=None, validator=_backlog)

    def render(self) -> str:
        if self.backlog is not None:
            interface = "" if self.host == "*" else f":interface={quote(self.host)}"
            return f"tcp:{self.port}{interface}:backlog={self.backlog}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp:{host}:{self.port}"

    @property
    def literal(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """
        The host as a number, where it is one.
        """
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None


@attrs.frozen
class UnixAddress:
    """
    A socket in the file system.

    @ivar path: its path; a relative one starts at the working directory.
    @ivar mode: its permission, or L{None}: the umask decides.
    @ivar owner: name or number of the user it is given to, or L{None}.
    @ivar group: name or number of the group it is given to, or L{None}.
    @ivar backlog: overrides the listener's, or L{None}.
    """

    path: str = attrs.field(validator=_path)
    mode: int | None = attrs.field(default=None, validator=_mode)
    owner: str | None = None
    group: str | None = None
    backlog: int | None = attrs.field(default=None, validator=_backlog)

    def render(self) -> str:
        if self.backlog is not None or TWISTED_KEYS.search(self.path):
            return self._described()
        inside = "" if self.mode is None else f"{self.mode:o}"
        if self.owner is not None or self.group is not None:
            group = "" if self.group is None else f":{self.group}"
            inside += f",{self.owner or ''}{group}"
        # Empty parentheses keep a path that ends in one from being misread.
        if inside or self.path.endswith(")"):
            return f"unix:{self.path}({inside})"
        return f"unix:{self.path}"

    def _described(self) -> str:
        parts = [f"unix:address={quote(self.path)}"]
        if self.mode is not None:
            parts.append(f"mode={self.mode:o}")
        if self.owner is not None:
            parts.append(f"owner={quote(self.owner)}")
        if self.group is not None:
            parts.append(f"group={quote(self.group)}")
        if self.backlog is not None:
            parts.append(f"backlog={self.backlog}")
        return ":".join(parts)


@attrs.frozen
class AbstractAddress:
    """
    A name in Linux' abstract socket namespace: no file, no permission.
    """

    name: str = attrs.field()

    @name.validator
    def _named(self, attribute: object, value: str) -> None:
        if not value or re.search(r"[\x00-\x1f\x7f]", value):
            raise ValueError(f"{value!r} is no abstract name")

    def render(self) -> str:
        return f"unix:@{self.name}"


@attrs.frozen
class StdinAddress:
    """
    Whatever descriptor 0 is.
    """

    def render(self) -> str:
        return "stdin"


@attrs.frozen
class DescriptorAddress:
    """
    A listening socket that the parent process left open.

    @ivar fd: its number.
    """

    fd: int = attrs.field()

    @fd.validator
    def _positive(self, attribute: object, value: int) -> None:
        if value < 0:
            raise ValueError(f"{value} is no descriptor")

    def render(self) -> str:
        return f"fd:{self.fd}"


@attrs.frozen
class SystemdAddress:
    """
    Sockets passed by systemd (C{sd_listen_fds(3)}).

    @ivar name: only those of this C{FileDescriptorName}, or L{None}.
    @ivar index: only that one, counted from 0, or L{None}.
    @ivar domain: only those of this family, C{INET}, C{INET6} or C{UNIX}, or
        L{None}.
    """

    name: str | None = None
    index: int | None = None
    domain: str | None = None

    def render(self) -> str:
        if self.index is None and self.domain is None:
            name = self.name or ""
            if not TWISTED_KEYS.search(name):
                return f"systemd:{name}"
        parts = ["systemd"]
        if self.domain is not None:
            parts.append(f"domain={self.domain}")
        if self.index is not None:
            parts.append(f"index={self.index}")
        if self.name is not None:
            parts.append(f"name={quote(self.name)}")
        return ":".join(parts)


Address: TypeAlias = (
    TCPAddress
    | UnixAddress
    | AbstractAddress
    | StdinAddress
    | DescriptorAddress
    | SystemdAddress
)
