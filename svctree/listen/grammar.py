"""
The grammar of addresses (SETTINGS: C{listen}).

One function reads every form. A text without C{tcp:} or C{unix:} is a port when it
is a number or ends in C{:number}, else a path. Twisted's endpoint descriptions are
recognised by an argument with C{=} behind a known key; they are read here rather
than by Twisted, because a description has to become an address that is bound while
privileged and handed on, not an endpoint that binds for itself.
"""

from __future__ import annotations

import re

from svctree.listen.address import (
    TWISTED_KEYS,
    AbstractAddress,
    Address,
    DescriptorAddress,
    StdinAddress,
    SystemdAddress,
    TCPAddress,
    UnixAddress,
)
from svctree.listen.errors import AddressError

__all__ = ["parseAddress"]

_BRACKETED = re.compile(r"\[([^\]]*)\]:(.*)", re.S)
_PERMISSION = re.compile(r"(.+)\(([^()]*)\)", re.S)
_NUMBER = re.compile(r"[0-9]+")
_HOST = re.compile(r"\*|[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_V6 = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9_.-]+)?")
_FOREIGN = re.compile(r"(ssl|tls|haproxy|stdio|onion|http|https|udp|inetd)\d?:")
# The prefix, and the keys that are positional in Twisted, in order.
_DESCRIBED = {
    "tcp": ("port", "interface", "backlog"),
    "tcp4": ("port", "interface", "backlog"),
    "tcp6": ("port", "interface", "backlog"),
    "unix": ("address", "mode", "backlog", "lockfile", "owner", "group", "wantPID"),
    "systemd": ("domain", "index", "name"),
}


def parseAddress(text: str) -> Address:
    """
    Read one address.

    @param text: any form of the grammar, without surrounding white space.
    @raise AddressError: it is none; the message shows the grammar.
    """
    try:
        return _parse(text)
    except ValueError as problem:
        raise AddressError(text, str(problem)) from None


def _parse(text: str) -> Address:
    if text != text.strip() or not text:
        raise ValueError("it is empty or has white space around it")
    prefix, colon, rest = text.partition(":")
    if prefix in _DESCRIBED and colon:
        if not rest.startswith("@") and TWISTED_KEYS.search(rest):
            return _described(prefix, rest)
        if prefix == "systemd":
            return SystemdAddress(name=rest or None)
        if prefix == "unix":
            return _unix(rest)
        if prefix == "tcp":
            return _tcp(rest)
        return _described(prefix, rest)
    if text == "stdin":
        return StdinAddress()
    if prefix == "fd" and colon:
        return DescriptorAddress(_number(rest, "a descriptor"))
    if _FOREIGN.match(text):
        raise ValueError(f"{prefix}: does not name a listening stream socket")
    if "/" in text or text.startswith("@"):
        return _unix(text)
    if ":" in text or _NUMBER.fullmatch(text) or text.startswith("["):
        return _tcp(text)
    if text == "*" or text == "localhost" or re.fullmatch(r"[0-9]+(\.[0-9]+){3}", text):
        raise ValueError(f"the port is missing, as in {text}:8080")
    return _unix(text)


def _tcp(text: str) -> TCPAddress:
    if _NUMBER.fullmatch(text):
        return TCPAddress("*", _number(text, "a port"))
    bracketed = _BRACKETED.fullmatch(text)
    if bracketed:
        host, port = bracketed.groups()
        if not _V6.fullmatch(host):
            raise ValueError(f"[{host}] is no IPv6 address")
    else:
        if not text:
            raise ValueError("the port is missing, as in tcp:8080")
        host, colon, port = text.rpartition(":")
        if not colon or text.endswith("]"):
            raise ValueError(f"the port is missing, as in {text}:8080")
        if ":" in host:
            raise ValueError(f"an IPv6 address goes in brackets, as in [{host}]:{port}")
        if not host:
            raise ValueError(f"the host is missing, as in *:{port}")
        if not _HOST.fullmatch(host):
            raise ValueError(f"{host!r} is no host")
    return _checked(TCPAddress(host, _number(port, "a port")))


