"""
A fake systemd: hears what a service reports.
"""

from __future__ import annotations

import os
import socket
import time


class FakeSystemd:
    """
    A notify socket.

    @ivar address: for C{NOTIFY_SOCKET}.
    """

    def __init__(self, address: str | os.PathLike[str]) -> None:
        self.address = os.fspath(address)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = self.address
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)
        if not name.startswith("@"):
            os.chmod(name, 0o666)
        self.all: list[dict[str, str]] = []

    def heard(self) -> list[dict[str, str]]:
        """
        @return: the reports since the last call, each as a dictionary.
        """
        found = []
        self.socket.setblocking(False)
        while True:
            try:
                data = self.socket.recv(65536)
            except BlockingIOError:
                break
            found.append(dict(line.split("=", 1) for line in data.decode().split("\n")))
        self.all += found
        return found

    def waitFor(self, field: str, timeout: float = 20.0) -> dict[str, str]:
        """
        @return: the next report with C{field}; others are passed over.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                break
            report = dict(line.split("=", 1) for line in data.decode().split("\n"))
            self.all.append(report)
            if field in report:
                return report
        raise AssertionError(f"no {field} was reported; heard {self.all}")

    def isSilent(self, seconds: float, patience: int) -> bool:
        """
        @return: whether for so long nothing is reported, after at most C{patience}
            more reports.
        """
        self.socket.settimeout(seconds)
        for _ in range(patience + 1):
            try:
                self.socket.recv(65536)
            except TimeoutError:
                return True
        return False

    def close(self) -> None:
        self.socket.close()
        if not self.address.startswith("@") and os.path.lexists(self.address):
            os.unlink(self.address)

    def __enter__(self) -> FakeSystemd:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()
