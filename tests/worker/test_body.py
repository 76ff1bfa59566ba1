"""
Bodies on their way to the application.
"""

from __future__ import annotations

import io
import random
import socket
import tempfile
from collections.abc import Iterator

import pytest

from svctree.worker import body as module
from svctree.worker.body import Body, Reserve
from svctree.wsgi.blocks import BLOCK, Blocks


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def pieces(data: bytes, chance: random.Random) -> Iterator[bytes]:
    while data:
        count = chance.choice([1, 1000, BLOCK, chance.randrange(1, 3 * BLOCK)])
        yield data[:count]
        data = data[count:]


def test_anyPieces() -> None:
    """
    However a body comes, and wherever it is kept, it is the same.
    """
    chance = random.Random(3)
    for round_ in range(20):
        size = chance.choice([1, BLOCK, 2 * BLOCK, chance.randrange(1, 5 * BLOCK)])
        data = chance.randbytes(size)
        expected = chance.choice([-1, size])
        for reserve in (None, Reserve(0), Reserve(2 * BLOCK), Reserve()):
            body = Body(chance.choice([0, 10, BLOCK, 10 * BLOCK]), reserve, expected)
            for piece in pieces(data, chance):
                body.add(piece)
            assert body.size == size
            with body.stream() as stream:
                assert stream.read() == data, (round_, size, expected)
            body.close()


def test_whereItIsKept() -> None:
    """
    A small body needs no reserve, a large one takes its share of it, and what finds
    no room goes to a file.
    """
    reserve = Reserve(3 * BLOCK)
    small, first, second = (Body(BLOCK, reserve, n * BLOCK) for n in (1, 3, 3))
    for body, count in ((small, 1), (first, 3), (second, 3)):
        body.add(b"x" * count * BLOCK)
    assert isinstance(first.stream(), Blocks)
    with second.stream() as stream:
        assert isinstance(stream, io.BufferedReader)
    assert reserve.take(BLOCK) and not reserve.take(1)
    for body in (small, first, second, second):
        body.close()
    assert reserve.take(2 * BLOCK) and not reserve.take(1)


def test_unknownLength(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A body of unknown length takes from the reserve as it grows, until it needs a
    file; then it gives all of it back.
    """
    monkeypatch.setattr(module, "_STEP", BLOCK)
    reserve = Reserve(2 * BLOCK)
    body = Body(BLOCK, reserve)
    for _ in range(3):
        body.add(b"x" * BLOCK)
    assert not reserve.take(1)
    body.add(b"y")
    assert reserve.take(2 * BLOCK)
    with body.stream() as stream:
        assert stream.read() == b"x" * 3 * BLOCK + b"y"
    body.close()


def test_receive(pair: tuple[socket.socket, socket.socket]) -> None:
    """
    What a socket has is taken at once, block by block, and not more than is wanted.
    """
    ours, theirs = pair
    data = random.Random(5).randbytes(2 * BLOCK)
    body = Body(0, Reserve(), len(data))
    with pytest.raises(BlockingIOError):
        body.receive(ours, len(data))
    body.add(data[:10])
    theirs.sendall(data[10:100])
    assert body.receive(ours, len(data) - 10) == 90
    theirs.sendall(data[100 : BLOCK + 50])
    assert body.receive(ours, len(data) - 100) == BLOCK - 50
    theirs.sendall(data[BLOCK + 50 :] + b"next")
    left = len(data) - body.size
    while left:
        left -= body.receive(ours, left)
    assert ours.recv(10) == b"next"
    assert body.size == len(data) and body.stream().read() == data
    theirs.close()
    assert body.receive(ours, 1) == 0


def test_receiveToFile(pair: tuple[socket.socket, socket.socket]) -> None:
    """
    A body for which there is no memory goes from the socket to its file.
    """
    ours, theirs = pair
    body = Body(10, None, 1000)
    theirs.sendall(b"x" * 1004)
    assert body.receive(ours, 1000) == 1000
    with body.stream() as stream:
        assert isinstance(stream, io.BufferedReader)
    assert ours.recv(10) == b"xxxx"
    body.close()


def test_fullDisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A disk that takes only a part of the last piece does not cut the body short.
    """

    class Stingy(io.BytesIO):
        def write(self, data: object) -> int:
            assert isinstance(data, bytes)
            if self.tell() > 5:
                raise OSError("full")
            return super().write(data[:3])

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Stingy())
    body = Body(2)
    body.add(b"abcdef")
    assert body.size == 6
    with pytest.raises(OSError, match="full"):
        body.add(b"g")
