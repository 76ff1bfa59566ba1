"""
SCGI, as U{https://python.ca/scgi/protocol.txt} defines it.

A request is a netstring of NUL-separated names and values, then the body. The front
end is taken at its word and no further: what is not exactly the protocol closes the
connection, and no application ever sees it.
"""

from __future__ import annotations

from svctree.wire.cgivars import declaredLength, joinRepeated, screened, suspicious
from svctree.wire.contract import RequestError
from svctree.wire.onerequest import Head, OneRequest, OneRequestFactory

__all__ = ["SCGICodec", "SCGIError", "SCGIFactory", "takeVariables"]

_COMMA = 44


class SCGIError(RequestError):
    """
    The peer does not speak SCGI; the connection closes without an answer.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(400, reason)


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


def takeVariables(text: str) -> dict[str, str]:
    """
    Take the inside of the netstring apart.

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
    # CONTENT_LENGTH counts? Only the fields of the client are another matter: nginx
    # before 1.23 hands on as many as the client sent, and to refuse them would be to
    # refuse lawful requests.
    pairs = list(zip(parts[::2], parts[1::2], strict=True))
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen and name[:5] != "HTTP_":
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


class SCGICodec(OneRequest):
    """
    One connection from an SCGI front end.
    """

    __slots__ = ()

    def takeHead(self, data: bytes) -> Head | int:
        try:
            size = takeSize(data, self._limits.head)
            if size is None:
                return len(data) + 1
            length, colon = size
            end = colon + 1 + length
            if len(data) <= end:
                return end + 1
            if data[end] != _COMMA:
                raise SCGIError(f"got {data[end : end + 1]!r}, expected a comma")
            variables = takeVariables(data[colon + 1 : end].decode("latin-1"))
        except SCGIError:
            self._mute = True
            raise
        if suspicious(data, end):
            variables = screened(variables, self._trust)
        if "HTTP_CONTENT_LENGTH" in variables:
            _believeClient(variables)
        announced = variables["CONTENT_LENGTH"]
        if not announced:
            # Lenient: the specification wants "0".
            variables["CONTENT_LENGTH"] = announced = "0"
        if announced == "0":
            return variables, end + 1, 0
        return variables, end + 1, declaredLength(variables, self._limits)


class SCGIFactory(OneRequestFactory):
    """
    Makes the codecs of a worker's connections.
    """

    codec = SCGICodec
