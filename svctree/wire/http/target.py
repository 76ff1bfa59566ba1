"""
The request line: method, target, version (RFC 9112, 3).
"""

from __future__ import annotations

import re

from svctree.wire.contract import RequestError
from svctree.wire.http.fields import checkHost

__all__ = ["RequestLine", "RequestLines"]

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# Visible ASCII without "#": a fragment never leaves the client (RFC 9112, 3.2).
_TARGET = re.compile(rb"[!\"$-~]+")
_VERSION = re.compile(rb"HTTP/[0-9]\.[0-9]")
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]*)(/[^?]*)?(\?.*)?", re.DOTALL)

_KNOWN = frozenset(
    b"GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH".split(),
)
_HEX = {
    b"%02x" % n if lower else b"%02X" % n: bytes([n])
    for n in range(256)
    for lower in (True, False)
}
_HEX.update({bytes([a, b]).swapcase(): v for (a, b), v in list(_HEX.items())})

_KEPT_LINES = 1024
_KEPT_SIZE = 256


class RequestLine:
    """
    A checked request line.

    @ivar variables: what it puts into the environ, among them all of
        C{REQUEST_VARIABLES}.
    @ivar minor: 0 for HTTP/1.0, 1 for everything later.
    @ivar head: the method is HEAD.
    @ivar plain: neither HTTP/1.0, nor HEAD, nor with an authority of its own.
    @ivar authority: of the absolute form; it wins over Host.
    """

    __slots__ = ("authority", "head", "minor", "plain", "variables")

    def __init__(
        self, variables: dict[str, object], minor: int, head: bool, authority: str
    ) -> None:
        self.variables = variables
        self.minor = minor
        self.head = head
        self.authority = authority
        self.plain = minor == 1 and not authority


def unquote(path: bytes) -> bytes:
    """
    Decode C{%XX}, once. What is no such triple stays as it is.
    """
    first, *parts = path.split(b"%")
    decoded = [first]
    for part in parts:
        byte = _HEX.get(part[:2])
        if byte is None:
            decoded += b"%", part
        else:
            decoded += byte, part[2:]
    return b"".join(decoded)


class RequestLines(dict[bytes, RequestLine]):
    """
    From a request line to what it means, remembered within bounds: a browser's
    targets differ, but a health check's, an API's and a benchmark's do not.
    """

    def __init__(self, limit: int, mount: str) -> None:
        """
        @param limit: bytes of a request line.
        @param mount: a prefix of every path, as C{SCRIPT_NAME}; it has no slash at
            its end.
        """
        super().__init__()
        self._limit = limit
        self._mount = mount

    def __missing__(self, line: bytes) -> RequestLine:
        if len(line) > self._limit:
            raise RequestError(414, "a request line beyond limit-request-line")
        made = self._parse(line)
        if len(line) <= _KEPT_SIZE:
            if len(self) >= _KEPT_LINES:
                self.clear()
            self[line] = made
        return made

    def _parse(self, line: bytes) -> RequestLine:
        try:
            method, target, version = line.split(b" ")
        except ValueError:
            raise RequestError(400, "not a request line of three words") from None
        if version != b"HTTP/1.1":
            _checkVersion(version)
        if method not in _KNOWN:
            _checkMethod(method)
        if _TARGET.fullmatch(target) is None:
            raise RequestError(400, "a character that no target has")
        authority = b""
        if target[:1] == b"/" and method != b"CONNECT":
            path, _, query = target.partition(b"?")
        elif target == b"*" and method == b"OPTIONS":
            path, query = b"", b""
        else:
            authority, path, query = _otherForm(method, target)
        if method == b"CONNECT":
            raise RequestError(501, "CONNECT: this is no proxy")
        raw = target.decode("ascii")
        decoded = unquote(path) if b"%" in path else path
        variables: dict[str, object] = {
            "REQUEST_METHOD": method.decode("ascii"),
            "PATH_INFO": self._below(decoded.decode("latin-1")),
            "QUERY_STRING": query.decode("ascii"),
            "REQUEST_URI": raw,
            "RAW_URI": raw,
            "SERVER_PROTOCOL": "HTTP/1.0" if version == b"HTTP/1.0" else "HTTP/1.1",
        }
        return RequestLine(
            variables,
            0 if version == b"HTTP/1.0" else 1,
            method == b"HEAD",
            authority.decode("ascii"),
        )

    def _below(self, path: str) -> str:
        mount = self._mount
        if not mount or not path:
            return path
        if path == mount or path.startswith(mount + "/"):
            return path[len(mount) :]
        raise RequestError(404, f"a path outside of {mount}")


def _checkVersion(version: bytes) -> None:
    if _VERSION.fullmatch(version) is None:
        raise RequestError(400, "not an HTTP version")
    if version[5:6] != b"1":
        raise RequestError(505, "an HTTP version other than 1.x")


def _checkMethod(method: bytes) -> None:
    if _TOKEN.fullmatch(method) is None:
        raise RequestError(400, "a method that is no token")
    if method.upper() in _KNOWN:
        # Methods are case-sensitive; what spells them otherwise is no client of ours,
        # and a filter in front may have taken it for the known one.
        raise RequestError(400, "a known method in lower case")


def _otherForm(method: bytes, target: bytes) -> tuple[bytes, bytes, bytes]:
    """
    @return: authority, path, query of a target in absolute or authority form.
    """
    if method == b"CONNECT":
        checkHost(target)
        if not target.rpartition(b":")[2].isdigit():
            raise RequestError(400, "CONNECT without a port")
        return target, b"", b""
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        raise RequestError(400, "a target in no form that fits the method")
    authority, path, query = found.groups(b"")
    checkHost(authority)
    if not path and (method != b"OPTIONS" or query):
        path = b"/"
    return authority, path, query[1:]
