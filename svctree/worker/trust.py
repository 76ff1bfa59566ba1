"""
Which peers are believed when they speak about others.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Trust"]

_REMEMBERED = 4096


class Trust:
    """
    Tells whether an address is one of a set of networks.

    @ivar unix: whoever connects through a unix socket is trusted, too.
    """

    def __init__(self, networks: Iterable[str]) -> None:
        """
        @param networks: addresses and networks (C{10.0.0.0/8}, C{::1}), C{unix}, or
            C{*} for everybody.
        """
        # Imported only where proxies are trusted at all; a worker stays small.
        import ipaddress

        self._parse = ipaddress.ip_address
        words = list(networks)
        self.unix = "unix" in words or "*" in words
        self._all = "*" in words
        self._networks = [
            ipaddress.ip_network(word, strict=False)
            for word in words
            if word not in ("unix", "*")
        ]
        self._known: dict[str, bool] = {}

    def __call__(self, address: str) -> bool:
        if self._all:
            return True
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[address] = self._look(address)
        return known

    def _look(self, address: str) -> bool:
        try:
            parsed = self._parse(address)
        except ValueError:
            return False
        return any(
            parsed.version == network.version and parsed in network
            for network in self._networks
        )
