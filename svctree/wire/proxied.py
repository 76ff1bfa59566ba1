"""
Any protocol behind a PROXY header.
"""

from __future__ import annotations

from collections.abc import Callable

from svctree.wire.contract import Fields, ICodec, Marker, Reply, Request, Truncated
from svctree.wire.proxy import ProxyHeader, takeHeader

__all__ = ["ProxiedCodec"]


class ProxiedCodec:
    """
    A codec that takes the PROXY header off the front of its connection and is, from
    there on, another codec: who the client is has to be known before that one is
    made.

    @ivar proxyHeader: it, once it is known.
    """

    __slots__ = ("_buffer", "_closing", "_inner", "_make", "proxyHeader")

    def __init__(
        self,
        make: Callable[[ProxyHeader], ICodec],
        header: ProxyHeader | None = None,
    ) -> None:
        """
        @param make: gives the codec for what follows the header.
        @param header: it, where it was read already.
        """
        self._make = make
        self.proxyHeader = header
        self._inner: ICodec | None = None if header is None else make(header)
        self._buffer = b""
        self._closing = False

    @property
    def keepAlive(self) -> bool:
        return not self._closing if self._inner is None else self._inner.keepAlive

    @property
    def idle(self) -> bool:
        return not self._buffer if self._inner is None else self._inner.idle

    @property
    def transparent(self) -> bool:
        return self._behind.transparent

    @property
    def _behind(self) -> ICodec:
        assert self._inner is not None, "nothing was asked yet"
        return self._inner

    def feed(self, data: bytes) -> Request | bytes | Marker | Reply | None:
        if self._inner is not None:
            return self._inner.feed(data)
        if not data:
            if self._buffer:
                raise Truncated("the stream ended inside the PROXY header")
            return None
        self._buffer += data
        taken = takeHeader(self._buffer)
        if taken is None:
            return None
        header, rest = taken
        self._buffer = b""
        self.proxyHeader = header
        self._inner = self._make(header)
        if self._closing:
            self._inner.close()
        return self._inner.feed(rest) if rest else None

    def nextEvent(self) -> Request | bytes | Marker | Reply | None:
        return None if self._inner is None else self._inner.nextEvent()

    def close(self) -> None:
        self._closing = True
        if self._inner is not None:
            self._inner.close()

    def whole(self, status: str, fields: Fields, body: bytes) -> bytes:
        return self._behind.whole(status, fields, body)

    def head(self, status: str, fields: Fields, length: int) -> bytes:
        return self._behind.head(status, fields, length)

    def piece(self, data: bytes) -> bytes:
        return self._behind.piece(data)

    def end(self) -> bytes:
        return self._behind.end()

    def interim(self, status: int, block: bytes = b"") -> bytes:
        return self._behind.interim(status, block)

    def error(self, status: int) -> bytes:
        # Before the header is whole nobody knows what the client speaks.
        return b"" if self._inner is None else self._inner.error(status)
