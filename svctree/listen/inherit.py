"""
Sockets that were there before us: descriptors, systemd's, and standard input.

What is adopted is a duplicate; the descriptor itself stays open for as long as the
process lives. A listener that is stopped and started again, as a supervisor does,
finds it again, as it would find a port that it can bind anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
from collections.abc import Mapping

from svctree.listen.address import (
    Address,
    DescriptorAddress,
    StdinAddress,
    SystemdAddress,
    TCPAddress,
)
from svctree.listen.bound import Bound, nameOf
from svctree.listen.errors import NotInherited, NotListening
from svctree.listen.plan import Endpoint, Want, includes
from svctree.listen.standard import StandardInput, standardInput

__all__ = ["FIRST", "Inheritance", "inherited"]

FIRST = 3
"""The lowest descriptor that systemd passes (C{SD_LISTEN_FDS_START})."""


class Inheritance:
    """
    What systemd, or whoever speaks its protocol (C{sd_listen_fds(3)}), passed to
    this process.

    @ivar names: for each descriptor its C{FileDescriptorName}, or C{""}.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        self.names = dict(names)
        self._claimed: set[int] = set()
        for fd in list(self.names):
            try:
                # They arrive inheritable; no child may get them by accident.
                os.set_inheritable(fd, False)
            except OSError:
                del self.names[fd]

    @classmethod
    def fromEnvironment(
        cls, environ: Mapping[str, str], pid: int, first: int = FIRST
    ) -> Inheritance:
        """
        @param pid: only what is addressed to this process counts (C{LISTEN_PID}).
        """
        count = environ.get("LISTEN_FDS", "")
        if environ.get("LISTEN_PID") != str(pid) or not count.isdigit():
            return cls({})
        names = environ.get("LISTEN_FDNAMES", "").split(":")
        padded = names + [""] * int(count)
        return cls({first + index: padded[index] for index in range(int(count))})

    def render(self) -> tuple[str, ...]:
        """
        @return: for people: every descriptor, its name and its address.
        """
        return tuple(self._show(fd) for fd in self.names)

    def adopt(self, want: Want) -> list[Bound]:
        """
        Adopt what C{stdin}, C{fd:} and C{systemd:} addresses speak of.

        @raise NotInherited: there is none.
        @raise NotListening: it is something else.
        """
        address = want.address
        shown = address.render()
        if isinstance(address, StdinAddress):
            return [self._adopt(want, address, 0)]
        if isinstance(address, DescriptorAddress):
            return [self._adopt(want, address, address.fd)]
        assert isinstance(address, SystemdAddress)
        if not self.names:
            raise NotInherited(
                shown, "no sockets were passed (LISTEN_FDS)", self.render()
            )
        found = [fd for fd in self._select(address) if fd not in self._claimed]
        if not found:
            raise NotInherited(shown, "no passed socket matches", self.render())
        if address == SystemdAddress():
            # "All" means all that can be served; the rest is reported as unwanted.
            fitting = [
                fd for fd in found if standardInput(fd) is StandardInput.LISTENING
            ]
            found = fitting or found
        return [self._adopt(want, address, fd) for fd in found]

    def matching(self, want: Want) -> tuple[list[Bound], Want]:
        """
        Adopt what was passed for an address that would else be bound.

        @return: what was adopted, and what is left to bind.
        """
        adopted: list[Bound] = []
        left = list(want.endpoints)
        for fd in list(self.names):
            if fd in self._claimed or standardInput(fd) is not StandardInput.LISTENING:
                continue
            served = [e for e in left if _serves(fd, e, want.address)]
            if served:
                adopted.append(self._adopt(want, want.address, fd))
                left = [e for e in left if e not in served]
        return adopted, Want(want.address, tuple(left), want.partial)

    def closeUnclaimed(self) -> list[str]:
        """
        Close what nobody adopted: a client that connects there is then refused
        rather than left waiting.

        @return: what was closed, for people.
        """
        closed = []
        for fd in [fd for fd in self.names if fd not in self._claimed]:
            closed.append(self._show(fd))
            del self.names[fd]
            os.close(fd)
        return closed

    def reserve(self, address: Address) -> None:
        """
        Mark the descriptor that an address names as ours: what detaches the process
        closes those that nobody has marked, long before they are adopted.
        """
        if isinstance(address, DescriptorAddress) and address.fd > 2:
            with contextlib.suppress(OSError):  # adopting it says what is wrong
                os.set_inheritable(address.fd, False)

    def release(self, bound: Bound) -> None:
        """
        Let an adopted socket be adopted again.
        """
        self._claimed -= {
            fd for fd in self._claimed if _sameFile(fd, bound.socket.fileno())
        }

    def _adopt(self, want: Want, address: Address, fd: int) -> Bound:
        kind = standardInput(fd)
        shown = address.render()
        if kind is StandardInput.CLOSED:
            raise NotInherited(shown, f"descriptor {fd} is not open", self.render())
        if kind is not StandardInput.LISTENING:
            raise NotListening(shown, fd, _whatIs(fd, kind))
        self._claimed.add(fd)
        if fd > 2:
            os.set_inheritable(fd, False)
        sock = socket.socket(fileno=fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3))
        sock.setblocking(False)
        return Bound(address, Endpoint(-1, f"fd:{fd}"), sock, adopted=True)

    def _select(self, address: SystemdAddress) -> list[int]:
        families = {"INET": "AF_INET", "INET6": "AF_INET6", "UNIX": "AF_UNIX"}
        found = []
        for index, (fd, name) in enumerate(self.names.items()):
            if address.name is not None and name != address.name:
                continue
            if address.index is not None and index != address.index:
                continue
            if address.domain is not None:
                family = getattr(socket, families[address.domain])
                if _familyOf(fd) != family:
                    continue
            found.append(fd)
        return found

    def _show(self, fd: int) -> str:
        name = self.names.get(fd, "")
        kind = standardInput(fd)
        what = _whatIs(fd, kind)
        if kind is StandardInput.LISTENING:
            with socket.socket(fileno=os.dup(fd)) as sock:
                what = nameOf(sock)
        return f"fd:{fd} {name + ' ' if name else ''}({what})"


