"""
The PROXY protocol, versions 1 and 2, for receivers.

A proxy that forwards a connection byte by byte says in front of it who is at the
other end. A receiver that expects the header must not guess whether it is there
(section 2 of the specification): what does not begin like one, to the byte, is
garbage, and the connection has to be closed.

From the specification of 2020/03/05, https://www.haproxy.org/download/2.8/doc/
proxy-protocol.txt; the section numbers are its own.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from typing import NamedTuple

from svctree.wire.contract import WireError

__all__ = ["LIMIT", "ProxyError", "ProxyHeader", "takeHeader"]

LIMIT = 4096
"""
The longest header that is taken, in bytes. The specification asks senders to stay
below 536 (section 2.2); certificates in the additional values can exceed that.
"""

_V1 = b"PROXY "
_V1_LIMIT = 107  # section 2.1, with the final CRLF
_V2 = b"\r\n\r\n\0\r\nQUIT\n"
# Signature, version and command, family and transport, length of the rest.
_V2_HEAD = struct.Struct(">12sBBH")
_LOCAL, _PROXY = 0, 1
_UNSPEC, _STREAM, _DGRAM = 0, 1, 2
_INET, _INET6, _UNIX = 1, 2, 3
_BLOCKS = {
    _INET: struct.Struct(">4s4sHH"),
    _INET6: struct.Struct(">16s16sHH"),
    _UNIX: struct.Struct(">108s108s"),
}
# Section 2.2.6: a TLV of this type says with its first bit that the client came
# over TLS.
_TYPE_SSL = 0x20
_CLIENT_SSL = 0x01

# Section 2.1: no leading zeros, "to avoid any possible confusion with octal".
_OCTET = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rb"%b(?:\.%b){3}" % (_OCTET, _OCTET))
_IPV6 = re.compile(rb"[0-9A-Fa-f:.]{2,39}")
_PORT = re.compile(rb"0|[1-9][0-9]{0,4}")


class ProxyError(WireError):
    """
    What came is no PROXY header; the connection must be closed.
    """


class ProxyHeader(NamedTuple):
    """
    What a proxy says about a connection.

    @ivar version: 1 or 2.
    @ivar family: C{TCP4}, C{TCP6} or C{UNIX}; C{""} when the proxy speaks for
        itself (C{LOCAL}: a health check) or cannot tell (C{UNKNOWN}, C{UNSPEC}):
        the addresses of the connection itself are then the true ones.
    @ivar source: host and port of the client; for C{UNIX} its path (C{""}: unnamed)
        and 0; L{None} with an empty C{family}.
    @ivar destination: likewise, where the client connected to.
    @ivar secure: the client is connected to the proxy by TLS, as far as it says.
    """

    version: int
    family: str = ""
    source: tuple[str, int] | None = None
    destination: tuple[str, int] | None = None
    secure: bool = False


def takeHeader(data: bytes, limit: int = LIMIT) -> tuple[ProxyHeader, bytes] | None:
    """
    Take the header off the front of a connection.

    @param data: all that was received so far.
    @param limit: the longest header of version 2, in bytes.
    @return: the header and the bytes after it, or L{None} until it is whole.
    @raise ProxyError: C{data} can never become a header.
    """
    if data[:6] == _V1[: len(data)]:
        return _takeV1(data)
    if data[:12] == _V2[: len(data)]:
        return _takeV2(data, limit)
    raise ProxyError(f"got {data[:12]!r}, expected a PROXY header")


def _takeV1(data: bytes) -> tuple[ProxyHeader, bytes] | None:
    line, end, rest = data[:_V1_LIMIT].partition(b"\r\n")
    if not end:
        if len(data) >= _V1_LIMIT:
            raise ProxyError(f"no end of the PROXY line within {_V1_LIMIT} bytes")
        return None
    words = line.split(b" ")
    if words[1] == b"UNKNOWN":
        # "the receiver must ignore anything presented before the CRLF"
        return ProxyHeader(1), rest + data[_V1_LIMIT:]
    if len(words) != 6 or words[1] not in (b"TCP4", b"TCP6"):
        raise ProxyError(f"bad PROXY line {line!r}")
    _word, family, source, destination, sourcePort, destinationPort = words
    host = _hostV4 if family == b"TCP4" else _hostV6
    header = ProxyHeader(
        1,
        family.decode("ascii"),
        (host(source), _port(sourcePort)),
        (host(destination), _port(destinationPort)),
    )
    return header, rest + data[_V1_LIMIT:]


def _hostV4(text: bytes) -> str:
    if not _IPV4.fullmatch(text):
        raise ProxyError(f"{text!r} is no IPv4 address")
    return text.decode("ascii")


def _hostV6(text: bytes) -> str:
    try:
        if _IPV6.fullmatch(text):
            return str(ipaddress.IPv6Address(text.decode("ascii")))
    except ValueError:
        pass
    raise ProxyError(f"{text!r} is no IPv6 address")


def _port(text: bytes) -> int:
    if not _PORT.fullmatch(text) or int(text) > 65535:
        raise ProxyError(f"{text!r} is no port")
    return int(text)


def _takeV2(data: bytes, limit: int) -> tuple[ProxyHeader, bytes] | None:
    if len(data) < _V2_HEAD.size:
        # Whatever is known already must be right: a peer that sends garbage and
        # then nothing is not waited for.
        if len(data) > 12:
            _command(data[12])
        return None
    _signature, versionCommand, familyTransport, length = _V2_HEAD.unpack_from(data)
    command = _command(versionCommand)
    end = _V2_HEAD.size + length
    if end > limit:
        raise ProxyError(f"a PROXY header of {end} bytes exceeds the {limit} allowed")
    if command == _LOCAL:
        # "must discard the protocol block including the family which is ignored"
        return (ProxyHeader(2), data[end:]) if len(data) >= end else None
    family, transport = familyTransport >> 4, familyTransport & 15
    if family > _UNIX or transport > _DGRAM:
        raise ProxyError(f"reserved family and transport 0x{familyTransport:02x}")
    block = _BLOCKS.get(family)
    if block is not None and length < block.size:
        raise ProxyError(f"{length} bytes cannot hold the addresses of family {family}")
    if len(data) < end:
        return None
    start = _V2_HEAD.size + (block.size if block is not None else 0)
    secure = _secure(data[start:end])
    # Valid combinations that mean nothing here count as unspecified (section 2.2).
    if block is None or transport != _STREAM:
        return ProxyHeader(2, secure=secure), data[end:]
    source, destination = _addresses(family, block.unpack_from(data, _V2_HEAD.size))
    name = {_INET: "TCP4", _INET6: "TCP6", _UNIX: "UNIX"}[family]
    return ProxyHeader(2, name, source, destination, secure), data[end:]


def _command(versionCommand: int) -> int:
    version, command = versionCommand >> 4, versionCommand & 15
    if version != 2:
        raise ProxyError(f"got PROXY version {version}, expected 2")
    if command not in (_LOCAL, _PROXY):
        raise ProxyError(f"got PROXY command {command}, expected 0 or 1")
    return command


def _addresses(
    family: int, fields: tuple[bytes, ...]
) -> tuple[tuple[str, int], tuple[str, int]]:
    if family == _UNIX:
        paths = [field.rstrip(b"\0").decode("utf-8", "replace") for field in fields]
        return (paths[0], 0), (paths[1], 0)
    source, destination, sourcePort, destinationPort = fields
    hosts = [str(ipaddress.ip_address(host)) for host in (source, destination)]
    return (hosts[0], int(sourcePort)), (hosts[1], int(destinationPort))


def _secure(values: bytes) -> bool:
    """
    Walk the type-length-value blocks behind the addresses; all but one are skipped.
    """
    secure = False
    at = 0
    while at < len(values):
        if len(values) - at < 3:
            raise ProxyError("a PROXY value is cut off")
        kind, length = struct.unpack_from(">BH", values, at)
        value = values[at + 3 : at + 3 + length]
        if len(value) < length:
            raise ProxyError("a PROXY value is cut off")
        if kind == _TYPE_SSL:
            if length < 5:  # the client flags and the result of the verification
                raise ProxyError("the TLS part of a PROXY header is cut off")
            secure = bool(value[0] & _CLIENT_SSL)
        at += 3 + length
    return secure
