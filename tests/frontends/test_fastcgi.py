"""
What a FastCGI worker does that no front end asks for, or shows.
"""

from __future__ import annotations

import resource
import socket
from pathlib import Path

from svctree.wire.fastcgi import Kind
from svctree.wire.fastcgi.records import Status
from tests.frontends.servers import startService
from tests.support.processes import Processes
from tests.wire.test_fastcgi import post, records


def noFiles() -> None:
    """
    A hook for workers: no file can be written any more.
    """
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def converse(address: Path, data: bytes) -> list[tuple[int, int, bytes]]:
    """
    @return: the records of the answer.
    """
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20.0)
        sock.connect(str(address))
        sock.sendall(data)
        answer = b""
        while not answer or records(answer)[-1][0] != Kind.END_REQUEST:
            answer += sock.recv(65536)
    return records(answer)


def test_overload(processes: Processes, tmp_path: Path) -> None:
    """
    A worker that cannot store the body of a request says OVERLOADED, and serves on.
    """
    address = tmp_path / "s"
    startService(
        processes,
        tmp_path,
        f"unix:{address}",
        "fastcgi",
        *("--workers", "1", "--on-worker-start", f"{__name__}.noFiles"),
    )
    for _ in range(2):
        # More than a worker keeps in memory.
        found = converse(address, post(bytes(9 << 20), QUERY_STRING="act=body"))
        assert found[0][2].startswith(b"Status: 503 Service Unavailable\r\n")
        assert found[-1][2][4] == Status.OVERLOADED
        found = converse(address, post(bytes(1000), QUERY_STRING="act=body"))
        assert found[0][2].startswith(b"Status: 200 OK\r\n")
        assert found[-1][2][4] == Status.REQUEST_COMPLETE
