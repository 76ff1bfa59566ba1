"""
Header lines of requests, checked once and remembered.

Clients repeat themselves: most lines of a request are the very bytes of the request
before. So a checked line is kept in a bounded dictionary from its bytes to what it
puts into the environ, and the head of a request is then a few look-ups, done by C{map}
without running any bytecode. Measured with a browser's 12 fields (one core, one run):
1.4 microseconds for the lines of a head, against 24 when each is parsed anew.
"""

from __future__ import annotations

import re
from typing import Final

from svctree.wire.contract import RequestError

__all__ = [
    "SINGLETONS",
    "SPECIAL",
    "Entry",
    "FieldCache",
    "Special",
    "checkHost",
    "fieldOf",
]

# RFC 9110, 5.6.2. A name with an underscore is a token, but is dropped: CGI cannot
# tell it from the one with a hyphen.
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# RFC 9110, 5.5: visible characters, obs-text, space and tab.
_BAD_IN_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_HOST = re.compile(
    rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[(?:[0-9A-Fa-f:.]+|v[0-9A-Fa-f]+\.[^\]@/?#]+)\])"
    rb"(?::([0-9]{0,5}))?"
)
_DIGITS = re.compile(rb"[0-9]+")

SPECIAL: Final = "svctree.special"
"""The key of lines that decide about the message; never left in an environ."""


class Special:
    """
    The value of a line that rules the message: its framing or what is expected.

    @ivar key: the environ's name of the field, e.g. C{HTTP_CONNECTION}.
    @ivar value: the value, in lower case.
    """

    __slots__ = ("key", "value")

    def __init__(self, key: str, value: str) -> None:
        self.key = key
        self.value = value


Entry = tuple[str, object]
"""A key of the environ and its value."""

SINGLETONS: Final = frozenset(
    {
        "CONTENT_LENGTH",
        "CONTENT_TYPE",
        "HTTP_AUTHORIZATION",
        "HTTP_CONTENT_RANGE",
        "HTTP_DATE",
        "HTTP_EXPECT",
        "HTTP_FROM",
        "HTTP_HOST",
        "HTTP_IF_MODIFIED_SINCE",
        "HTTP_IF_RANGE",
        "HTTP_IF_UNMODIFIED_SINCE",
        "HTTP_MAX_FORWARDS",
        "HTTP_ORIGIN",
        "HTTP_PROXY_AUTHORIZATION",
        "HTTP_RANGE",
        "HTTP_REFERER",
        "HTTP_TRANSFER_ENCODING",
        "HTTP_USER_AGENT",
    }
)
"""Fields that must not be repeated."""

# These concern one connection, not the application (RFC 9110, 7.6.1). "Proxy" would
# become HTTP_PROXY, which libraries take for a setting (CVE-2016-5385).
_DROPPED = frozenset(
    {
        "HTTP_HTTP2_SETTINGS",
        "HTTP_KEEP_ALIVE",
        "HTTP_PROXY",
        "HTTP_PROXY_CONNECTION",
        "HTTP_TE",
        "HTTP_TRAILER",
        "HTTP_UPGRADE",
    }
)

# What a request carries these in is rarely said twice, or is better not kept.
_NOT_KEPT = frozenset(
    {
        "HTTP_AUTHORIZATION",
        "HTTP_COOKIE",
        "HTTP_IF_MODIFIED_SINCE",
        "HTTP_IF_NONE_MATCH",
        "HTTP_PROXY_AUTHORIZATION",
        "HTTP_RANGE",
        "HTTP_TRACEPARENT",
        "HTTP_X_CSRFTOKEN",
        "HTTP_X_REQUEST_ID",
    }
)

_KEPT_LINES = 2048
_KEPT_NAMES = 512
_KEPT_SIZE = 512


def checkHost(host: bytes) -> None:
    """
    @raise RequestError: C{host} is not C{uri-host [":" port]} (RFC 9110, 7.2).
    """
    found = _HOST.fullmatch(host)
    if found is None or int(found[1] or 0) > 65535:
        raise RequestError(400, "Host is not a valid host")


def fieldOf(line: bytes) -> tuple[str, bytes]:
    """
    Take one line of a head apart.

    @param line: without its CRLF.
    @return: the field's name, a token, and its value without white space around it.
    @raise RequestError: the line is no field line (RFC 9112, 5).
    """
    name, colon, value = line.partition(b":")
    if not colon or _TOKEN.fullmatch(name) is None:
        raise RequestError(400, "a line that is no header field")
    if _BAD_IN_VALUE.search(value) is not None:
        raise RequestError(400, "a control character in a header field")
    return name.decode("ascii"), value.strip(b" \t")


class FieldCache(dict[bytes, "Entry | None"]):
    """
    From a header line to what it means: an L{Entry}, or L{None} for nothing.

    Bounded: it is emptied when it is full, which costs a sweep of the lines in use
    every two thousand new ones. Fields whose value changes from request to request,
    or is secret, are not kept.

    @ivar fieldSize: the limit of one line.
    """

    def __init__(self, fieldSize: int, believeProxy: bool) -> None:
        """
        @param believeProxy: C{Forwarded} and C{X-Forwarded-*} are kept.
        """
        super().__init__()
        self.fieldSize = fieldSize
        self._believeProxy = believeProxy
        self._names: dict[bytes, tuple[str, bool]] = {}

    def __missing__(self, line: bytes) -> Entry | None:
        # The way of lines that change with every request: a cookie takes it, at
        # 0.7 microseconds.
        name, colon, value = line.partition(b":")
        known = self._names.get(name)
        if known is None or not colon or len(line) > self.fieldSize:
            return self._parse(line)
        text = str(value, "latin-1").strip(" \t")
        # What is not plain ASCII may still be only a tab or obs-text.
        plain = text.isascii() and text.isprintable()
        if not plain and _BAD_IN_VALUE.search(value) is not None:
            raise RequestError(400, "a control character in a header field")
        key, kept = known
        entry = (key, text)
        if kept and len(line) <= _KEPT_SIZE:
            self._keep(line, entry)
        return entry

    def _keep(self, line: bytes, entry: Entry | None) -> None:
        if len(self) >= _KEPT_LINES:
            self.clear()
        self[line] = entry

    def _parse(self, line: bytes) -> Entry | None:
        if len(line) > self.fieldSize:
            raise RequestError(431, "a header field beyond limit-request-field-size")
        name, value = fieldOf(line)
        if "_" in name:
            return None
        key = "HTTP_" + name.upper().replace("-", "_")
        if key in ("HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE"):
            key = key[5:]
        if key in _DROPPED or (not self._believeProxy and _isProxys(key)):
            entry = None
        elif key in _CHECKS:
            entry = _CHECKS[key](key, value)
        else:
            # Only plain fields may take the short way next time.
            if len(self._names) >= _KEPT_NAMES:
                self._names.clear()
            if len(name) <= 64:
                self._names[line[: len(name)]] = (key, key not in _NOT_KEPT)
            return key, value.decode("latin-1")
        if len(line) <= _KEPT_SIZE:
            self._keep(line, entry)
        return entry


def _isProxys(key: str) -> bool:
    return key == "HTTP_FORWARDED" or key.startswith("HTTP_X_FORWARDED_")


def _host(key: str, value: bytes) -> Entry | None:
    checkHost(value)
    return key, value.decode("ascii")


def _contentLength(key: str, value: bytes) -> Entry | None:
    # Not int(): that takes signs, underscores and white space.
    if _DIGITS.fullmatch(value) is None:
        raise RequestError(400, "Content-Length is not a number")
    digits = value.lstrip(b"0")
    if len(digits) > 18:
        raise RequestError(413, "Content-Length beyond every limit")
    return key, digits.decode("ascii") or "0"


def _connection(key: str, value: bytes) -> Entry | None:
    # The words of every request of a browser need nothing done in HTTP/1.1; in
    # HTTP/1.0 the codec looks at the line itself.
    words = value.lower()
    if words == b"keep-alive":
        return None
    return SPECIAL, Special(key, words.decode("latin-1"))


def _special(key: str, value: bytes) -> Entry | None:
    return SPECIAL, Special(key, value.decode("latin-1").lower())


_CHECKS = {
    "HTTP_HOST": _host,
    "CONTENT_LENGTH": _contentLength,
    "HTTP_CONNECTION": _connection,
    "HTTP_TRANSFER_ENCODING": _special,
    "HTTP_EXPECT": _special,
}
