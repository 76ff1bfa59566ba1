"""
The applications of the tests are under C{wsgiref.validate}, in any process.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.loops import readAll
from tests.support.processes import Processes


def test_found(processes: Processes, tmp_path: Path) -> None:
    """
    What the validator finds in a process is known at the end of the tests, though the
    test at hand does not look at it.
    """
    import socket

    found = tmp_path / "findings"
    found.touch()
    running = processes.start(
        [
            *(sys.executable, "-m", "tests.support.loops"),
            "tests.support.applications:careless",
        ],
        cwd=Path(__file__).parents[1],
        env={"TESTS_FINDINGS": str(found)},
    )
    port = int(running.waitFor(r"ready (\d+)")[1])
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert readAll(sock).startswith(b"HTTP/1.1 200 ")
    assert "careless" in found.read_text()
