"""
Who listens where: read from C{/proc}, for the message when an address is in use.

Best effort: other users' descriptors cannot be read without privileges, and systems
without C{/proc} tell nothing.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct

from svctree.listen.errors import Holder
from svctree.listen.plan import Endpoint

__all__ = ["holderOf", "localAddressOf"]

_LISTEN = "0A"
# /proc/net/unix, flags column: the socket listens.
_ACCEPTING = 0x10000


def holderOf(endpoint: Endpoint) -> Holder | None:
    """
    @return: who listens on C{endpoint}, or on one that includes it or is included,
        or L{None} where that cannot be read.
    """
    found = (
        _listeningUnix(endpoint.host)
        if endpoint.family == socket.AF_UNIX
        else _listeningTCP(endpoint)
    )
    if found is None:
        return None
    inode, uid = found
    pid = _ownerOf(inode)
    return Holder(pid, _nameOf(pid) if pid else "", uid)


def localAddressOf(hexadecimal: str) -> tuple[int, str, int]:
    """
    @param hexadecimal: a local address of C{/proc/net/tcp} or C{tcp6}.
    @return: family, numeric host and port.
    """
    text, _colon, port = hexadecimal.partition(":")
    # Words of 32 bits in the machine's order, each in network order inside.
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    return family, socket.inet_ntop(family, packed), int(port, 16)


def _lines(path: str) -> list[list[str]]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return [line.split() for line in file][1:]
    except OSError:
        return []


def _listeningTCP(endpoint: Endpoint) -> tuple[int, int] | None:
    wildcards = ("0.0.0.0", "::")
    for table in ("tcp", "tcp6"):
        for fields in _lines(f"/proc/net/{table}"):
            if len(fields) < 10 or fields[3] != _LISTEN:
                continue
            family, host, port = localAddressOf(fields[1])
            if port != endpoint.port:
                continue
            same = family == endpoint.family
            # An IPv6 wildcard may hold IPv4 too.
            if (
                host == "::"
                or (same and host == "0.0.0.0")
                or (same and endpoint.host in (host, *wildcards))
            ):
                return int(fields[9]), int(fields[7])
    return None


def _listeningUnix(path: str) -> tuple[int, int] | None:
    for fields in _lines("/proc/net/unix"):
        if len(fields) < 8 or not int(fields[3], 16) & _ACCEPTING:
            continue
        held = " ".join(fields[7:])
        same = held == path or (
            not path.startswith("@")
            and os.path.isabs(held)
            and os.path.realpath(held) == os.path.realpath(path)
        )
        if same:
            return int(fields[6]), -1
    return None


def _ownerOf(inode: int) -> int:
    """
    @return: the lowest pid that has the socket open, or 0. The lowest is the
        likeliest to be the one to stop: workers have it from their master.
    """
    wanted = f"socket:[{inode}]"
    for pid in sorted(int(entry) for entry in _entries("/proc") if entry.isdigit()):
        folder = f"/proc/{pid}/fd"
        for fd in _entries(folder):
            with contextlib.suppress(OSError):
                if os.readlink(f"{folder}/{fd}") == wanted:
                    return pid
    return 0


def _entries(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _nameOf(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