def _whatIs(fd: int, kind: StandardInput) -> str:
    """
    @return: C{kind} for people, who may wonder why a socket is none.
    """
    if kind is not StandardInput.OTHER or not stat.S_ISSOCK(os.fstat(fd).st_mode):
        return kind.value
    with socket.socket(fileno=os.dup(fd)) as sock:
        if sock.type != socket.SOCK_STREAM:
            return "a socket of another type"
    return "a stream socket that does not listen"


def _familyOf(fd: int) -> int:
    try:
        with socket.socket(fileno=os.dup(fd)) as sock:
            return sock.family
    except OSError:
        return -1


def _sameFile(one: int, other: int) -> bool:
    try:
        return os.path.sameopenfile(one, other)
    except OSError:
        return False


def _serves(fd: int, endpoint: Endpoint, address: Address) -> bool:
    """
    @return: whether the socket behind C{fd} is the one that would be bound.
    """
    with socket.socket(fileno=os.dup(fd)) as sock:
        name = sock.getsockname()
        if sock.family == socket.AF_UNIX:
            path = f"@{os.fsdecode(name[1:])}" if isinstance(name, bytes) else name
            return includes(Endpoint(socket.AF_UNIX, path), endpoint)
        if Endpoint(sock.family, name[0], name[1]) == endpoint:
            return True
        # systemd's "ListenStream=80" is one socket for IPv4 and IPv6.
        return (
            isinstance(address, TCPAddress)
            and address.host == "*"
            and sock.family == socket.AF_INET6
            and name[:2] == ("::", endpoint.port)
            and not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        )


_inherited: Inheritance | None = None


def inherited() -> Inheritance:
    """
    What this process was given. It is read once, at the first call, which has to
    come before the process detaches: C{LISTEN_PID} speaks of the process that was
    started. Creating a L{svctree.listen.ListenerService} is early enough.
    """
    global _inherited
    if _inherited is None:
        _inherited = Inheritance.fromEnvironment(_startEnvironment(), os.getpid())
    return _inherited


def _startEnvironment() -> Mapping[str, str]:
    """
    Twisted takes C{LISTEN_PID} and C{LISTEN_FDS} out of C{os.environ} when its
    endpoints are imported, which under C{twistd} is before anything of ours; the
    kernel still has what the process was started with.
    """
    if "LISTEN_FDS" in os.environ:
        return os.environ
    try:
        with open("/proc/self/environ", "rb") as file:
            pairs = file.read().split(b"\0")
    except OSError:
        return os.environ
    return {
        os.fsdecode(name): os.fsdecode(value)
        for name, _equals, value in (pair.partition(b"=") for pair in pairs)
        if name.startswith(b"LISTEN_")
    }
