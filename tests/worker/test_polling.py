"""
Loops on other systems than Linux, as far as Linux can pretend to be one.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterator

import pytest

from svctree.worker import output, polling
from svctree.worker.polling import (
    EXCLUSIVE,
    INNER,
    READ,
    WRITE,
    IPoller,
    Poller,
    newInner,
)
from tests.support.applications import hello
from tests.support.loops import RunningLoop

# What loops do in general, once more.
from tests.worker.test_relay import (  # noqa: F401
    test_passedOn,
    test_retired,
    test_shareAll,
)
from tests.worker.test_serving import (  # noqa: F401
    make,
    test_bodiesAtOnce,
    test_clientLeaves,
    test_file,
    test_keepAlive,
    test_pipelined,
    test_slowReader,
    test_stream,
)
from tests.worker.test_threads import (  # noqa: F401
    test_houseIsKept,
    test_manyAtOnce,
    test_others,
    test_queue,
)


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What only Linux has is not there, and neither is what macOS or OpenBSD lack.
    """
    monkeypatch.setattr(polling, "newPoller", Poller)
    monkeypatch.setattr(output, "_send", output._copy)
    monkeypatch.setattr(socket, "SOCK_SEQPACKET", socket.SOCK_DGRAM)


@pytest.fixture(params=[Poller, select.epoll])
def poller(request: pytest.FixtureRequest) -> Iterator[IPoller]:
    made: IPoller = request.param()
    yield made
    made.close()


def test_events(poller: IPoller) -> None:
    """
    Descriptors are told when they are ready for what was asked, as long as it is.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        fd = ours.fileno()
        poller.register(fd, READ | EXCLUSIVE)
        assert poller.poll(0, 10) == poller.poll(0.001, 10) == []
        theirs.sendall(b"x")
        assert poller.poll(-1, 10) == poller.poll() == [(fd, READ)]
        poller.unregister(fd)
        poller.register(fd, WRITE)
        assert poller.poll(-1, 10) == [(fd, WRITE)]
        poller.register(theirs.fileno(), WRITE)
        assert len(poller.poll(0, 1)) == 1
        poller.modify(fd, READ)
        poller.unregister(theirs.fileno())
        assert poller.poll(0, 10) == [(fd, READ)]


def test_chosen() -> None:
    """
    The loops of these tests do not use epoll.
    """
    with RunningLoop(hello) as running:
        assert isinstance(running.loop.poller, Poller)


def test_inner(poller: IPoller) -> None:
    """
    Whatever happens in an inner poller is one event of the outer one, and can be
    waited for alone.
    """
    inner, number = newInner(poller)
    assert number == INNER or isinstance(inner, select.epoll)
    pipes = [os.pipe() for _ in range(3)]
    for _, write in pipes:
        os.write(write, b"x")
    for read, _ in pipes[:2]:
        inner.register(read, READ)
    assert poller.poll(0, 10) == [(number, READ)]
    poller.register(pipes[2][0], READ)
    assert sorted(poller.poll(0, 10)) == sorted([(number, READ), (pipes[2][0], READ)])
    assert sorted(inner.poll(0, 10)) == [(read, READ) for read, _ in pipes[:2]]
    for read, _ in pipes[:2]:
        inner.unregister(read)
    assert poller.poll(0, 10) == [(pipes[2][0], READ)]
    inner.close()
    for pipe in pipes:
        for end in pipe:
            os.close(end)
