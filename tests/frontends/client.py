"""
A client that does what it is told, and shows what came back.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

__all__ = ["Answer", "Client", "digest"]


def digest(data: bytes) -> str:
    """
    @return: what the application says about a body.
    """
    return f"{len(data)} {hashlib.sha256(data).hexdigest()}"


class Answer:
    """
    One answer, read to its end.
    """

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.reason = response.reason
        self.fields = response.headers
        self.body = response.read()

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def environ(self) -> dict[str, Any]:
        """
        The variables that the application got.
        """
        assert self.status == 200, (self.status, self.text)
        found: dict[str, Any] = json.loads(self.body)
        return found


class Client:
    """
    Asks one front end.

    @ivar prefix: what every path begins with.
    """

    def __init__(self, port: int, prefix: str = "") -> None:
        self.port = port
        self.prefix = prefix

    def ask(
        self,
        target: str,
        method: str = "GET",
        body: bytes | Iterable[bytes] | None = None,
        fields: Mapping[str, str] | None = None,
        timeout: float = 20.0,
    ) -> Answer:
        """
        @param body: an iterable is sent in chunks.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout)
        with contextlib.closing(connection):
            chunked = body is not None and not isinstance(body, bytes)
            connection.request(
                method,
                self.prefix + target,
                body,
                dict(fields or {}),
                encode_chunked=chunked,
            )
            return Answer(connection.getresponse())

    def act(self, act: str, **query: object) -> Answer:
        """
        Ask for what the application calls by this name.
        """
        more = "".join(f"&{name}={value}" for name, value in query.items())
        return self.ask(f"/?act={act}{more}")

    def pieces(self, target: str, timeout: float = 20.0) -> Iterator[bytes]:
        """
        @return: an answer's body as it arrives.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout)
        with contextlib.closing(connection):
            connection.request("GET", self.prefix + target)
            response = connection.getresponse()
            while data := response.read1(65536):
                yield data

    def abort(self, data: bytes) -> None:
        """
        Send some bytes and go away without a word.
        """
        with socket.create_connection(("127.0.0.1", self.port)) as sock:
            sock.sendall(data.replace(b"@", self.prefix.encode()))
            linger = b"\1\0\0\0\0\0\0\0"
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
