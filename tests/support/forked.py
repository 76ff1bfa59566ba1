"""
Python processes that do not have to import what they need: they are forked from one
that has done so. Half a second of processor time less for each.

C{python -m tests.support.forked FD MODULE}: the one that forks. It takes requests from
the socket C{FD}, one JSON object each, with three descriptors: standard input, standard
output (and error), and where to write what becomes of the child: a line with its pid,
and one with its exit status. The child runs C{MODULE.main(*arguments)}.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from typing import Any

__all__ = ["Child", "Nursery"]


class Child:
    """
    A forked process: as much of L{subprocess.Popen} as is needed.
    """

    def __init__(self, output: int, fate: int) -> None:
        """
        @param output: the read end of its standard output.
        @param fate: the read end of what is written about it.
        """
        self.stdout = os.fdopen(output, "rb", 0)
        self.returncode: int | None = None
        self._fate = os.fdopen(fate, "rb", 0)
        self.pid = int(self._fate.readline())

    def poll(self) -> int | None:
        """
        @return: the exit status, negative for a signal; L{None} while it runs.
        """
        if self.returncode is None and self._told(0.0):
            self.returncode = int(self._fate.readline())
            self._fate.close()
        return self.returncode

    def wait(self, timeout: float) -> int:
        """
        @raise subprocess.TimeoutExpired: it still runs.
        """
        if self.returncode is None and not self._told(timeout):
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        status = self.poll()
        assert status is not None
        return status

    def _told(self, timeout: float) -> bool:
        return bool(select.select([self._fate], [], [], timeout)[0])

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


class Nursery:
    """
    The test's side of the process that forks. It is started when it is first needed.
    """

    def __init__(self, module: str) -> None:
        """
        @param module: has a C{main}, and takes long to import.
        """
        self._module = module
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def fork(
        self,
        arguments: Sequence[str],
        cwd: str | os.PathLike[str],
        stdin: int,
        env: dict[str, str],
    ) -> Child:
        """
        Run C{main(*arguments)} in a new process with its own session.

        @param env: the whole environment.
        """
        if self._socket is None:
            self._start()
        assert self._socket is not None
        request = {"arguments": list(arguments), "cwd": os.fspath(cwd), "env": env}
        output, itsOutput = os.pipe()
        fate, itsFate = os.pipe()
        data = json.dumps(request).encode()
        socket.send_fds(self._socket, [data], [stdin, itsOutput, itsFate])
        os.close(itsOutput)
        os.close(itsFate)
        return Child(output, fate)

    def _start(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
        with theirs:
            fd = theirs.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.forked", str(fd), self._module],
                cwd=root,
                stdin=subprocess.DEVNULL,
                pass_fds=[fd],
                start_new_session=True,
            )
        atexit.register(self._close)

    def _close(self) -> None:
        assert self._socket is not None and self._process is not None
        self._socket.close()
        self._process.wait(10.0)


class _Mother:
    """
    The process that forks.
    """

    def __init__(self, requests: socket.socket, module: Any) -> None:
        self._requests = requests
        self._module = module
        self._fates: dict[int, int] = {}

    def run(self) -> None:
        wake, self._wakeWrite = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wakeWrite)
        while True:
            readable, _, _ = select.select([self._requests, wake], [], [])
            if wake in readable:
                os.read(wake, 4096)
                self._reap()
            if self._requests in readable:
                data, fds, _, _ = socket.recv_fds(self._requests, 1 << 20, 3)
                if not data:
                    return
                self._fork(json.loads(data), *fds)

    def _reap(self) -> None:
        while self._fates:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            fate = self._fates.pop(pid)
            try:
                os.write(fate, b"%d\n" % os.waitstatus_to_exitcode(status))
            except BrokenPipeError:
                pass  # nobody wants to know
            os.close(fate)

    def _fork(self, request: dict[str, Any], *fds: int) -> None:
        pid = os.fork()
        if pid == 0:
            self._become(request, *fds)
        self._fates[pid] = fds[2]
        for fd in fds[:2]:
            os.close(fd)

    def _become(
        self, request: dict[str, Any], stdin: int, output: int, fate: int
    ) -> None:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            os.write(fate, b"%d\n" % os.getpid())
            for fd, number in ((stdin, 0), (output, 1), (output, 2)):
                os.dup2(fd, number)
            os.closerange(3, 256)
            os.chdir(request["cwd"])
            os.environ.clear()
            os.environ.update(request["env"])
            time.tzset()
            random.seed()
            self._module.main(*request["arguments"])
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)


if __name__ == "__main__":
    _Mother(
        socket.socket(fileno=int(sys.argv[1])), importlib.import_module(sys.argv[2])
    ).run()
