"""
Large bodies in memory, as files.
"""

from __future__ import annotations

import io
import os
import random
from typing import Any

import pytest

from svctree.wsgi import blocks as module
from svctree.wsgi.blocks import Blocks


@pytest.fixture(autouse=True)
def smallBlocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 7)


def blocksOf(data: bytes) -> Blocks:
    return Blocks([data[at : at + 7] for at in range(0, len(data), 7)], len(data))


def test_stream() -> None:
    """
    The stream of a body does what that of a file does, whatever is asked of it.
    """
    chance = random.Random(7)
    for _ in range(400):
        data = bytes(chance.choices(b"ab\n", k=chance.randrange(8, 60)))
        stream: Any = blocksOf(data)
        model = io.BufferedReader(io.BytesIO(data))  # type: ignore[arg-type]
        for _ in range(12):
            name = chance.choice(["read", "read1", "readline", "readlines", "seek"])
            arguments = [chance.choice([7, chance.randrange(len(data) + 1)])]
            if name != "seek" and chance.random() < 0.3:
                arguments = chance.choice([[], [-1]])
            if name == "read1":
                # One of a file may give less.
                arguments = [1]
            found = getattr(stream, name)(*arguments)
            assert found == getattr(model, name)(*arguments), (data, name, arguments)
            assert stream.tell() == model.tell()
        assert list(stream) == list(model)
        stream.seek(-3, os.SEEK_END)
        buffer = bytearray(10)
        assert stream.readinto(buffer) == 3 and buffer[:3] == data[-3:]
        assert stream.read() == stream.read(7) == stream.readline() == b""


def test_sameBytes() -> None:
    """
    Who reads block by block gets the blocks themselves.
    """
    blocks = [b"abcdefg", b"hijklmn", b"op"]
    stream = Blocks(blocks, 16)
    assert stream.read(7) is blocks[0]
    assert stream.read(7) is blocks[1]
    assert stream.read(7) == b"op"
    assert stream.readable() and stream.seekable()


def test_closed() -> None:
    """
    Who reads on after the request gets an error.
    """
    stream = blocksOf(b"x" * 100)
    stream.close()
    for read in (stream.read, stream.readline, stream.readlines):
        with pytest.raises(ValueError):
            read()
    with pytest.raises(ValueError):
        stream.read(7)
