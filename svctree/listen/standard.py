"""
What kind of server the parent process wants, by what it gives as standard input.
"""

from __future__ import annotations

import enum
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

__all__ = ["StandardInput", "standardInput"]


class StandardInput(enum.Enum):
    """
    What a descriptor is, for C{listen = stdin}; the values are for people.
    """

    LISTENING = "a listening socket"
    CONNECTED = "a connected socket"
    OTHER = "no stream socket"
    CLOSED = "not open"


def standardInput(fd: int = 0) -> StandardInput:
    """
    Tell what kind of server the parent process wants: one that accepts
    (C{LISTENING}: spawn-fcgi, lighttpd, mod_fcgid), one for this connection
    (C{CONNECTED}: inetd), or a CGI script (C{OTHER}: a pipe or a file).
    """
    try:
        isSocket = stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return StandardInput.CLOSED
    if not isSocket:
        return StandardInput.OTHER
    # Late, here and below: most CGI scripts do without.
    import socket

    with socket.socket(fileno=os.dup(fd)) as sock:
        if sock.type != socket.SOCK_STREAM:
            return StandardInput.OTHER
        if _listens(sock):
            return StandardInput.LISTENING
        try:
            sock.getpeername()
        except OSError:
            return StandardInput.OTHER
        return StandardInput.CONNECTED


def _listens(sock: socket.socket) -> bool:
    import socket

    try:
        return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:  # macOS has the option and does not answer
        try:
            sock.getpeername()
        except OSError:
            return True
        return False
