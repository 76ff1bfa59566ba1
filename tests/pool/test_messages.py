"""
Tests for L{svctree.pool.messages} and L{svctree.worker.channel}.
"""

from __future__ import annotations

import os

import pytest

from svctree.pool import messages
from svctree.pool.messages import MESSAGES, MessageError, decode, encode
from svctree.worker.channel import Channel

SAMPLES = [
    messages.Boot("web", 2, ["/srv"], {"timeout": 3.5, "env": {}}, 2, 64, 1),
    messages.Spawn(3),
    messages.Retire(0, 2.5, True, 30.0),
    messages.Kill(7, 9),
    messages.ReopenLog(3),
    messages.Ping(1),
    messages.Pong(1),
    messages.Loaded(0.5, ["a.py"]),
    messages.BootFailed("why", "line 1\nline 2", 4, 0),
    messages.Forked(1, 2),
    messages.ForkFailed(1, "no memory"),
    messages.Ready(1, 2),
    messages.RetireWanted("old", 1, 2),
    messages.Exited(1, 2, -9, True),
    messages.Notice("\u00e4 \u2603"),
]


def test_samplesAreComplete() -> None:
    """
    There is a sample of each message.
    """
    assert {type(sample) for sample in SAMPLES} == set(MESSAGES.values())


@pytest.mark.parametrize("message", SAMPLES, ids=lambda m: type(m).__name__)
def test_roundTrip(message: messages.Message) -> None:
    """
    A message is one line, and comes back as it was.
    """
    line = encode(message)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert decode(line) == message


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"[]", b'{"message":"Nothing"}', b'{"message":"Spawn"}', b"\xff"],
)
def test_nonsense(line: bytes) -> None:
    """
    What is no message is refused.
    """
    with pytest.raises(MessageError):
        decode(line)


def test_channelAnySplit() -> None:
    """
    Messages arrive complete and in order, however their bytes arrive.
    """
    left, right = Channel.pair()
    try:
        received = []
        for byte in b"".join(map(encode, SAMPLES)):
            os.write(left.fileno(), bytes([byte]))
            received += right.receive()
        assert received == SAMPLES
    finally:
        left.close()
        right.close()


def test_channelCarriesDescriptors() -> None:
    """
    Each descriptor is taken with the message that it came with.
    """
    left, right = Channel.pair()
    read, write = os.pipe()
    try:
        left.send(messages.ReopenLog(3), write)
        left.send(messages.Ping(5))
        left.send(messages.ReopenLog(3), read)
        got = []
        while len(got) < 3:
            got += right.receive(wait=True)
        first, second = right.takeFd(), right.takeFd()
        os.write(first, b"through")
        assert os.read(second, 100) == b"through"
        assert not os.get_inheritable(first)
        os.close(first)
        os.close(second)
    finally:
        os.close(read)
        os.close(write)
        left.close()
        right.close()


def test_channelEnd() -> None:
    """
    The end of the other end is noticed, and sending to it does no harm.
    """
    left, right = Channel.pair()
    left.close()
    assert right.receive() == []
    assert not right.open
    right.send(messages.Ping(1))
    right.close()
