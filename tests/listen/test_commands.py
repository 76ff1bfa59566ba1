"""
Addresses in the life of a daemon: activation by systemd, and a changed file.
"""

from __future__ import annotations

import configparser
import os
import shutil
import socket
import sys
from pathlib import Path

from tests.support.http import Client
from tests.support.processes import BIN, Processes

LISTINGS = Path(__file__).parents[2] / "docs" / "listings" / "systemd"

# Becomes a program that was given descriptors as systemd gives them.
ACTIVATE = """
import os, sys
fds, names, *argv = sys.argv[1:]
fds = [int(fd) for fd in fds.split(",")]
for index, fd in enumerate(fds):
    os.dup2(fd, 100 + index)
for index in range(len(fds)):
    os.dup2(100 + index, 3 + index)
    os.close(100 + index)
os.execve(argv[0], argv, {**os.environ, "LISTEN_PID": str(os.getpid()),
                          "LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": names})
"""


def ask(address: int | str) -> int:
    client = Client(address)
    try:
        return client.get("/", Connection="close").status
    finally:
        client.close()


def test_listing(processes: Processes, tmp_path: Path) -> None:
    """
    The units of the documentation name what the configuration asks for, and what
    the service unit starts serves on the socket that systemd passes; afterwards the
    socket is still there.
    """
    unit = configparser.ConfigParser()
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read([LISTINGS / "mysite.socket", LISTINGS / "mysite.service"])
    name = unit["Socket"]["FileDescriptorName"]
    program, command, *flags = unit["Service"]["ExecStart"].split()
    assert Path(program).name == "svctree"
    assert flags == ["-c", "/srv/mysite/mysite.ini"]
    shutil.copy(LISTINGS / "mysite.ini", tmp_path)
    path = str(tmp_path / "app.sock")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen()
        fd = sock.fileno()
        daemon = processes.start(
            [
                *(sys.executable, "-c", ACTIVATE, str(fd), name),
                *(BIN / "svctree", command, "-c", tmp_path / "mysite.ini"),
            ],
            passFds=[fd],
        )
        daemon.waitFor("workers serve")
        assert ask(path) == 200
        assert daemon.terminate() == 0
        assert os.path.exists(path)


def test_changedAddresses(processes: Processes, tmp_path: Path) -> None:
    """
    A reload reads the addresses anew: the new ones are served, the old ones are
    gone, and those that stay have the same socket. A file that cannot be used fails
    the reload and changes nothing.
    """
    file = tmp_path / "app.ini"
    text = (
        "[svctree]\nprotocol = http\nworkermodel = prefork\nworkers = 2\n"
        "detach = no\npidfile = app.pid\nlisten = {}\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file.write_text(text.format(f"127.0.0.1:{port} old.sock(600)"))
    daemon = processes.start([BIN / "svctree", "run", "-c", file])
    daemon.waitFor("workers serve")
    assert ask(port) == ask(str(tmp_path / "old.sock")) == 200
    file.write_text(text.format(f"127.0.0.1:{port} new.sock(600)"))
    reload = processes.start([BIN / "svctree", "reload", "-c", file])
    assert reload.wait() == 0, reload.output
    # One generation took the new sockets and the new code.
    assert "generation 2 serves" in daemon.output
    assert "generation 3" not in daemon.output
    assert ask(port) == ask(str(tmp_path / "new.sock")) == 200
    assert not (tmp_path / "old.sock").exists()
    file.write_text(text.format("127.0.0.1:70000"))
    reload = processes.start([BIN / "svctree", "reload", "-c", file])
    assert reload.wait() != 0
    assert ask(port) == ask(str(tmp_path / "new.sock")) == 200
    assert daemon.terminate() == 0
    assert not (tmp_path / "new.sock").exists()