def _checked(address: TCPAddress) -> TCPAddress:
    # What looks like a number must be one: resolvers read "127.1" and "010.0.0.1"
    # in ways that nobody means.
    numeric = ":" in address.host or re.fullmatch(r"[0-9.]+", address.host)
    if numeric and address.literal is None:
        raise ValueError(f"{address.host!r} is no IP address")
    return address


def _unix(text: str) -> UnixAddress | AbstractAddress:
    if text.startswith("@"):
        return AbstractAddress(text[1:])
    permitted = _PERMISSION.fullmatch(text)
    if permitted is None:
        if text.startswith("(") and text.endswith(")"):
            raise ValueError(f"the path is missing, as in app.sock{text}")
        return UnixAddress(text)
    path, inside = permitted.groups()
    mode, comma, owners = inside.partition(",")
    owner, colon, group = owners.partition(":")
    if (comma and not owners) or (colon and not group):
        raise ValueError(f"({inside}) names neither owner nor group behind the sign")
    return UnixAddress(
        path, _octal(mode) if mode else None, owner or None, group or None
    )


def _described(prefix: str, text: str) -> Address:
    """
    Read what follows the prefix of a Twisted description.
    """
    positions = _DESCRIBED[prefix]
    values: dict[str, str] = {}
    for index, (key, value) in enumerate(_arguments(text)):
        if key is None:
            if index >= len(positions):
                raise ValueError(f"{value!r} is one argument too many")
            key = positions[index]
        if key not in positions:
            known = ", ".join(positions)
            raise ValueError(f"{prefix}: has no argument {key!r} (only {known})")
        if key in values:
            raise ValueError(f"{key!r} is given twice")
        values[key] = value
    if prefix == "unix":
        return _describedUnix(values)
    if prefix == "systemd":
        return _describedSystemd(values)
    host = values.get("interface") or ("::" if prefix == "tcp6" else "*")
    if "port" not in values:
        raise ValueError("the port is missing")
    if not _HOST.fullmatch(host) and not _V6.fullmatch(host):
        raise ValueError(f"{host!r} is no host")
    return _checked(
        TCPAddress(host, _number(values["port"], "a port"), _backlogOf(values))
    )


def _describedUnix(values: dict[str, str]) -> Address:
    path = values.get("address", "")
    if path.startswith("\0"):
        return AbstractAddress(path[1:])
    return UnixAddress(
        path,
        _octal(values["mode"]) if "mode" in values else None,
        values.get("owner") or None,
        values.get("group") or None,
        _backlogOf(values),
    )


def _describedSystemd(values: dict[str, str]) -> SystemdAddress:
    domain = values.get("domain")
    if domain not in (None, "INET", "INET6", "UNIX"):
        raise ValueError(f"domain {domain!r} is none of INET, INET6, UNIX")
    index = values.get("index")
    return SystemdAddress(
        name=values.get("name") or None,
        index=None if index is None else _number(index, "an index"),
        domain=domain,
    )


def _arguments(text: str) -> list[tuple[str | None, str]]:
    r"""
    Split a description at its unescaped colons, as Twisted does: a backslash takes
    the next character literally, and only the first C{=} of an argument counts.
    """
    found: list[tuple[str | None, str]] = []
    key: str | None = None
    current = ""
    characters = iter(text)
    for character in characters:
        if character == "\\":
            current += next(characters, "")
        elif character == ":":
            found.append((key, current))
            key, current = None, ""
        elif character == "=" and key is None:
            key, current = current, ""
        else:
            current += character
    found.append((key, current))
    return found


def _backlogOf(values: dict[str, str]) -> int | None:
    backlog = values.get("backlog")
    return None if backlog is None else _number(backlog, "a backlog")


def _number(text: str, what: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError(f"{text!r} is not {what} (digits only)")
    return int(text)


def _octal(text: str) -> int:
    if not re.fullmatch(r"[0-7]{1,4}", text):
        raise ValueError(f"({text}) is no octal permission, as in (660)")
    return int(text, 8)
