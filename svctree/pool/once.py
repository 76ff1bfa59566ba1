"""
The worker model C{once}: this process serves one request and ends.

No zygote, no workers: web servers and inetd start a process for each request as it
is, and the code that runs the request is plain and blocking
(L{svctree.worker.once}). While it runs, the reactor waits; it has nothing else to do.
"""

from __future__ import annotations

import contextlib
import enum
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer

from svctree.interfaces import IListener
from svctree.listen import StandardInput, standardInput
from svctree.pool.errors import BootError, PoolError
from svctree.pool.models import model
from svctree.service import IServiceCollection, Service
from svctree.settings import PoolSettings
from svctree.worker.application import ApplicationError, loadApplication
from svctree.worker.once import NoCGIRequest, Once

__all__ = ["OnceService", "Source", "claimOutput", "sourceOf"]

_log = Logger("svctree.pool")


class Source(enum.Enum):
    """
    Where the one request comes from.
    """

    LISTENING = "the first connection to the listeners"
    CONNECTED = "the connection on standard input"
    CGI = "the environment and standard input"


def sourceOf(
    protocol: str,
    listen: Sequence[str],
    workerModel: str,
    environment: Mapping[bytes, bytes] = os.environb,
) -> Source | None:
    """
    Tell what the settings and standard input ask for.

    @param environment: where a CGI request would be.
    @return: L{None} for a pool: the listeners listen and the model is another.
    @raise PoolError: standard input is not what the protocol needs.
    """
    if protocol == "cgi":
        if standardInput() is StandardInput.LISTENING:
            raise PoolError(
                "standard input is a listening socket, expected a pipe or a file for "
                "protocol = cgi; protocol = fastcgi or scgi would serve it"
            )
        return Source.CGI
    if "stdin" in listen:
        found = standardInput()
        if found is StandardInput.CONNECTED:
            # Apache's mod_cgid gives its scripts a socket as input and output.
            isScript = protocol == "fastcgi" and b"GATEWAY_INTERFACE" in environment
            return Source.CGI if isScript else Source.CONNECTED
        if found is not StandardInput.LISTENING:
            if protocol != "fastcgi":
                raise PoolError(
                    f"standard input is {found.value}, expected a socket for protocol "
                    f"= {protocol}; only fastcgi and cgi serve a CGI request"
                )
            return Source.CGI
    return Source.LISTENING if model(workerModel).inProcess else None


def claimOutput(source: Source) -> int:
    """
    Keep what goes to the peer apart from what is printed: from here on, standard
    output is standard error.

    @return: a descriptor for the answer of a CGI request.
    """
    output = -1
    if source is Source.CGI:
        output = os.dup(1)
        os.dup2(2, 1)
    elif source is Source.CONNECTED:
        # inetd gives the connection as all three of them.
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (1, 2):
            with contextlib.suppress(OSError):
                if os.path.sameopenfile(0, fd):
                    os.dup2(null, fd)
        os.close(null)
    return output


class OnceService(Service):
    """
    Serves one request of a WSGI application in this very process, then stops the
    reactor.
    """

    def __init__(
        self,
        application: str = "svctree.demo:application",
        *,
        listeners: Sequence[str | IListener] = ("http",),
        source: Source = Source.LISTENING,
        output: int = 1,
        environment: Mapping[bytes, bytes] = os.environb,
        name: str = "web",
        reactor: Any = None,
        path: Sequence[str] | None = None,
        **settings: Any,
    ) -> None:
        """
        @param application: as L{svctree.PoolService} takes it.
        @param listeners: as L{svctree.PoolService} takes them; only used when the
            request comes from a listener.
        @param output: the descriptor for the answer of a CGI request.
        @param environment: where its variables are.
        @param settings: any option of a pool.
        """
        self.setName(name)
        self.settings = PoolSettings(
            application=application, **{**settings, "workermodel": "once"}
        )
        self._listeners = tuple(listeners)
        self._source = source
        self._output = output
        self._environment = environment
        self._reactor = reactor
        self._path = list(path or self.settings.pythonpath or (os.getcwd(),))
        self._readers: list[_Waiting] = []
        self._once: Once | None = None

    def startService(self) -> None:
        """
        Import the application, and serve as soon as the reactor runs.

        @raise BootError: it cannot be imported.
        """
        super().startService()
        if self._source is Source.CGI and b"REQUEST_METHOD" not in self._environment:
            raise NoCGIRequest()
        sys.path[:0] = [path for path in self._path if path not in sys.path]
        os.environ.update(self.settings.env)
        try:
            application = loadApplication(self.settings.application)
        except ApplicationError as error:
            raise BootError(str(error), error.details, 4) from error
        self._once = Once(application, attrs.asdict(self.settings))
        reactor = self._theReactor()
        if self._source is Source.LISTENING:
            self._readers = [_Waiting(sock, self) for sock in self._sockets()]
            for reader in self._readers:
                reactor.addReader(reader)
        else:
            reactor.callWhenRunning(self._serve)

    def stopService(self) -> None:
        super().stopService()
        for reader in self._readers:
            self._theReactor().removeReader(reader)
        self._readers = []

    def describe(self) -> dict[str, Any]:
        return {
            "application": self.settings.application,
            "model": "once",
            "source": self._source.value,
        }

    def _theReactor(self) -> Any:
        if self._reactor is None:
            from twisted.internet import reactor

            self._reactor = reactor
        return self._reactor

    def _sockets(self) -> list[Any]:
        found: list[Any] = []
        for listener in self._listeners:
            if isinstance(listener, str):
                parent = IServiceCollection(self.parent)
                listener = IListener(parent.getServiceNamed(listener))
            found += listener.sockets()
        if not found:
            raise PoolError(
                f"{self.name!r} has no socket to serve on; expected listeners that "
                f"were bound before it starts, got {list(self._listeners)!r}"
            )
        return found

    def accept(self, sock: Any) -> None:
        """
        A connection waits, or waited: another process may have been faster.
        """
        try:
            accepted, address = sock.accept()
        except BlockingIOError:
            return
        for reader in self._readers:
            self._theReactor().removeReader(reader)
        self._readers = []
        assert self._once is not None
        self._once.fromAccepted(accepted, sock, address)
        self._end()

    def _serve(self) -> None:
        assert self._once is not None
        if self._source is Source.CONNECTED:
            self._once.fromConnected()
        else:
            self._once.fromEnvironment(self._environment, target=self._output)
        self._end()

    def _end(self) -> None:
        with contextlib.suppress(ReactorNotRunning):
            self._theReactor().stop()


@implementer(IReadDescriptor)
class _Waiting:
    """
    A listening socket in the reactor.
    """

    def __init__(self, sock: Any, service: OnceService) -> None:
        self._sock = sock
        self._service = service

    def fileno(self) -> int:
        found: int = self._sock.fileno()
        return found

    def doRead(self) -> None:
        self._service.accept(self._sock)

    def connectionLost(self, reason: object) -> None:
        """
        The socket belongs to its listener.
        """

    def logPrefix(self) -> str:
        return "once"
