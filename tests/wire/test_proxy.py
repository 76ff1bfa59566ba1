"""
The PROXY protocol.
"""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from svctree.wire.proxy import ProxyError, ProxyHeader, takeHeader

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command: int, family: int, block: bytes) -> bytes:
    return SIGNATURE + struct.pack(">BBH", command, family, len(block)) + block


def inet(source: str, destination: str, ports: tuple[int, int]) -> bytes:
    hosts = [ipaddress.ip_address(host).packed for host in (source, destination)]
    return b"".join(hosts) + struct.pack(">HH", *ports)


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack(">BH", kind, len(value)) + value


V4 = inet("192.0.2.1", "198.51.100.2", (1234, 443))
V6 = inet("2001:db8::1", "2001:db8::2", (1234, 443))
PATHS = b"/run/client".ljust(108, b"\0") + b"/run/server".ljust(108, b"\0")
TLS = tlv(0x20, b"\x01\0\0\0\0" + tlv(0x21, b"TLSv1.3"))

GOOD: list[tuple[bytes, ProxyHeader]] = [
    (
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1234 443\r\n",
        ProxyHeader(1, "TCP4", ("192.0.2.1", 1234), ("198.51.100.2", 443)),
    ),
    (
        b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
        ProxyHeader(1, "TCP4", ("255.255.255.255", 65535), ("255.255.255.255", 65535)),
    ),
    (
        b"PROXY TCP6 2001:DB8:0::1 ::1 0 443\r\n",
        ProxyHeader(1, "TCP6", ("2001:db8::1", 0), ("::1", 443)),
    ),
    (
        b"PROXY TCP6 " + b" ".join([b"ffff:" * 7 + b"ffff"] * 2) + b" 65535 65535\r\n",
        ProxyHeader(1, "TCP6", *[("ffff:" * 7 + "ffff", 65535)] * 2),
    ),
    (b"PROXY UNKNOWN\r\n", ProxyHeader(1)),
    # The longest line: section 2.1 counts 107 bytes.
    (b"PROXY UNKNOWN " + b"x" * (107 - 16) + b"\r\n", ProxyHeader(1)),
    (
        v2(0x21, 0x11, V4),
        ProxyHeader(2, "TCP4", ("192.0.2.1", 1234), ("198.51.100.2", 443)),
    ),
    (
        v2(0x21, 0x21, V6),
        ProxyHeader(2, "TCP6", ("2001:db8::1", 1234), ("2001:db8::2", 443)),
    ),
    (
        v2(0x21, 0x31, PATHS),
        ProxyHeader(2, "UNIX", ("/run/client", 0), ("/run/server", 0)),
    ),
    (
        v2(0x21, 0x11, V4 + tlv(0x04, b"\0" * 40) + tlv(0xEA, b"")),
        ProxyHeader(2, "TCP4", ("192.0.2.1", 1234), ("198.51.100.2", 443)),
    ),
    (
        v2(0x21, 0x11, V4 + tlv(0x02, b"example.org") + TLS),
        ProxyHeader(2, "TCP4", ("192.0.2.1", 1234), ("198.51.100.2", 443), True),
    ),
    (v2(0x20, 0x00, b""), ProxyHeader(2)),
    # LOCAL: the family is ignored, even a reserved one, and so is the block.
    (v2(0x20, 0xFF, b"anything"), ProxyHeader(2)),
    (v2(0x21, 0x00, b""), ProxyHeader(2)),
    (v2(0x21, 0x00, tlv(0x04, b"abc")), ProxyHeader(2)),
    (v2(0x21, 0x10, V4), ProxyHeader(2)),
    # Datagrams are valid and mean nothing here.
    (v2(0x21, 0x12, V4), ProxyHeader(2)),
    (v2(0x21, 0x32, PATHS), ProxyHeader(2)),
]

