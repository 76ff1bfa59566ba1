"""
Status and header fields as applications give them: checked, rendered, remembered.
"""

from __future__ import annotations

import re

from svctree.wire.contract import Fields

__all__ = ["FieldsCache", "StartResponseError", "Statuses", "checkHeader"]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_STATUS = re.compile(r"[1-9][0-9][0-9](?: [^\x00-\x1f\x7f]*)?")

# PEP 3333: "Applications and middleware are forbidden from using HTTP/1.1 'hop-by-hop'
# features or headers". They would contradict what the codec says.
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "trailers",
        "transfer-encoding",
        "upgrade",
    }
)

_KEPT = 512
_KEPT_SIZE = 512


class StartResponseError(ValueError):
    """
    An application gave C{start_response} what it must not.
    """


class Statuses(dict[str, str]):
    """
    From a status as given to the status as sent; what is wrong raises.
    """

    def __missing__(self, status: str) -> str:
        if not isinstance(status, str):
            raise StartResponseError(f"the status is {status!r}, expected a str")
        if _STATUS.fullmatch(status) is None or not _isLatin(status):
            raise StartResponseError(
                f"the status is {status!r}, expected e.g. '200 OK', without control "
                "characters"
            )
        made = str(status) if len(status) > 3 else status + " "
        if len(self) >= _KEPT:
            self.clear()
        self[status] = made
        return made


class FieldsCache(dict["tuple[tuple[str, str], ...]", Fields]):
    """
    From an application's headers, as a tuple, to what is sent.

    An application's answers mostly have one of a few sets of headers; the others
    (cookies, tags, dates) are put together from checked lines.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines: dict[tuple[str, str], bytes] = {}

    def __missing__(self, headers: tuple[tuple[str, str], ...]) -> Fields:
        block: list[bytes] = []
        length = -1
        date = server = False
        size = 0
        for header in headers:
            line = self._lines.get(header)
            if line is None:
                name, value = checkHeader(header)
                lower = name.lower()
                if lower == "content-length":
                    if length >= 0:
                        raise StartResponseError("more than one Content-Length")
                    length = _length(value)
                    continue
                line = f"{name}: {value}\r\n".encode("latin-1")
                if lower == "date":
                    date = True
                elif lower == "server":
                    server = True
                elif len(line) <= _KEPT_SIZE:
                    self._keepLine(header, line)
            block.append(line)
            size += len(line)
        made = Fields(b"".join(block), length, date, server)
        if size <= _KEPT_SIZE and not date:
            if len(self) >= _KEPT:
                self.clear()
            self[headers] = made
        return made

    def _keepLine(self, header: tuple[str, str], line: bytes) -> None:
        if len(self._lines) >= _KEPT:
            self._lines.clear()
        self._lines[header] = line


def _isLatin(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


def checkHeader(header: object) -> tuple[str, str]:
    """
    @raise StartResponseError: naming the header and what is wrong with it.
    """
    if not isinstance(header, tuple) or len(header) != 2:
        raise StartResponseError(f"the header {header!r} is no tuple of two")
    name, value = header
    if not isinstance(name, str) or not isinstance(value, str):
        raise StartResponseError(f"the header {name!r}: {value!r} is not of two str")
    if _TOKEN.fullmatch(name) is None:
        raise StartResponseError(f"the header name {name!r} is no token")
    if name.lower() in _HOP_BY_HOP:
        raise StartResponseError(
            f"the header {name} is hop-by-hop: the server's, not the application's"
        )
    if name.lower() == "status":
        raise StartResponseError("a header named Status: it is start_response's status")
    if _CONTROL.search(value) is not None:
        raise StartResponseError(f"a control character in the header {name}: {value!r}")
    if not _isLatin(value):
        raise StartResponseError(
            f"a character beyond latin-1 in the header {name}: {value!r}"
        )
    return name, value


def _length(value: str) -> int:
    text = value.strip(" ")
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise StartResponseError(f"the header Content-Length is {value!r}, no number")
    return int(text)
