"""
The status service: a page for people, metrics for Prometheus, probes for load
balancers. Read only; answered by the master, so blocked workers do not matter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from svctree.control.commands import Commands
from svctree.control.metrics import CONTENT_TYPE, renderMetrics
from svctree.control.page import renderPage, withoutQuery
from svctree.listen import ListenerService
from svctree.process.daemon import rootOf

__all__ = ["StatusService", "notReady"]

# What is answered: code, content type, text.
_Answer = tuple[int, str, str]


class StatusService(ListenerService):
    """
    A leaf that tells how the tree is: C{/} a page, C{/status} the same as JSON,
    C{/metrics}, C{/healthz} (the master lives) and C{/readyz} (requests would be
    answered; 503 otherwise).

    Whoever can connect can read; so it shows no query strings, and nothing can be
    changed here. Choose the address accordingly.
    """

    def __init__(
        self, *addresses: str, name: str = "status", reactor: Any = None
    ) -> None:
        """
        @param addresses: e.g. C{tcp:127.0.0.1:9100}.
        """
        super().__init__(*addresses, name=name, scheme="http", reactor=reactor)

    def startService(self) -> None:
        if self._reactor is None:
            from twisted.internet import reactor

            self._reactor = reactor
        commands = Commands(rootOf(self), self._reactor)
        self._factory = _Site(_Pages(lambda: commands.status({})), self._reactor)
        super().startService()


class _Pages(Resource):
    """
    The pages, by path.
    """

    isLeaf = True

    def __init__(self, status: Callable[[], Mapping[str, Any]]) -> None:
        super().__init__()
        self._status = status
        self._pages: dict[str, Callable[[], _Answer]] = {
            "/": lambda: (200, "text/html; charset=utf-8", renderPage(status())),
            "/status": lambda: (200, "application/json", _asJson(status())),
            "/metrics": lambda: (200, CONTENT_TYPE, renderMetrics(status())),
            "/healthz": lambda: (200, "text/plain", "ok\n"),
            "/readyz": self._readiness,
        }

    def render(self, request: Request) -> bytes:
        page = self._pages.get((request.path or b"").decode("latin-1"))
        if page is None:
            known = ", ".join(self._pages)
            answer = 404, "text/plain", f"not found; there are {known}\n"
        elif request.method not in (b"GET", b"HEAD"):
            answer = 405, "text/plain", "nothing can be changed here\n"
        else:
            answer = page()
        code, kind, text = answer
        body = text.encode()
        request.setResponseCode(code)
        request.setHeader(b"Content-Type", kind.encode())
        request.setHeader(b"Content-Length", b"%d" % len(body))
        request.setHeader(b"Cache-Control", b"no-store")
        request.setHeader(b"X-Content-Type-Options", b"nosniff")
        return b"" if request.method == b"HEAD" else body

    def _readiness(self) -> _Answer:
        reason = notReady(self._status())
        if reason:
            return 503, "text/plain", f"not ready: {reason}\n"
        return 200, "text/plain", "ready\n"


class _Site(Site):
    """
    Probes every few seconds are no news for the log.
    """

    noisy = False

    def __init__(self, pages: _Pages, reactor: Any) -> None:
        super().__init__(pages, reactor=reactor)

    def startFactory(self) -> None:
        """
        No timer for the dates of an access log is needed.
        """

    def stopFactory(self) -> None:
        """
        Nothing was started.
        """

    def log(self, request: Any) -> None:
        """
        Nothing is logged.
        """


def notReady(status: Mapping[str, Any]) -> str:
    """
    @param status: what the command C{status} answers.
    @return: why requests would not be answered; empty when they would.
    """
    if status["state"] != "serving":
        return f"the daemon is {status['state']}"
    for name in status["pools"]:
        if not status["services"][name].get("ready", 0):
            return f"{name} has no worker that is ready"
    return ""


def _asJson(status: Mapping[str, Any]) -> str:
    """
    @return: the state and the pools; paths and addresses are the operator's, who has
        the control socket.
    """
    pools = {name: dict(status["services"][name]) for name in status["pools"]}
    for report in pools.values():
        report["workers"] = [_publicWorker(one) for one in report.get("workers", ())]
    shown = {"pid": status["pid"], "state": status["state"], "pools": pools}
    return json.dumps(shown) + "\n"


def _publicWorker(worker: Mapping[str, Any]) -> dict[str, Any]:
    current = [
        {**one, "request": withoutQuery(one["request"])} for one in worker["current"]
    ]
    return {**worker, "current": current}
