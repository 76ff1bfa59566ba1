"""
Sockets that are bound, and the binding of TCP.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable

import attrs

from svctree.listen.address import Address, TCPAddress
from svctree.listen.errors import (
    AddressInUse,
    AddressNotAvailable,
    BindFailed,
    ListenError,
    PrivilegedPort,
)
from svctree.listen.holders import holderOf
from svctree.listen.plan import Endpoint, Want

__all__ = ["Bound", "bindTCP", "kernelBacklog", "nameOf"]

# The host lacks the family, or the address: what a part of a name or of "*" may.
_ABSENT = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)


@attrs.define(eq=False)
class Bound:
    """
    A listening socket of ours.

    @ivar address: what it was configured as.
    @ivar endpoint: what was asked of the kernel.
    @ivar socket: it: non-blocking, close-on-exec.
    @ivar adopted: it was given to this process rather than made by it.
    @ivar cleanUp: removes what it left in the file system; gives a complaint, or
        L{None}.
    @ivar permit: gives what it left in the file system the permission and owner of
        an address.
    """

    address: Address
    endpoint: Endpoint
    socket: socket.socket
    adopted: bool = False
    cleanUp: Callable[[], str | None] = lambda: None
    permit: Callable[[Address], None] = lambda _address: None

    def serves(self, want: Want) -> bool:
        """
        @return: whether this is a socket that C{want} means, whatever its
            permission and backlog.
        """
        return self.address == want.address or (
            self.endpoint in want.endpoints
            and (self.endpoint.family == socket.AF_UNIX or self.endpoint.port != 0)
        )

    def adjust(self, address: Address, backlog: int) -> str | None:
        """
        Become the socket of C{address}, which differs in permission or backlog.

        @return: what could not be done, or L{None}.
        """
        self.address = address
        if self.adopted:
            return None
        try:
            self.socket.listen(backlog)
            self.permit(address)
        except (OSError, ListenError) as error:
            return f"{address.render()} keeps what it had: {error}"
        return None

    def close(self) -> str | None:
        """
        Remove the path, then close: in this order nobody finds a path at which
        nobody answers.

        @return: why something could not be removed, or L{None}.
        """
        complaint = self.cleanUp()
        self.socket.close()
        return complaint

    def render(self) -> str:
        """
        @return: where it really listens, as an address.
        """
        return nameOf(self.socket)

    def url(self, scheme: str) -> str:
        """
        @param scheme: e.g. C{http}; empty for the address itself.
        """
        if not scheme or self.socket.family == socket.AF_UNIX:
            return self.render()
        host, port = self.socket.getsockname()[:2]
        # Nobody can click the unspecified address.
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        shown = f"[{host}]" if ":" in host else host
        usual = {"http": 80, "https": 443}.get(scheme)
        return f"{scheme}://{shown}{'' if port == usual else f':{port}'}/"


def nameOf(sock: socket.socket) -> str:
    """
    @return: a socket's own address, in the words of the grammar.
    """
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        if isinstance(name, bytes):
            return f"unix:@{os.fsdecode(name[1:])}"
        return f"unix:{name}"
    return Endpoint(sock.family, name[0], name[1]).render()


def kernelBacklog() -> int:
    """
    @return: the longest queue that the kernel allows, or 0 where it does not say.
    """
    try:
        with open("/proc/sys/net/core/somaxconn", encoding="utf-8") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def bindTCP(want: Want, backlog: int, needed: bool = True) -> list[Bound]:
    """
    Bind all sockets of a TCP address; they have the same port, also when the system
    chooses it.

    @param needed: of a name or of C{*}, one at least has to be there.
    @raise ListenError: a socket could not be bound (then none is), or none of those
        of a name or of C{*}.
    """
    address = want.address
    assert isinstance(address, TCPAddress)
    # The port that is free for one family may be taken for the other.
    for attempt in range(10):
        try:
            return _bindAll(want, address, backlog, needed)
        except AddressInUse:
            if address.port or attempt == 9:
                raise
    raise AssertionError("unreachable")


def _bindAll(
    want: Want, address: TCPAddress, backlog: int, needed: bool
) -> list[Bound]:
    made: list[Bound] = []
    absent: list[ListenError] = []
    port = address.port
    try:
        for endpoint in want.endpoints:
            endpoint = attrs.evolve(endpoint, port=port)
            try:
                sock = _bindOne(endpoint, address, backlog)
            except BindFailed as error:
                if not want.partial or error.errno not in _ABSENT:
                    raise
                absent.append(error)
                continue
            made.append(Bound(address, endpoint, sock))
            port = sock.getsockname()[1]
    except BaseException:
        for bound in made:
            bound.close()
        raise
    if absent and not made and needed:
        raise absent[0]
    return made


def _bindOne(endpoint: Endpoint, address: TCPAddress, backlog: int) -> socket.socket:
    try:
        sock = socket.socket(endpoint.family, socket.SOCK_STREAM)
    except OSError as error:
        raise _explain(error, endpoint, address) from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted sockets inherit it (tcp(7)), which spares each a system call.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if endpoint.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind(_sockaddr(endpoint))
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise _explain(error, endpoint, address) from error
    return sock


def _sockaddr(endpoint: Endpoint) -> tuple[str, int] | tuple[str, int, int, int]:
    if endpoint.family == socket.AF_INET:
        return endpoint.host, endpoint.port
    host, _percent, scope = endpoint.host.partition("%")
    number = 0
    if scope:
        number = int(scope) if scope.isdigit() else socket.if_nametoindex(scope)
    return host, endpoint.port, 0, number


def _explain(error: OSError, endpoint: Endpoint, address: TCPAddress) -> BindFailed:
    code = error.errno or 0
    shown = endpoint.render()
    if address.host not in ("*", endpoint.host):
        shown = f"{address.render()} ({shown})"
    if code == errno.EADDRINUSE:
        return AddressInUse(shown, holderOf(endpoint), code)
    if code in (errno.EADDRNOTAVAIL, errno.ENODEV, errno.ENXIO):
        return AddressNotAvailable(shown, code)
    if code in (errno.EACCES, errno.EPERM):
        return PrivilegedPort(shown, endpoint.port, _firstFreePort(), code)
    return BindFailed(shown, os.strerror(code) if code else str(error), code)


def _firstFreePort() -> int:
    with contextlib.suppress(OSError, ValueError):
        path = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
        with open(path, encoding="utf-8") as file:
            return int(file.read())
    return 1024
