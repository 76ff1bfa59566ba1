"""
Commands on a terminal of their own.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import threading
from collections.abc import Mapping, Sequence

__all__ = ["OnTerminal"]


class OnTerminal:
    """
    A command whose standard streams are a terminal.

    @ivar output: what it has shown so far, with the terminal's control sequences.
    """

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        self._master, slave = pty.openpty()
        # setsid makes it the terminal of a session; Ctrl-C needs that.
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *argv],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=dict(environment),
            cwd="/",
        )
        os.close(slave)
        self.output = ""
        self._hungUp = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        # Not blocked in read(): that would keep a closed descriptor alive.
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        # Reading fails when the last process has closed the terminal.
        with contextlib.suppress(OSError):
            while not self._hungUp.is_set():
                if poll.poll(20):
                    data = os.read(self._master, 4096)
                    self.output += data.decode("utf-8", "replace")

    def type(self, text: str) -> None:
        """
        Press keys; C{\\x03} is Ctrl-C.
        """
        os.write(self._master, text.encode())

    def hangUp(self) -> None:
        """
        Close the terminal, as a lost connection does.
        """
        self._hungUp.set()
        self._reader.join()
        os.close(self._master)
        self._master = -1

    def wait(self, timeout: float = 20.0) -> int:
        """
        @return: the exit status, after all output was read.
        """
        status = self.process.wait(timeout)
        self._reader.join(5.0)
        return status

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._master >= 0:
            self.hangUp()
