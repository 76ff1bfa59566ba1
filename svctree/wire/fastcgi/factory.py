"""
What the FastCGI connections of one worker share.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from svctree.wire.contract import Limits
from svctree.wire.fastcgi.codec import FastCGICodec
from svctree.wire.fastcgi.pairs import NOTATION
from svctree.wire.fastcgi.records import Role
from svctree.wire.reader import Reader

__all__ = ["FastCGIFactory", "allowedPeers"]


# An Authorizer gets no stream (section 6.3 of the specification), though its peer may
# tell the length of the body that the Responder will get.
_ALONE = NOTATION._replace(bodyLength=lambda variables, limits: 0)

_NOTATIONS = {
    Role.RESPONDER: NOTATION,
    Role.AUTHORIZER: _ALONE,
    Role.FILTER: NOTATION,
}


def _extra(role: int) -> dict[str, str]:
    # The codec sets the second one. With a place for it from the start the dictionary
    # does not grow with each request.
    return {"FCGI_ROLE": Role.names[role], "fcgi.errors": ""}


def allowedPeers(environment: Mapping[str, str]) -> frozenset[str] | None:
    """
    Read C{FCGI_WEB_SERVER_ADDRS} (section 3.2 of the specification).

    @param environment: of the process.
    @return: the addresses that may connect, or L{None} when any may.
    """
    text = environment.get("FCGI_WEB_SERVER_ADDRS", "")
    addresses = frozenset(part.strip() for part in text.split(",") if part.strip())
    return addresses or None


class FastCGIFactory:
    """
    Makes the codecs of a worker's connections.
    """

    __slots__ = ("_limits", "_peers", "_readers", "_values")

    def __init__(
        self,
        limits: Limits,
        mount: str,
        serverName: str,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """
        @param serverName: unused, since the Server field is the front end's.
        @param environment: of the process, where C{FCGI_WEB_SERVER_ADDRS} may be.
        """
        self._limits = limits
        # By trust: one must not learn from what the other says.
        self._readers = {
            trusted: {
                role: Reader(notation, limits, mount, trusted, _extra(role))
                for role, notation in _NOTATIONS.items()
            }
            for trusted in (False, True)
        }
        self._peers = allowedPeers(environment)
        # A worker takes as many connections as it may have descriptors, and one
        # request on each; those that cannot run yet wait.
        most = str(os.sysconf("SC_OPEN_MAX"))
        self._values = {
            "FCGI_MAX_CONNS": most,
            "FCGI_MAX_REQS": most,
            "FCGI_MPXS_CONNS": "0",
        }

    def __call__(
        self, template: dict[str, object], trust: Callable[[str], bool] | None
    ) -> FastCGICodec:
        # A peer on a unix socket has no address; its permissions decide.
        peer = template.get("REMOTE_ADDR")
        refused = self._peers is not None and peer and peer not in self._peers
        return FastCGICodec(
            template,
            self._limits,
            self._readers[trust is not None],
            self._values,
            bool(refused),
        )

    def tick(self, now: float) -> None:
        for readers in self._readers.values():
            for reader in readers.values():
                reader.tick()
