"""
What a worker is told: the settings of its pool, as plain data that travelled as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from svctree.wire.contract import Limits

__all__ = ["WorkerConfig"]


def _camel(option: str) -> str:
    first, *rest = option.split("_")
    return first + "".join(word.capitalize() for word in rest)


class WorkerConfig:
    """
    The settings that matter inside of a worker; times in seconds, sizes in bytes. See
    the reference of settings for each; a key that is missing has its default.

    @ivar threads: how many requests may run at once.
    @ivar proxied: for each socket whether its connections begin with a PROXY header;
        without it C{proxyProtocol} says so for all.
    @ivar shared: other workers accept from the same sockets.
    """

    def __init__(self, **settings: Any) -> None:
        take = settings.pop
        self.protocol: str = take("protocol", "http")
        self.workerModel: str = take("workermodel", None) or take(
            "workerModel", "prefork"
        )
        self.mount: str = _mount(take("mount", "") or "")
        self.serverName: str = take("serverName", "svctree")
        self.proxyProtocol: bool = take("proxyProtocol", False)
        self.proxied: list[bool] = take("proxied", None) or []
        self.forwardedAllow: tuple[str, ...] = tuple(take("forwardedAllow", ()) or ())
        # Threads
        self.threads: int = take("threads", 1)
        self.minSpare: int = take("minspare", 1)
        self.maxSpare: int = take("maxspare", 4)
        self.maxThreads: int = take("maxthreads", 16)
        self.maxQueue: int = take("maxqueue", 0)
        if self.workerModel != "threaded":
            self.minSpare = self.maxSpare = self.maxThreads = self.threads
        self.shared: bool = self.workerModel == "prefork"
        # Recycling
        self.maxRequests: int = take("maxRequests", 0)
        self.maxRequestsJitter: str | float = take("maxRequestsJitter", "10%")
        self.maxMemory: int = take("maxMemory", 0)
        self.maxAge: float = take("maxAge", 0.0)
        # Clients
        self.headerTimeout: float = take("headerTimeout", 10.0)
        self.bodyTimeout: float = take("bodyTimeout", 30.0)
        self.writeTimeout: float = take("writeTimeout", 30.0)
        self.keepaliveTimeout: float = take("keepaliveTimeout", 75.0)
        self.bufferRequest: int = take("bufferRequest", 65536)
        self.bufferResponse: int = take("bufferResponse", 1 << 20)
        self.limits = Limits(
            take("limitRequestLine", 8190),
            take("limitRequestFields", 100),
            take("limitRequestFieldSize", 8190),
            take("limitRequestHead", 65536),
            take("limitRequestBody", 1 << 30),
            self.bufferRequest,
        )

    @classmethod
    def fromSettings(cls, settings: Mapping[str, Any]) -> WorkerConfig:
        """
        @param settings: a pool's settings, nested in groups or flat; what does not
            concern a worker is ignored.
        """
        flat: dict[str, Any] = {}
        for key, value in settings.items():
            if isinstance(value, Mapping):
                flat.update(value)
            else:
                flat[key] = value
        return cls(**{_camel(key.replace("-", "_")): v for key, v in flat.items()})


def _mount(mount: str) -> str:
    mount = mount.strip("/")
    return "/" + mount if mount else ""
