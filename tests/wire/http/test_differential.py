"""
The codec beside h11, an independent parser, on generated requests.
"""

from __future__ import annotations

import random
import re
from typing import Any

import h11
import pytest

from svctree.wire.contract import Limits
from svctree.wire.http import HTTPFactory
from tests.wire.feeding import TEMPLATE, converse
from tests.wire.http.corpus import ACCEPTED, REFUSED

METHODS = [b"GET", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"PURGE", b"get", b"G\xc3"]
TARGETS = [b"/", b"/a?b", b"*", b"http://x/y", b"/%20", b"", b"a", b"/\x80", b"/ b"]
VERSIONS = [b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/1.1 "]
FIELDS = [
    *(b"Host: h", b"Host: h", b"Host: h", b"Host:", b"Host: h\r\nHost: h"),
    *(b"Content-Length: 3", b"Content-Length: 0", b"Content-Length: +3"),
    *(b"Content-Length: 3,3", b"Content-Length: 10"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked"),
    *(b"Transfer-Encoding: identity", b"Transfer-Encoding : chunked"),
    *(b"Connection: close", b"Connection: keep-alive, x", b"X: y", b"X:\ty ", b"X"),
    *(b"X: \x00", b"X: \xff", b" X: y", b"Expect: 100-continue", b"Cookie: a=b"),
]
BODIES = [
    *(b"", b"abc", b"3\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\n0\r\nX: y\r\n\r\n"),
    *(b"3;x=y\r\nabc\r\n0\r\n\r\n", b"3\nabc\n0\n\n", b"0\r\n\r\n", b"g\r\n"),
    b"3\r\nabcd\r\n0\r\n\r\n",
]
NOISE = [b"\r", b"\n", b"\0", b" ", b":", b"\t", b"\r\n", b"a", b"0", b"\xff", b";"]


def generated(chance: random.Random) -> bytes:
    """
    A request that is often good, mutated at a place or two.
    """
    if chance.random() < 0.6:
        raw = chance.choice(chance.choice([REFUSED, ACCEPTED, ACCEPTED])).raw
        if len(raw) > 2000:
            return raw
    else:
        words = (chance.choice(part) for part in (METHODS, TARGETS, VERSIONS))
        fields = chance.sample(FIELDS, chance.randrange(1, 5))
        raw = b"\r\n".join([b" ".join(words), *fields, b"", chance.choice(BODIES)])
    for _ in range(chance.choice([0, 0, 1, 1, 2])):
        at = chance.randrange(len(raw) + 1)
        raw = raw[:at] + chance.choice(NOISE) + raw[at + chance.randrange(2) :]
    return raw


Meaning = tuple[bytes, bytes, list[tuple[str, str]], bytes]


def ours(raw: bytes) -> Meaning | None:
    """
    @return: method, target, fields and body of the first request; L{None} when it
        is refused or not complete.
    """
    events = converse(HTTPFactory(Limits(), "", "")(TEMPLATE), [raw], eof=False)
    kinds = [event[0] for event in events]
    if "answer" not in kinds:
        return None
    environ: dict[str, Any] = events[0][1]
    first = events[: kinds.index("answer")]
    body = b"".join(event[1] for event in first if event[0] == "body")
    fields = sorted(
        (key, value) for key, value in environ.items() if key.startswith("HTTP_")
    )
    method, target = environ["REQUEST_METHOD"], environ["REQUEST_URI"]
    return method.encode(), target.encode(), fields, body


def theirs(raw: bytes) -> Meaning | None:
    """
    The same from h11.
    """
    peer = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    body = b""
    try:
        # h11 takes no empty line before a request, and no white space before a chunk's
        # extension; RFC 9112, 2.2 and RFC 9110, 5.6.3 want them ignored.
        raw = re.sub(rb"(\r\n[0-9A-Fa-f]+)[ \t]+;", rb"\1;", raw.removeprefix(b"\r\n"))
        peer.receive_data(raw)
        request = peer.next_event()
        if not isinstance(request, h11.Request):
            return None
        while not isinstance(event := peer.next_event(), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                return None
            body += bytes(event.data)
    except h11.RemoteProtocolError:
        return None
    fields: dict[str, list[str]] = {}
    for name, value in request.headers:
        key = "HTTP_" + name.decode().upper().replace("-", "_")
        if b"_" not in name:
            fields.setdefault(key, []).append(value.decode("latin-1"))
    joined = [
        (key, ("; " if key == "HTTP_COOKIE" else ", ").join(values))
        for key, values in sorted(fields.items())
    ]
    return request.method, request.target, joined, body


DROPPED = {
    *("HTTP_CONNECTION", "HTTP_TRANSFER_ENCODING", "HTTP_EXPECT", "HTTP_PROXY"),
    *("HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE", "HTTP_KEEP_ALIVE", "HTTP_TE"),
    *("HTTP_TRAILER", "HTTP_UPGRADE", "HTTP_PROXY_CONNECTION", "HTTP_FORWARDED"),
}


def isDropped(key: str) -> bool:
    """
    @return: whether no application sees this field.
    """
    return key in DROPPED or key.startswith("HTTP_X_FORWARDED_")


@pytest.mark.parametrize("seed", range(20))
def test_neverLaxer(seed: int) -> None:
    """
    What this codec accepts h11 accepts too, with the same meaning: method, target,
    fields and body. (The other way round it may refuse more.)
    """
    chance = random.Random(seed)
    agreed = 0
    for _ in range(300):
        raw = generated(chance)
        mine = ours(raw)
        if mine is None:
            continue
        peer = theirs(raw)
        assert peer is not None, raw
        method, target, fields, body = peer
        kept = [(key, value) for key, value in fields if not isDropped(key)]
        if target.lower().startswith(b"http:"):
            # The authority of the target wins over Host; h11 leaves that to others.
            kept = [pair for pair in kept if pair[0] != "HTTP_HOST"]
            mine = (*mine[:2], [p for p in mine[2] if p[0] != "HTTP_HOST"], mine[3])
        assert mine == (method, target, kept, body), raw
        agreed += 1
    assert agreed > 20
