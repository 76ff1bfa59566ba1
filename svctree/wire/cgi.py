"""
CGI (RFC 3875): one request in the environment of a process, its body on the standard
input, the answer on the standard output.
"""

from __future__ import annotations

from collections.abc import Mapping

from svctree.wire.cgivars import declaredLength, environOf, requestLine
from svctree.wire.contract import Limits
from svctree.wire.onerequest import OneRequest
from svctree.wire.reader import Head

__all__ = ["CGICodec", "variablesFrom"]


def variablesFrom(environment: Mapping[bytes, bytes]) -> dict[str, str]:
    """
    @param environment: of the process (C{os.environb}): the server writes bytes
        there, and bytes is what PEP 3333 wants back, whatever the locale says.
    """
    return {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in environment.items()
        if b"." not in name
    }


class CGICodec(OneRequest):
    """
    The one request of a CGI process.

    The head is there before a byte has been read.
    """

    __slots__ = ("_mount", "_variables")

    def __init__(
        self,
        variables: dict[str, str],
        template: dict[str, object],
        limits: Limits,
        mount: str = "",
    ) -> None:
        """
        @param variables: of the process, in latin-1 (L{variablesFrom}).
        """
        super().__init__(template, limits)
        self._mount = mount
        self._variables = variables
        self._need = 0

    def takeHead(self, data: bytes) -> tuple[int, Head]:
        variables = dict(self._variables)
        chunked = "HTTP_TRANSFER_ENCODING" in variables
        length = declaredLength(variables, self._limits)
        if length < 0 and not chunked:
            # RFC 3875, 4.1.2: without CONTENT_LENGTH there is no body, and a script
            # must not wait for the end of its input; but for a body that came in
            # chunks, whose end is the input's (mod_cgi).
            length = 0
        # PATH_INFO is absent where it would be empty. It is for the server to say
        # which part of the URI names the script, so REQUEST_URI has no say here.
        variables.setdefault("PATH_INFO", "")
        environ = environOf(variables, self._template, self._mount)
        isHead = variables["REQUEST_METHOD"] == "HEAD"
        return 0, (environ, length, requestLine(variables), isHead, variables)
