"""
Python's own HTTP client, over TCP or a unix socket, with cookies.
"""

from __future__ import annotations

import http.client
import http.cookies
import socket
import uuid
from urllib.parse import urlencode


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Browser:
    """
    Keeps one connection and its cookies.

    @ivar status: of the last response.
    @ivar headers: of the last response.
    """

    def __init__(self, address: int | str) -> None:
        """
        @param address: a port of 127.0.0.1 or the path of a unix socket.
        """
        self.connection: http.client.HTTPConnection
        if isinstance(address, int):
            self.connection = http.client.HTTPConnection(
                "127.0.0.1", address, timeout=20
            )
        else:
            self.connection = _UnixConnection(address)
        self.cookies: dict[str, str] = {}

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        fields: dict[str, str] | None = None,
    ) -> bytes:
        """
        @return: the body of the response.
        """
        sent = dict(fields or {})
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        self.connection.request(method, path, body, sent)
        response = self.connection.getresponse()
        self.status = response.status
        self.headers = response.headers
        for line in response.headers.get_all("Set-Cookie", []):
            for name, morsel in http.cookies.SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        return response.read()

    def get(self, path: str) -> str:
        return self.request("GET", path).decode()

    def post(self, path: str, **values: str) -> str:
        return self.request(
            "POST",
            path,
            urlencode(values).encode(),
            {
                "Content-Type": "application/x-www-form-urlencoded",
                "Origin": "http://localhost",
            },
        ).decode()

    def upload(self, path: str, name: str, data: bytes, **values: str) -> str:
        """
        Post a form with a file named C{file}.
        """
        boundary = uuid.uuid4().hex
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n'
            f"{value}\r\n".encode()
            for key, value in values.items()
        ]
        parts += [
            f"--{boundary}\r\n".encode(),
            b'Content-Disposition: form-data; name="file"; ',
            f'filename="{name}"\r\n'.encode(),
            b"Content-Type: application/octet-stream\r\n\r\n",
            data,
            f"\r\n--{boundary}--\r\n".encode(),
        ]
        return self.request(
            "POST",
            path,
            b"".join(parts),
            {
                "Content-Type": f"multipart/form-data; boundary={boundary}",
                "Origin": "http://localhost",
            },
        ).decode()

    def close(self) -> None:
        self.connection.close()
