"""
Where connections come from: the variables that stay the same for a connection.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from typing import Any

from svctree.wire.contract import REQUEST_VARIABLES
from svctree.worker.config import WorkerConfig
from svctree.worker.trust import Trust
from svctree.wsgi import NO_INPUT, FileWrapper

__all__ = ["Origin"]

Template = dict[str, object]


class Origin:
    """
    One listening socket, as the connections accepted from it see it.

    @ivar socket: the listening socket.
    """

    def __init__(
        self, sock: socket.socket, config: WorkerConfig, trust: Trust | None
    ) -> None:
        self.socket = sock
        self._trust = trust
        self._isInternet = sock.family in (socket.AF_INET, socket.AF_INET6)
        self._base: Template = {
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": NO_INPUT,
            "wsgi.input_terminated": True,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": config.maxThreads > 1,
            "wsgi.multiprocess": config.workerModel == "prefork",
            "wsgi.run_once": False,
            "wsgi.file_wrapper": FileWrapper,
            "SERVER_SOFTWARE": "svctree",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SCRIPT_NAME": config.mount,
            "REMOTE_ADDR": "",
            **dict.fromkeys(REQUEST_VARIABLES, ""),
        }
        self._wildcard = False
        if self._isInternet:
            host, port = sock.getsockname()[:2]
            self._wildcard = host in ("0.0.0.0", "::")
            self._base["SERVER_NAME"] = _urlHost(host)
            self._base["SERVER_PORT"] = str(port)
            # Accepted sockets inherit it: an answer's pieces leave at once.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def template(self, sock: socket.socket, address: Any) -> Template:
        """
        @return: the variables of a connection accepted from here.
        """
        template = self._base.copy()
        if self._isInternet:
            template["REMOTE_ADDR"] = _plain(address[0])
            template["REMOTE_PORT"] = str(address[1])
            if self._wildcard:
                template["SERVER_NAME"] = _urlHost(sock.getsockname()[0])
        return template

    def trust(self, template: Template) -> Callable[[str], bool] | None:
        """
        @return: what tells trusted proxies, if the peer is one; else L{None}.
        """
        if self._trust is None:
            return None
        if self._isInternet:
            return self._trust if self._trust(str(template["REMOTE_ADDR"])) else None
        return self._trust if self._trust.unix else None


def _plain(address: str) -> str:
    # A socket for both families shows IPv4 clients as mapped addresses.
    if address.startswith("::ffff:") and "." in address:
        return address[7:]
    return address.partition("%")[0]


def _urlHost(address: str) -> str:
    address = _plain(address)
    # RFC 3875, 4.1.14: as it would stand in a URL.
    return f"[{address}]" if ":" in address else address
