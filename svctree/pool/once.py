"""
The worker model C{once} as a leaf of the tree: this process serves one request and
ends.

No zygote, no workers: the code that runs the request is plain and blocking
(L{svctree.worker.once}). While it runs, the reactor waits; it has nothing else to do.
Where nothing asks for a tree, L{svctree.command.brief} does without one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from svctree.interfaces import IListener
from svctree.pool.errors import PoolError
from svctree.pool.source import Source, makeOnce, serveStandardInput
from svctree.service import IServiceCollection, Service
from svctree.settings import PoolSettings
from svctree.worker.once import Once

__all__ = ["OnceService"]


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
        @raise svctree.worker.once.NoCGIRequest: there is nothing to serve.
        """
        super().startService()
        self._once = makeOnce(
            self.settings, self._source, self._environment, self._path
        )
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
        serveStandardInput(self._once, self._source, self._output, self._environment)
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
