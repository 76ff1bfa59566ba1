"""
Real processes for tests: started in their own session, watched, and cleared away.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from tests.support.forked import Child

T = TypeVar("T")

BIN = Path(sys.executable).parent
"""Where the environment's commands are: C{BIN / "twistd"}."""


def waitUntil(condition: Callable[[], T], what: str, timeout: float = 10.0) -> T:
    """
    Wait for a condition that no event announces.

    @return: the first true value of C{condition()}.
    @raise AssertionError: it stayed false for C{timeout} seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"still waiting for {what} after {timeout} s")
        time.sleep(0.005)


def alive(pid: int) -> bool:
    """
    @return: whether C{pid} runs (a zombie does not).
    """
    try:
        return fieldsOf(pid)[0] not in "ZX"
    except OSError:
        return False


def fieldsOf(pid: int | str) -> list[str]:
    """
    @return: what C{/proc/PID/stat} says behind the name (proc(5)): the state first.
    @raise OSError: there is no such process.
    """
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def processorTime(pid: int) -> float:
    """
    @return: seconds that a process has used.
    """
    fields = fieldsOf(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def freeze(pid: int) -> None:
    """
    Stop a process (SIGSTOP), and wait until it is.
    """
    os.kill(pid, signal.SIGSTOP)
    waitUntil(lambda: fieldsOf(pid)[0] == "T", "the process to be stopped")


def inSession(session: int) -> list[int]:
    """
    @return: the living processes of a session, and their descendants in others.
    """
    parents: dict[int, int] = {}
    members: set[int] = set()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            fields = fieldsOf(entry)
        except OSError:
            continue
        if fields[0] in "ZX":
            continue
        parents[int(entry)] = int(fields[1])
        if int(fields[3]) == session:
            members.add(int(entry))
    grown = True
    while grown:
        found = {pid for pid, parent in parents.items() if parent in members}
        grown = not found <= members
        members |= found
    return sorted(members)


def childrenOf(pid: int) -> list[int]:
    """
    @return: the pids of the living children of C{pid}.
    """
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            text = Path(f"/proc/{pid}/task/{task}/children").read_text()
            found += [int(child) for child in text.split()]
    return sorted(found)


class Running:
    """
    One started process and what it has printed so far (both streams, merged).
    """

    def __init__(self, process: subprocess.Popen[bytes] | Child) -> None:
        self.process = process
        self.pid = process.pid
        self._output = bytearray()
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        while chunk := os.read(self.process.stdout.fileno(), 65536):
            with self._more:
                self._output += chunk
                self._more.notify_all()
        with self._more:
            self._more.notify_all()

    @property
    def output(self) -> str:
        with self._more:
            return self._output.decode("utf-8", "replace")

    def waitFor(self, pattern: str, timeout: float = 20.0) -> re.Match[str]:
        """
        Wait until the output matches.

        @raise AssertionError: it did not, in time or before the process ended; the
            message has the output.
        """
        deadline = time.monotonic() + timeout
        with self._more:
            while True:
                text = self._output.decode("utf-8", "replace")
                found = re.search(pattern, text)
                if found:
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or not self._reader.is_alive():
                    raise AssertionError(f"no {pattern!r} in the output:\n{text}")
                self._more.wait(min(left, 0.2))

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, timeout: float = 20.0) -> int:
        """
        @return: the exit status, negative for a signal, after all output was read.
        """
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.pid} still runs after {timeout} s:\n{self.output}"
            ) from None
        self._reader.join(5.0)
        return status

    def terminate(self, timeout: float = 20.0) -> int:
        """
        Send SIGTERM and wait.
        """
        self.signal(signal.SIGTERM)
        return self.wait(timeout)


class Processes:
    """
    Starts processes and makes sure that none is left (see the C{processes} fixture).

    @ivar closers: called when all have ended.
    """

    def __init__(self, watchdog: float = 60.0) -> None:
        self._watchdog = watchdog
        self.closers: list[Callable[[], object]] = []
        self._started: list[tuple[Running, threading.Timer]] = []

    def start(
        self,
        argv: Sequence[str | os.PathLike[str]],
        cwd: str | os.PathLike[str] | None = None,
        env: dict[str, str] | None = None,
        stdin: int | None = subprocess.DEVNULL,
        passFds: Sequence[int] = (),
        user: str | int | None = None,
    ) -> Running:
        """
        Start C{argv} in its own session.

        @param env: variables to add to the environment.
        """
        process = subprocess.Popen(
            [os.fspath(part) for part in argv],
            cwd=cwd,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=passFds,
            user=user,
        )
        return self.take(process)

    def take(self, process: subprocess.Popen[bytes] | Child) -> Running:
        """
        Look after a process that leads a session.
        """
        running = Running(process)
        timer = threading.Timer(self._watchdog, _killSession, [process.pid])
        timer.daemon = True
        timer.start()
        self._started.append((running, timer))
        return running

    def close(self) -> Iterator[int]:
        """
        Kill what still runs.

        @return: the pids that had to be killed.
        """
        for running, timer in self._started:
            timer.cancel()
            yield from _killSession(running.pid)
            running.process.wait(5.0)
            running._reader.join(5.0)
            if running.process.stdout is not None:
                running.process.stdout.close()
        while self.closers:
            self.closers.pop()()


def _killSession(session: int) -> list[int]:
    killed: list[int] = []
    while left := inSession(session):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed += [pid for pid in left if pid not in killed]
        time.sleep(0.01)
    return killed
