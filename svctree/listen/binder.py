"""
Binding what a plan asks for: all of it, or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from twisted.logger import Logger

from svctree.listen.address import Address, TCPAddress, UnixAddress
from svctree.listen.bound import Bound, bindTCP, kernelBacklog
from svctree.listen.inherit import Inheritance
from svctree.listen.plan import Want
from svctree.listen.unix import bindUnix

__all__ = ["Binder"]

_ADOPTED = -1


@attrs.frozen
class Binder:
    """
    Binds for one listener.

    @ivar name: the listener's, for the log.
    @ivar backlog: for addresses that have none of their own.
    @ivar inheritance: what may be adopted.
    """

    name: str
    backlog: int
    inheritance: Inheritance

    _log = Logger(namespace="svctree.listen")

    def bind(self, wants: Sequence[Want], keep: Sequence[Bound]) -> list[Bound]:
        """
        @param keep: what is bound already and stays where it is wanted still.
        @raise ListenError: one could not be bound, and nothing new is.
        """
        self._noticeCap(wants)
        result: list[Bound] = []
        try:
            for want in wants:
                result += self._bind(want, keep)
        except BaseException:
            self.close([bound for bound in result if bound not in keep])
            raise
        return result

    def close(self, bounds: Sequence[Bound]) -> None:
        """
        Close sockets, and tell what stays behind.
        """
        for bound in bounds:
            if bound.adopted:
                self.inheritance.release(bound)
            complaint = bound.close()
            if complaint:
                self._log.warn(
                    "{listener}: {complaint}", listener=self.name, complaint=complaint
                )

    def adjust(self, bound: Bound, address: Address) -> None:
        """
        Give a socket that stays what is new about its address: the backlog, the
        permission, the owner.
        """
        if address == bound.address:
            return
        complaint = bound.adjust(address, self._backlogFor(address))
        if complaint:
            self._log.warn(
                "{listener}: {complaint}", listener=self.name, complaint=complaint
            )

    def _bind(self, want: Want, keep: Sequence[Bound]) -> list[Bound]:
        if not want.endpoints:
            return []
        kept = [bound for bound in keep if bound.serves(want)]
        if kept:
            return kept
        address = want.address
        if not isinstance(address, TCPAddress) and want.endpoints[0].family == _ADOPTED:
            return self.inheritance.adopt(want)
        adopted, rest = self.inheritance.matching(want)
        if not rest.endpoints:
            return adopted
        backlog = self._backlogFor(address)
        try:
            if not isinstance(address, TCPAddress):
                return adopted + bindUnix(rest, backlog)
            made = bindTCP(rest, backlog, needed=not adopted)
        except BaseException:
            self.close(adopted)
            raise
        self._noticeAbsent(rest, made)
        return adopted + made

    def _backlogFor(self, address: Address) -> int:
        own = address.backlog if isinstance(address, TCPAddress | UnixAddress) else None
        return own if own is not None else self.backlog

    def _noticeAbsent(self, want: Want, made: Sequence[Bound]) -> None:
        got = {bound.endpoint.host for bound in made}
        absent = [one.host for one in want.endpoints if one.host not in got]
        if absent:
            self._log.info(
                "{listener}: {address} is not on {absent}, which this machine lacks",
                listener=self.name,
                address=want.address.render(),
                absent=" and ".join(absent),
            )

    def _noticeCap(self, wants: Sequence[Want]) -> None:
        limit = kernelBacklog()
        wanted = max(self._backlogFor(want.address) for want in wants)
        if limit and wanted > limit:
            self._log.info(
                "{listener}: the kernel caps the backlog at {limit}, {wanted} was "
                "wanted; raise net.core.somaxconn",
                listener=self.name,
                limit=limit,
                wanted=wanted,
            )