BAD: list[bytes] = [
    b"GET / HTTP/1.1\r\n",
    b"PROXX",
    b"proxy ",
    b"PROXY\t",
    b"PROXY \r\n",
    b"PROXY  TCP4 192.0.2.1 198.51.100.2 1234 443\r\n",
    b"PROXY UNKNOWNX\r\n",
    b"PROXY TCP5 192.0.2.1 198.51.100.2 1234 443\r\n",
    b"PROXY tcp4 192.0.2.1 198.51.100.2 1234 443\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 1234\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 1234 443 \r\n",
    b"PROXY TCP4 192.0.2.1  198.51.100.2 1234 443\r\n",
    b"PROXY TCP4 192.0.2.01 198.51.100.2 1234 443\r\n",
    b"PROXY TCP4 192.0.2.256 198.51.100.2 1234 443\r\n",
    b"PROXY TCP4 192.0.2 198.51.100.2 1234 443\r\n",
    b"PROXY TCP4 ::1 ::2 1234 443\r\n",
    b"PROXY TCP6 192.0.2.1 198.51.100.2 1234 443\r\n",
    b"PROXY TCP6 fe80::1%lo fe80::2 1234 443\r\n",
    b"PROXY TCP6 1::2::3 ::1 1234 443\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 01 443\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 +1 443\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 -1 443\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2  443\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 \u0661 443\r\n".encode(),
    b"PROXY UNKNOWN " + b"x" * (107 - 15) + b"\r\n",
    b"PROXY " + b"x" * 101,
    SIGNATURE[:11] + b"\r",
    v2(0x11, 0x11, V4),
    v2(0x31, 0x11, V4),
    v2(0x22, 0x11, V4),
    v2(0x21, 0x41, V4),
    v2(0x21, 0x13, V4),
    v2(0x21, 0x11, V4[:-1]),
    v2(0x21, 0x21, V4),
    v2(0x21, 0x31, PATHS[:-1]),
    v2(0x21, 0x11, V4 + b"\x04"),
    v2(0x21, 0x11, V4 + b"\x04\0\x05abc"),
    v2(0x21, 0x11, V4 + tlv(0x20, b"\x01")),
    v2(0x21, 0x11, V4 + b"x" * 4090),
    # Wrong before it is whole.
    SIGNATURE + b"\x11",
    SIGNATURE + b"\x21\x41\xff\xff",
]


@pytest.mark.parametrize(("data", "expected"), GOOD)
def test_everySplit(data: bytes, expected: ProxyHeader) -> None:
    """
    A header is the same wherever its bytes are split, is not complete before its
    last byte, and takes nothing of what follows.
    """
    for cut in range(len(data)):
        assert takeHeader(data[:cut]) is None
    for after in (b"", b"G", b"GET / HTTP/1.1\r\n\r\n", b"PROXY ", b"x" * 500):
        assert takeHeader(data + after) == (expected, after)


@pytest.mark.parametrize("data", BAD)
def test_garbage(data: bytes) -> None:
    """
    What is no header is refused at some byte, and at every byte from there on.
    """
    refused = False
    for cut in range(1, len(data) + 1):
        try:
            taken = takeHeader(data[:cut])
        except ProxyError:
            refused = True
        else:
            assert taken is None
            assert not refused
    assert refused


def test_firstByte() -> None:
    """
    Garbage is known by its first byte: nobody waits for more of it.
    """
    for first in range(256):
        data = bytes([first])
        if data in (b"P", b"\r"):
            assert takeHeader(data) is None
        else:
            with pytest.raises(ProxyError):
                takeHeader(data)


def test_limit() -> None:
    """
    A header longer than the limit is refused when its length is known.
    """
    data = v2(0x20, 0, b"x" * 1000)
    assert takeHeader(data, limit=1016) == (ProxyHeader(2), b"")
    with pytest.raises(ProxyError, match="1016 bytes exceeds the 1015"):
        takeHeader(data[:16], limit=1015)


@given(st.binary(max_size=300))
@example(SIGNATURE + b"\x21\x11\x00\x0c" + b"\0" * 12)
def test_anyBytes(data: bytes) -> None:
    """
    Any bytes are a header, the beginning of one, or a L{ProxyError}; and what
    follows a header is a suffix of them.
    """
    for text in (data, b"PROXY " + data, SIGNATURE + data, SIGNATURE + b"\x21" + data):
        try:
            taken = takeHeader(text)
        except ProxyError:
            continue
        if taken is not None:
            assert text.endswith(taken[1])
