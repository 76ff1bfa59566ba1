"""
Where connections come from: the variables that stay the same for a connection.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from svctree.wire.contract import REQUEST_VARIABLES, ICodec, ICodecFactory
from svctree.worker.config import WorkerConfig
from svctree.worker.trust import Trust
from svctree.wsgi import NO_INPUT, FileWrapper

if TYPE_CHECKING:
    from svctree.wire.proxy import ProxyHeader

__all__ = ["Origin"]

Template = dict[str, object]


class Origin:
    """
    One listening socket, as the connections accepted from it see it.

    @ivar socket: the listening socket; a connection from it tells as much.
    @ivar isPlain: all that there is to know of a connection is its peer's address:
        L{plainCodec} does for it.
    @ivar isAlike: what there is to know is the same for all of them.
    """

    def __init__(
        self,
        sock: socket.socket,
        config: WorkerConfig,
        trust: Trust | None,
        proxied: bool = False,
        variables: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        """
        @param proxied: connections from trusted peers begin with a PROXY header.
        @param variables: what is different here from the workers' C{wsgi.*}.
        """
        self.socket = sock
        self._trust = trust
        self._proxied = proxied
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
            # Set by the gateway. With this one the dictionary has room for a browser's
            # fields from the start, and does not grow with each request.
            "wsgi.early_hints": None,
            "GATEWAY_INTERFACE": "CGI/1.1",
            "SERVER_SOFTWARE": "svctree",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SCRIPT_NAME": config.mount,
            "REMOTE_ADDR": "",
            **dict.fromkeys(REQUEST_VARIABLES, ""),
            **variables,
        }
        self._wildcard = False
        if self._isInternet:
            host, port = sock.getsockname()[:2]
            self._wildcard = host in ("0.0.0.0", "::")
            self._base["SERVER_NAME"] = _urlHost(host)
            self._base["SERVER_PORT"] = str(port)
            # Accepted sockets inherit it: an answer's pieces leave at once.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.isPlain = not self._wildcard and not proxied
        self.isAlike = self.isPlain and not self._isInternet

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

    def plainCodec(self, make: ICodecFactory, address: Any) -> ICodec:
        """
        As L{codec}, where C{isPlain} is true. Connections through a unix socket share
        one template.
        """
        if not self._isInternet:
            return make(self._base, self.trust(self._base))
        template = self._base.copy()
        template["REMOTE_ADDR"] = _plain(address[0])
        template["REMOTE_PORT"] = str(address[1])
        return make(template, self.trust(template))

    def codec(
        self,
        make: ICodecFactory,
        sock: socket.socket,
        address: Any,
        header: ProxyHeader | None = None,
    ) -> ICodec:
        """
        @param make: the protocol.
        @param header: what a PROXY header said that was read already.
        @return: the codec of a connection accepted from here. One from a trusted
            peer begins with a PROXY header, where that is expected.
        """
        template = self.template(sock, address)
        trust = self.trust(template)
        if trust is None or not self._proxied:
            return make(template, trust)

        def made(header: ProxyHeader) -> ICodec:
            if header.secure:
                template["wsgi.url_scheme"] = "https"
                template["HTTPS"] = "on"
            if header.source is None or header.destination is None:
                # The proxy speaks for itself, or does not know.
                return make(template, trust)
            return make(template, self._tell(template, header))

        from svctree.wire.proxied import ProxiedCodec

        # Its attributes are properties.
        return cast(ICodec, ProxiedCodec(made, header))

    def _tell(
        self, template: Template, header: ProxyHeader
    ) -> Callable[[str], bool] | None:
        """
        Put the client in the place of the proxy.

        @return: as L{trust}, for the client: it is the one whose requests arrive.
        """
        assert header.source is not None and header.destination is not None
        if header.family == "UNIX":
            template["REMOTE_ADDR"] = ""
            template.pop("REMOTE_PORT", None)
            return None
        host, port = header.source
        template["REMOTE_ADDR"] = client = _plain(host)
        template["REMOTE_PORT"] = str(port)
        host, port = header.destination
        template["SERVER_NAME"] = _urlHost(host)
        template["SERVER_PORT"] = str(port)
        return self._trust if self._trust is not None and self._trust(client) else None

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
