"""
What all generations of a pool share.
"""

from __future__ import annotations

import socket

import pytest

from svctree.pool import shared


def test_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What is put into the relay comes out message by message, also on systems that
    have no C{SOCK_SEQPACKET}.
    """
    made = socket.socketpair

    def socketpair(family: int, kind: int) -> tuple[socket.socket, socket.socket]:
        if kind == socket.SOCK_SEQPACKET:
            raise OSError("Protocol not supported")
        return made(family, kind)

    for _ in range(2):
        one, other = shared._pairForMessages()
        with one, other:
            other.send(b"!")
            other.send(b"-")
            assert (one.recv(10), one.recv(10)) == (b"!", b"-")
        monkeypatch.setattr(socket, "socketpair", socketpair)
