"""
Large bodies in a file that is mapped and used again.
"""

from __future__ import annotations

import io
import os
import random
from typing import Any

import pytest

from svctree.worker import spool as module
from svctree.worker.spool import Spool, Window


def filled(spool: Spool, data: bytes) -> Window:
    window = spool.claim(len(data))
    assert window is not None
    window.add(data[:10])
    window.room()[: len(data) - 10] = data[10:]
    window.size = len(data)
    return window


def test_stream() -> None:
    """
    The stream of a body does what that of a file does, whatever is asked of it.
    """
    chance = random.Random(7)
    for _ in range(200):
        data = bytes(chance.choices(b"ab\n", k=chance.randrange(10, 60)))
        window = filled(Spool(), data)
        stream: Any = window.stream()
        model = io.BufferedReader(io.BytesIO(data))  # type: ignore[arg-type]
        for _ in range(8):
            name = chance.choice(["read", "read1", "readline", "readlines", "seek"])
            arguments = [chance.randrange(len(data))]
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


def test_closed() -> None:
    """
    Who reads on after the request gets an error, and not the next body.
    """
    window = filled(Spool(), b"x" * 100)
    stream = window.stream()
    stream.close()
    for read in (stream.read, stream.readline, stream.readlines):
        with pytest.raises(ValueError):
            read()
    window.close()


def test_oneAtATime() -> None:
    """
    The window is used again, but never for two bodies at once.
    """
    spool = Spool()
    first = filled(spool, b"x" * 100)
    assert spool.claim(100) is None
    first.close()
    assert spool.claim(100) is first
    assert first.room() == b"x" * 100 and first.size == 0


def test_tooLarge() -> None:
    """
    What the window cannot hold is kept elsewhere.
    """
    assert Spool().claim((8 << 20) + 1) is None


def test_fork() -> None:
    """
    A window that a child of the application may still read is not used again.
    """
    spool = Spool()
    window = filled(spool, b"x" * 100)
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    window.close()
    other = spool.claim(100)
    assert other is not None and other is not window


def test_fullDisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    While the disk is nearly full nothing is written by way of a mapping.
    """
    spool = Spool()
    monkeypatch.setattr(module, "_ROOM", 1 << 60)
    assert spool.claim(100) is None
    monkeypatch.undo()
    assert spool.claim(100) is not None


def test_noFile(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Where no file can be had it is said once, and bodies go where they can.
    """

    def fail(*arguments: int) -> None:
        raise OSError("not here")

    monkeypatch.setattr(os, "posix_fallocate", fail)
    spool = Spool()
    assert spool.claim(100) is spool.claim(100) is None
    expected = "svctree: large bodies are not mapped: not here\n"
    assert capsys.readouterr().err == expected
