"""
A strict little HTTP client for tests: one connection, no retries, nothing hidden.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


class Broken(Exception):
    """
    The connection ended, or said nonsense, where an answer was due.
    """


@dataclass
class Answer:
    """
    A response. Field names are lower case.
    """

    status: int
    fields: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)

    @property
    def closes(self) -> bool:
        return self.fields.get("connection", "").lower() == "close"


class Client:
    """
    One connection.
    """

    def __init__(self, address: int | str, timeout: float = 20.0) -> None:
        """
        @param address: a port of 127.0.0.1, or the path of a unix socket.
        """
        if isinstance(address, int):
            self.socket = socket.create_connection(("127.0.0.1", address), timeout)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(address)
        self._data = b""

    def get(self, path: str = "/", **fields: str) -> Answer:
        """
        Send a GET and take its answer.
        """
        self.send(path, **fields)
        return self.answer()

    def send(self, path: str = "/", **fields: str) -> None:
        lines = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in fields.items())
        try:
            self.socket.sendall(
                f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode()
            )
        except OSError as error:
            raise Broken(f"sending: {error}") from error

    def answer(self) -> Answer:
        """
        @raise Broken: there is none, or not a whole one.
        """
        while b"\r\n\r\n" not in self._data:
            self._more()
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        fields = {}
        for line in lines:
            name, _, value = line.partition(":")
            fields[name.lower()] = value.strip()
        return Answer(int(status.split()[1]), fields, self._body(fields))

    def _body(self, fields: dict[str, str]) -> bytes:
        if "content-length" in fields:
            return self._take(int(fields["content-length"]))
        if fields.get("transfer-encoding") != "chunked":
            try:
                while True:
                    self._more()
            except Broken:
                body, self._data = self._data, b""
                return body
        body = b""
        while True:
            while b"\r\n" not in self._data:
                self._more()
            line, _, self._data = self._data.partition(b"\r\n")
            size = int(line, 16)
            body += self._take(size)
            self._take(2)
            if not size:
                return body

    def _take(self, size: int) -> bytes:
        while len(self._data) < size:
            self._more()
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def _more(self) -> None:
        try:
            data = self.socket.recv(65536)
        except OSError as error:
            raise Broken(f"receiving: {error}") from error
        if not data:
            raise Broken(f"connection closed after {self._data!r}")
        self._data += data

    def close(self) -> None:
        self.socket.close()


class Load:
    """
    Clients that ask on and on, from threads, and note everything that breaks.

    A keep-alive client goes on with a new connection where the server said
    C{Connection: close}; an ordinary one takes a connection for each request.

    @ivar lost: what broke.
    @ivar answers: all answers.
    """

    def __init__(
        self,
        address: int | str,
        keepAlive: int = 0,
        closing: int = 0,
        path: str = "/",
        pause: float = 0.0,
    ) -> None:
        self.lost: list[str] = []
        self.answers: list[tuple[float, float, Answer]] = []
        self._address = address
        self._path = path
        self._pause = pause
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(work,), daemon=True)
            for work in [self._keepsAlive] * keepAlive + [self._closes] * closing
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30.0)

    def _run(self, work: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                work()
            except (Broken, OSError) as error:
                self.lost.append(f"{type(error).__name__}: {error}")

    def _note(self, begun: float, answer: Answer) -> None:
        self.answers.append((begun, answer.at - begun, answer))
        if self._pause:
            self._stop.wait(self._pause)

    def _keepsAlive(self) -> None:
        client = Client(self._address)
        try:
            while not self._stop.is_set():
                begun = time.monotonic()
                answer = client.get(self._path)
                self._note(begun, answer)
                if answer.closes:
                    return
        finally:
            client.close()

    def _closes(self) -> None:
        begun = time.monotonic()
        client = Client(self._address)
        try:
            self._note(begun, client.get(self._path, Connection="close"))
        finally:
            client.close()
