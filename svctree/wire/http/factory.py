"""
What all HTTP connections of a worker share.
"""

from __future__ import annotations

from collections.abc import Callable

from svctree.wire.contract import Limits
from svctree.wire.http.answer import httpDate
from svctree.wire.http.codec import HTTPCodec
from svctree.wire.http.fields import FieldCache
from svctree.wire.http.target import RequestLines

__all__ = ["HTTPFactory"]


class HTTPFactory:
    """
    What the connections of one worker share: limits, remembered lines, the date.

    @ivar common: the fields that every answer has: Date, and Server unless its name
        is empty.
    """

    def __init__(self, limits: Limits, mount: str = "", serverName: str = "") -> None:
        self.limits = limits
        self.lines = RequestLines(limits.line, mount)
        self.fields = FieldCache(limits.fieldSize, False)
        self.proxyFields = FieldCache(limits.fieldSize, True)
        self.server = b"Server: %b\r\n" % serverName.encode() if serverName else b""
        self.date = b""
        self.common = self.server
        # A head up to this size cannot be beyond the limits on sizes.
        self.surely = min(limits.line, limits.fieldSize, limits.head)

    def __call__(
        self,
        template: dict[str, object],
        trust: Callable[[str], bool] | None = None,
    ) -> HTTPCodec:
        return HTTPCodec(self, template, trust)

    def tick(self, now: float) -> None:
        self.date = b"Date: %b\r\n" % httpDate(now)
        self.common = self.date + self.server
