"""
SCGI, as U{https://python.ca/scgi/protocol.txt} defines it.

A request is a netstring of NUL-separated names and values, then the body. The front
end is taken at its word and no further: what is not exactly the protocol closes the
connection, and no application ever sees it.
"""

from __future__ import annotations

from typing import Any

from svctree.wire.cgivars import declaredLength, joinRepeated
from svctree.wire.contract import Limits, RequestError
from svctree.wire.onerequest import NotSpoken, OneRequest, OneRequestFactory
from svctree.wire.reader import Head
from svctree.wire.shapes import Notation, Step

__all__ = ["SCGICodec", "SCGIError", "SCGIFactory", "takeVariables"]

_COMMA = 44

_SINGLE = frozenset(
    (
        "HTTP_CONTENT_LENGTH",
        "HTTP_CONTENT_TYPE",
        "HTTP_HOST",
        "HTTP_TRANSFER_ENCODING",
    )
)
"""Fields of which a lawful request has one (RFC 9112, 3.2, 6.1, 6.3; RFC 9110, 8.3)."""


class SCGIError(NotSpoken):
    """
    The peer does not speak SCGI; the connection closes without an answer.
    """


def takeSize(data: bytes, most: int) -> tuple[int, int] | None:
    """
    Read the length of the netstring that C{data} begins with.

    @param most: bytes that a head may have.
    @return: the length, and where the colon stands; L{None} until it is whole.
    @raise SCGIError: it is no length: digits only, no sign, no space, no zero in
        front.
    @raise RequestError: it is more than C{most}.
    """
    colon = data.find(b":", 1, 6)
    if colon > 0 and data[0] != 48 and data[:colon].isdigit():
        # The usual case; 48 is a zero.
        length = int(data[:colon])
        if length <= most:
            return length, colon
    digits = len(str(most))
    colon = data.find(b":", 0, digits + 1)
    text = data[:colon] if colon >= 0 else data[: digits + 1]
    if not text.isdigit() or (text[0] == 48 and len(text) > 1):
        raise SCGIError(f"got {text[:20]!r}, expected the length of a netstring")
    if len(text) > digits or int(text) > most:
        raise RequestError(431, f"a head longer than the {most} bytes allowed")
    if colon < 0:
        return None
    return int(text), colon


def takeVariables(block: bytes, text: str) -> dict[str, str]:
    """
    Take the inside of the netstring apart.

    @param text: the same in latin-1.
    @raise SCGIError: a name is empty or repeated, the number of NULs is odd,
        CONTENT_LENGTH is not first, or C{SCGI} is not C{1}.
    """
    parts = text.split("\0")
    if parts.pop() or len(parts) % 2:
        raise SCGIError("a name without a value in the head")
    variables = dict(zip(parts[::2], parts[1::2], strict=False))
    if len(variables) * 2 != len(parts):
        variables = _repeated(parts)
    if "" in variables:
        raise SCGIError("an empty name in the head")
    if parts[:1] != ["CONTENT_LENGTH"]:
        raise SCGIError("CONTENT_LENGTH is not the first variable")
    if variables.get("SCGI") != "1":
        raise SCGIError("there is no SCGI=1")
    return variables


def _repeated(parts: list[str]) -> dict[str, str]:
    # The specification allows no name twice, and it is a way to smuggle: which
    # CONTENT_LENGTH counts? Only the fields of the client are another matter, but for
    # those of which there is one: nginx before 1.23 hands on as many as the client
    # sent, and to refuse them would be to refuse lawful requests.
    pairs = list(zip(parts[::2], parts[1::2], strict=True))
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen and (name[:5] != "HTTP_" or name in _SINGLE):
            raise SCGIError(f"{name[:40]!r} twice in the head")
        seen.add(name)
    return joinRepeated(pairs)


def _believeClient(variables: dict[str, str]) -> None:
    """
    Set CONTENT_LENGTH right where nginx announces less than it sends.

    With C{scgi_request_buffering off} it gives what it has of the body so far (its
    issue 1118, repaired in 2026): the application would take a part for the whole.
    The client's own field, which nginx has checked, tells how much is to come. A
    subrequest, which has the fields but not the body, is always a GET.
    """
    said, announced = variables["HTTP_CONTENT_LENGTH"], variables["CONTENT_LENGTH"]
    if (
        said != announced
        and said.isdecimal()
        and (announced or "0").isdecimal()
        and len(said) < 19 > len(announced)
        and int(said) > int(announced or "0")
        and variables.get("REQUEST_METHOD") not in ("GET", "HEAD")
    ):
        variables["CONTENT_LENGTH"] = said


def bodyLength(variables: dict[str, str], limits: Limits) -> int:
    """
    See L{declaredLength}.
    """
    if "HTTP_CONTENT_LENGTH" in variables:
        _believeClient(variables)
    announced = variables["CONTENT_LENGTH"]
    if not announced:
        # Lenient: the specification wants "0".
        variables["CONTENT_LENGTH"] = announced = "0"
    return 0 if announced == "0" else declaredLength(variables, limits)


def takeHoles(
    block: bytes, text: str, steps: tuple[Step, ...], tail: str, into: dict[str, Any]
) -> bool:
    """
    Hot path. See L{Notation}. A value ends at the next NUL.
    """
    at = 0
    for stretch, size, name in steps:
        begin = at + size
        if text[at:begin] != stretch:
            return False
        at = text.find("\0", begin)
        into[name] = text[begin:at]
    return at >= 0 and text[at:] == tail


NOTATION = Notation(
    takeVariables,
    takeHoles,
    pair="{}\0{}\0".format,
    opening="{}\0".format,
    closing="\0",
    bodyLength=bodyLength,
)


class SCGICodec(OneRequest):
    """
    One connection from an SCGI front end.
    """

    __slots__ = ()

    notation = NOTATION

    def takeHead(self, data: bytes) -> tuple[int, Head] | int:
        size = takeSize(data, self._limits.head)
        if size is None:
            return len(data) + 1
        length, colon = size
        end = colon + 1 + length
        if len(data) <= end:
            return end + 1
        if data[end] != _COMMA:
            raise SCGIError(f"got {data[end : end + 1]!r}, expected a comma")
        reader = self._reader
        assert reader is not None
        return end + 1, reader.read(data[colon + 1 : end], self._template)


class SCGIFactory(OneRequestFactory):
    """
    Makes the codecs of a worker's connections.
    """

    codec = SCGICodec
