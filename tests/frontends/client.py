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

__all__ = ["Answer", "Client", "KeptClient", "digest"]


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
    @ivar patience: seconds to wait for something to happen.
    """

    def __init__(self, port: int, prefix: str = "", patience: float = 20.0) -> None:
        self.port = port
        self.prefix = prefix
        self.patience = patience

    def ask(
        self,
        target: str,
        method: str = "GET",
        body: bytes | Iterable[bytes] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> Answer:
        """
        @param body: an iterable is sent in chunks.
        """
        with self._connected() as connection:
            chunked = body is not None and not isinstance(body, bytes)
            connection.request(
                method,
                self.prefix + target,
                body,
                dict(fields or {}),
                encode_chunked=chunked,
            )
            return Answer(connection.getresponse())

    def _connected(
        self,
    ) -> contextlib.AbstractContextManager[http.client.HTTPConnection]:
        return contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self.port, self.patience)
        )

    def act(self, act: str, **query: object) -> Answer:
        """
        Ask for what the application calls by this name.
        """
        more = "".join(f"&{name}={value}" for name, value in query.items())
        return self.ask(f"/?act={act}{more}")

    def pieces(self, target: str) -> Iterator[bytes]:
        """
        @return: an answer's body as it arrives.
        """
        with self._connected() as connection:
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


class KeptClient(Client):
    """
    Asks on one connection, as long as the front end keeps it: for many requests, of
    which this way half the time is not spent on connecting.
    """

    def __init__(self, port: int, prefix: str = "", patience: float = 20.0) -> None:
        super().__init__(port, prefix, patience)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, patience)

    def _connected(
        self,
    ) -> contextlib.AbstractContextManager[http.client.HTTPConnection]:
        # It connects anew when the other end has said that it would close.
        return contextlib.nullcontext(self._connection)

    def close(self) -> None:
        self._connection.close()
