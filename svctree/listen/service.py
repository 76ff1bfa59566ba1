"""
The listener: a leaf of the tree that holds listening sockets.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import (
    Deferred,
    FirstError,
    gatherResults,
    maybeDeferred,
    succeed,
)
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import Logger
from zope.interface import alsoProvides, implementer

from svctree.interfaces import IDescribable, IListener, IReloadable
from svctree.listen.address import Address
from svctree.listen.adopted import adoptPort
from svctree.listen.binder import Binder
from svctree.listen.bound import Bound
from svctree.listen.conflicts import (
    listenersAround,
    refuseEntangled,
    withoutShared,
)
from svctree.listen.errors import UnknownHost
from svctree.listen.grammar import parseAddress
from svctree.listen.inherit import Inheritance, inherited
from svctree.listen.plan import Endpoint, plan, resolve
from svctree.listen.proxied import ProxiedFactory
from svctree.service import Service
from svctree.worker.trust import Trust

__all__ = ["ListenerService"]


@implementer(IListener, IDescribable)
class ListenerService(Service):
    """
    Binds addresses in the privileged phase and keeps the sockets until it stops.

    By itself it accepts nothing: a pool finds it by its name and hands the sockets
    to its workers. With C{factory} it serves an ordinary Twisted protocol factory in
    this process.

    @ivar addresses: what it listens on, as configured.
    @ivar backlog: how many connections may wait in the kernel for each socket.
    @ivar proxyProtocol: connections begin with a PROXY header.
    @ivar isBound: its sockets are open; another listener may have some of them, where
        two of the same pools want the same.
    """

    isBound = False
    _log = Logger()

    def __init__(
        self,
        *addresses: str | Address,
        listen: Sequence[str | Address] = (),
        name: str = "http",
        backlog: int = 1024,
        proxyProtocol: bool = False,
        factory: IProtocolFactory | None = None,
        forwardedAllow: Sequence[str] = (),
        scheme: str | None = None,
        reactor: Any = None,
        reread: Callable[[], Sequence[str | Address]] | None = None,
        inheritance: Inheritance | None = None,
    ) -> None:
        """
        @param addresses: any forms of the grammar (L{parseAddress}), or addresses.
        @param listen: more of them, as a keyword.
        @param name: under which pools find it.
        @param proxyProtocol: connections from trusted peers begin with a PROXY
            header.
        @param factory: serve this here, rather than leave the sockets to a pool.
        @param forwardedAllow: with a factory, the trusted peers (addresses, networks,
            C{unix}); a pool has its own.
        @param scheme: how L{urls} begin; by default C{http}, and nothing with a
            factory.
        @param reactor: for C{factory}; by default the global one.
        @param reread: gives the addresses of this moment; makes the listener one
            that can be reloaded.
        @param inheritance: what may be adopted; by default what this process was
            given.
        @raise AddressError: one of C{addresses} is none.
        """
        self.setName(name)
        self.addresses = _parsed((*addresses, *listen))
        self.backlog = backlog
        self.proxyProtocol = proxyProtocol
        self._factory = factory
        self._trusted = tuple(forwardedAllow)
        if factory is not None and proxyProtocol and not forwardedAllow:
            raise ValueError("proxyProtocol needs forwardedAllow: whom to believe")
        self._scheme = scheme if scheme is not None else "" if factory else "http"
        self._reactor = reactor
        self._inheritance = inheritance
        self._reread = reread
        if reread is not None:
            alsoProvides(self, IReloadable)
        self._bound: list[Bound] = []
        self._ports: list[tuple[Bound, IListeningPort]] = []
        # Who left a socket to this one.
        self._heirs: list[ListenerService] = []
        self._observers: list[Callable[[ListenerService], object]] = []
        for address in self.addresses:
            self._inherited.reserve(address)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[no-untyped-call]
        # Sockets and whoever watches them belong to this process.
        state.pop("isBound", None)
        for name in ("_bound", "_ports", "_observers", "_heirs"):
            state[name] = []
        return {**state, "_reactor": None, "_reread": None}

    # The life cycle

    def privilegedStartService(self) -> None:
        """
        Bind everything, or nothing.

        @raise ListenError: an address cannot be bound, or another listener of this
            tree has it.
        """
        super().privilegedStartService()
        if not self.isBound:
            self._bound = self._bindAll(self.addresses, ())
            self.isBound = True
            self._announce(self._bound)

    def startService(self) -> None:
        if not self.isBound:  # a plain start: there was no privileged phase
            self.privilegedStartService()
        super().startService()
        self._closeUnclaimed()
        self._serve(self._bound)

    def stopService(self) -> Deferred[None]:
        super().stopService()
        bound, self._bound = self._bound, []
        self.isBound = False
        return self._close(bound)

    def _closeUnclaimed(self) -> None:
        """
        Close what was passed to this process for nobody, when everybody has been
        asked: in a plain start others are still to bind.
        """
        if not all(getattr(one, "isBound", True) for one in listenersAround(self)):
            return
        for unwanted in self._inherited.closeUnclaimed():
            self._log.warn(
                "closed {unwanted}: it was passed to this process and no address "
                "names it",
                unwanted=unwanted,
            )

    # IListener

    def sockets(self) -> Sequence[socket.socket]:
        return [bound.socket for bound in self._bound]

    def urls(self) -> Sequence[str]:
        return [bound.url(self._scheme) for bound in self._bound]

    def describe(self) -> dict[str, object]:
        """
        @return: plain data for status pages.
        """
        return {
            "addresses": [address.render() for address in self.addresses],
            "listening": [bound.render() for bound in self._bound],
            "adopted": [bound.render() for bound in self._bound if bound.adopted],
            "urls": list(self.urls()),
            "backlog": self.backlog,
            "proxyProtocol": self.proxyProtocol,
        }

    # IDescribable

    def settings(self) -> dict[str, object]:
        """
        @return: the keywords that make an equal listener.
        """
        made: dict[str, object] = {
            "listen": [address.render() for address in self.addresses],
            "backlog": self.backlog,
            "proxyProtocol": self.proxyProtocol,
            "scheme": self._scheme,
        }
        if self._factory is not None:
            made |= {"factory": self._factory, "forwardedAllow": list(self._trusted)}
        return made

    # Changes

    def watch(self, observer: Callable[[ListenerService], object]) -> None:
        self._observers.append(observer)

    def unwatch(self, observer: Callable[[ListenerService], object]) -> None:
        self._observers.remove(observer)

    def reload(self) -> Deferred[None]:
        """
        Listen where C{reread} says now. What can be read no more, by the identity
        that the process has changed to, has not changed.

        @return: as L{rebind}.
        """
        if self._reread is None:  # it was saved and loaded
            return succeed(None)
        try:
            addresses = _parsed(self._reread())
        except OSError as error:
            self._log.warn(
                "{listener}: the addresses stay as they are: {error}",
                listener=self.name,
                error=str(error),
            )
            return succeed(None)
        if addresses == self.addresses:
            return succeed(None)
        return self.rebind(addresses)

    def rebind(self, addresses: Sequence[str | Address]) -> Deferred[None]:
        """
        Listen on other addresses: the new ones are bound before the old ones are
        closed, and what is in both stays open.

        @return: fires when the old sockets are closed; fails, with everything as it
            was, when a new address cannot be bound or an observer fails.
        """
        return Deferred.fromCoroutine(self._rebind(_parsed(addresses)))

    async def _rebind(self, addresses: tuple[Address, ...]) -> None:
        if not self.isBound:
            self.addresses = addresses
            return
        before, was = self._bound, self.addresses
        refuseEntangled(plan(addresses)[0], before)
        after = self._bindAll(addresses, before)
        fresh = [bound for bound in after if bound not in before]
        gone = [bound for bound in before if bound not in after]
        self._bound, self.addresses = after, addresses
        try:
            self._serve(fresh)
            await gatherResults(
                [maybeDeferred(observer, self) for observer in self._observers],
                consumeErrors=True,
            )
        except BaseException as error:
            if self._bound is after:
                self._bound, self.addresses = before, was
                await self._close(fresh)
            else:  # stopped meanwhile, and with it what it had then
                await self._close(gone)
            if isinstance(error, FirstError):
                error.subFailure.raiseException()
            raise
        await self._close(gone)
        if self._bound is not after:
            return
        self._announce(fresh)
        for bound in before:
            for address in addresses:
                if bound in after and bound.serves(resolve(address)):
                    self._binder.adjust(bound, address)

    # Binding

    @property
    def _inherited(self) -> Inheritance:
        return self._inheritance if self._inheritance is not None else inherited()

    @property
    def _binder(self) -> Binder:
        return Binder(str(self.name), self.backlog, self._inherited)

    def _bindAll(
        self, addresses: tuple[Address, ...], keep: Sequence[Bound]
    ) -> list[Bound]:
        """
        @param keep: what is bound already and stays where it is wanted still.
        """
        wants, overlaps = plan(addresses)
        wants, shared = withoutShared(self, wants)
        for overlap in (*overlaps, *shared):
            self._log.info("{listener}: {overlap}", listener=self.name, overlap=overlap)
        for one in shared:
            if isinstance(one.listener, ListenerService):
                one.listener._heirs.append(self)
        return self._binder.bind(wants, keep)

    def endpoints(self) -> list[Endpoint]:
        """
        @return: the sockets that the addresses mean, bound or not.
        """
        try:
            wants, _overlaps = plan(self.addresses)
        except UnknownHost:  # its own start says so
            return []
        return [endpoint for want in wants for endpoint in want.endpoints]

    def opened(self) -> list[Endpoint]:
        """
        @return: those of L{endpoints} whose sockets are open, and this listener's.
        """
        return [bound.endpoint for bound in self._bound]

    @property
    def serves(self) -> bool:
        """
        Whether it serves a protocol factory itself.
        """
        return self._factory is not None

    def _announce(self, bounds: Sequence[Bound]) -> None:
        for bound in bounds:
            self._log.info(
                "{listener} listens on {url}",
                listener=self.name,
                url=bound.url(self._scheme),
                adopted=bound.adopted,
            )

    # Serving a factory

    def _serve(self, bounds: Sequence[Bound]) -> None:
        if self._factory is None:
            return
        if self._reactor is None:
            from twisted.internet import reactor

            self._reactor = reactor
        factory = self._factory
        if self.proxyProtocol:
            factory = ProxiedFactory(factory, Trust(self._trusted), self._reactor)
        for bound in bounds:
            port = adoptPort(self._reactor, bound.socket, factory)
            self._ports.append((bound, port))

    def _bequeath(self, bound: Bound) -> bool:
        """
        Leave a socket to another listener that wants the same, if there is one.
        """
        for heir in self._heirs:
            if heir.isBound and bound.endpoint in heir.endpoints():
                heir._bound.append(bound)
                return True
        return False

    def _close(self, bounds: Sequence[Bound]) -> Deferred[None]:
        bounds = [bound for bound in bounds if not self._bequeath(bound)]
        ports = [pair for pair in self._ports if pair[0] in bounds]
        self._ports = [pair for pair in self._ports if pair not in ports]
        stopping = [maybeDeferred(port.stopListening) for _bound, port in ports]

        def close(_result: object) -> None:
            self._binder.close(bounds)

        if not stopping:
            close(None)
            return succeed(None)
        return gatherResults(stopping, consumeErrors=True).addCallback(close)


def _parsed(addresses: Sequence[str | Address]) -> tuple[Address, ...]:
    if not addresses:
        raise ValueError("a listener needs at least one address")
    return tuple(
        parseAddress(address) if isinstance(address, str) else address
        for address in addresses
    )
