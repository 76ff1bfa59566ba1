"""
What a client has not taken yet, with a real socket.
"""

from __future__ import annotations

import gc
import os
import socket
import threading
from collections.abc import Iterator

import pytest

from svctree.worker.output import Output

Pair = tuple[socket.socket, socket.socket]

BLOCK = os.urandom(65536)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """
    The worker's side, non-blocking, and the client's.
    """
    mine, theirs = socket.socketpair()
    mine.setblocking(False)
    with mine, theirs:
        yield mine, theirs


def files(output: Output) -> int:
    return sum(not isinstance(item, memoryview) for item in output._items)


def test_slowClient(pair: Pair) -> None:
    """
    For a client that takes nothing memory is used up to the threshold, then a file;
    when it takes, it gets everything in order.
    """
    mine, theirs = pair
    output = Output(mine, 3 * len(BLOCK))
    sent = sum(output.add(memoryview(BLOCK)) + output.flush() for _ in range(50))
    assert 0 < sent < 10 * len(BLOCK)
    assert files(output) == 1 and output._memory <= 3 * len(BLOCK)
    taken = bytearray()
    while output:
        taken += theirs.recv(1 << 20)
        sent += output.flush()
    while len(taken) < sent:
        taken += theirs.recv(1 << 20)
    assert bytes(taken) == BLOCK * 50


def test_clientThatKeepsUp(pair: Pair) -> None:
    """
    A client that takes as fast as it is given is spared the way through the file,
    and what went out is counted.
    """
    mine, theirs = pair
    total = 200 * len(BLOCK)
    taken: list[int] = []

    def take() -> None:
        while sum(taken) < total:
            taken.append(len(theirs.recv(1 << 20)))

    thread = threading.Thread(target=take)
    thread.start()
    output = Output(mine, 1 << 20)
    sent = 0
    most = 0
    for _ in range(200):
        sent += output.add(memoryview(BLOCK)) + output.flush()
        most = max(most, output._memory)
    while output:
        sent += output.flush()
    thread.join()
    assert sent == total
    assert most <= (1 << 20)
    output.close()


def test_close(pair: Pair) -> None:
    """
    An output that nobody takes leaves no descriptor open.
    """
    # What earlier tests left to the collector may hold descriptors, too.
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    output = Output(pair[0], 1000)
    output.add(memoryview(BLOCK * 20))
    with open(__file__, "rb") as file:
        output.addFile(file.fileno(), 0, 10)
    output.close()
    assert not output
    assert len(os.listdir("/proc/self/fd")) == before
