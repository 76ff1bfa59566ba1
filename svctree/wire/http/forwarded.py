"""
What a trusted proxy says about the client (RFC 7239, and the X-Forwarded-* habit).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from svctree.wire.contract import RequestError
from svctree.wire.http.fields import checkHost

__all__ = ["believe"]

_PAIR = re.compile(
    r"[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)="
    r"(?:\"((?:[^\"\\]|\\.)*)\"|([!#$%&'*+\-.^_`|~0-9A-Za-z]+))[ \t]*(;|,|$)"
)
_NODE = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+))(?::[0-9A-Za-z._-]+)?")


def believe(environ: dict[str, object], trust: Callable[[str], bool]) -> None:
    """
    Let what the proxies said about the client replace what the socket says:
    C{REMOTE_ADDR}, C{wsgi.url_scheme}, C{HTTP_HOST} and C{SERVER_PORT}.

    Addresses are read from the right: the first that is no trusted proxy's is the
    client's.

    @param trust: whether an address is a trusted proxy's.
    @raise RequestError: the fields contradict each other.
    """
    hops = _forwarded(str(environ.get("HTTP_FORWARDED", "")))
    addresses = [hop["for"] for hop in hops if "for" in hop]
    listed = _words(environ, "HTTP_X_FORWARDED_FOR")
    if (
        addresses
        and listed
        and [_node(a) for a in addresses] != [_node(a) for a in listed]
    ):
        raise RequestError(400, "Forwarded contradicts X-Forwarded-For")
    client = _client(addresses or listed, trust)
    if client:
        environ["REMOTE_ADDR"] = client
        environ.pop("REMOTE_PORT", None)
    scheme = _scheme(environ, [hop["proto"] for hop in hops if "proto" in hop])
    if scheme:
        environ["wsgi.url_scheme"] = scheme
    hosts = {hop["host"] for hop in hops[-1:] if "host" in hop}
    hosts.update(_words(environ, "HTTP_X_FORWARDED_HOST")[-1:])
    if len(hosts) > 1:
        raise RequestError(400, "two forwarded hosts that differ")
    for host in hosts:
        checkHost(host.encode("latin-1"))
        environ["HTTP_HOST"] = host
    ports = _words(environ, "HTTP_X_FORWARDED_PORT")
    if ports:
        if not ports[-1].isascii() or not ports[-1].isdigit():
            raise RequestError(400, "X-Forwarded-Port is not a number")
        environ["SERVER_PORT"] = ports[-1]


def _words(environ: dict[str, object], key: str) -> list[str]:
    value = str(environ.get(key, ""))
    return [word for part in value.split(",") if (word := part.strip(" \t"))]


def _scheme(environ: dict[str, object], said: list[str]) -> str:
    schemes = {scheme.lower() for scheme in said}
    for key in ("HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_SCHEME"):
        schemes.update(word.lower() for word in _words(environ, key))
    for word in _words(environ, "HTTP_X_FORWARDED_SSL"):
        schemes.add("https" if word.lower() == "on" else "http")
    if len(schemes) > 1:
        raise RequestError(400, "forwarded schemes that contradict each other")
    if not schemes <= {"http", "https"}:
        raise RequestError(400, "a forwarded scheme other than http and https")
    return schemes.pop() if schemes else ""


def _client(addresses: list[str], trust: Callable[[str], bool]) -> str:
    client = ""
    for address in reversed(addresses):
        client = _node(address)
        if not trust(client):
            break
    return client


def _node(text: str) -> str:
    """
    @return: the address without port and brackets.
    """
    if text.count(":") > 1 and not text.startswith("["):
        # An IPv6 address as X-Forwarded-For has it.
        return text
    found = _NODE.fullmatch(text)
    if found is None:
        raise RequestError(400, "a forwarded address that is none")
    return found[1] or found[2]


def _forwarded(text: str) -> list[dict[str, str]]:
    """
    Take the value of Forwarded apart.

    @return: a dictionary for each hop, in the order of the hops.
    """
    hops: list[dict[str, str]] = []
    hop: dict[str, str] = {}
    position = 0
    while position < len(text):
        found = _PAIR.match(text, position)
        if found is None:
            raise RequestError(400, "a malformed Forwarded")
        name, quoted, token, joint = found.groups()
        if name.lower() in hop:
            raise RequestError(400, "a parameter twice in one element of Forwarded")
        hop[name.lower()] = token or re.sub(r"\\(.)", r"\1", quoted or "")
        position = found.end()
        if joint != ";":
            hops.append(hop)
            hop = {}
    return hops
