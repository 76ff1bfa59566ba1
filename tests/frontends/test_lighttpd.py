"""
Behind lighttpd.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from tests.frontends.checks import FrontEndChecks, site
from tests.frontends.servers import FrontEnd, startLighttpd
from tests.support.processes import Processes

__all__ = ["site"]


class Lighttpd(FrontEndChecks):
    """
    @cvar more: lines beyond the listing's.
    """

    location: ClassVar[dict[str, str]] = {'( "/" =>': '( "/app" =>'}
    more: ClassVar[str] = ""

    @classmethod
    def front(cls, processes: Processes, folder: Path, text: str) -> FrontEnd:
        return startLighttpd(processes, folder, text + cls.more)


class TestSCGI(Lighttpd):
    """
    mod_scgi.
    """

    file = "lighttpd-scgi.conf"
    protocol = "scgi"


class TestFastCGI(Lighttpd):
    """
    mod_fastcgi over a unix socket.
    """

    file = "lighttpd-fastcgi.conf"
    protocol = "fastcgi"


class TestFastCGIOverTCP(Lighttpd):
    """
    mod_fastcgi over TCP.
    """

    file = "lighttpd-fastcgi-tcp.conf"
    protocol = "fastcgi"
    tcp = True


class TestFastCGIStreaming(Lighttpd):
    """
    mod_fastcgi, requests and answers handed on as they come.
    """

    file = "lighttpd-fastcgi.conf"
    protocol = "fastcgi"
    more = "server.stream-request-body = 2\nserver.stream-response-body = 2\n"
    streams = True
    # lighttpd does not hand on a body of unknown size as it comes: it refuses one
    # that is not there as a whole.
    chunkedStatus = (200, 411)


class TestFastCGIUpgrade(Lighttpd):
    """
    mod_fastcgi with upgraded connections allowed, where STDIN is left open.
    """

    file = "lighttpd-fastcgi.conf"
    protocol = "fastcgi"

    @classmethod
    def front(cls, processes: Processes, folder: Path, text: str) -> FrontEnd:
        text = text.replace('"check-local"', '"upgrade" => "enable",\n"check-local"')
        return startLighttpd(processes, folder, text)


class TestHTTP(Lighttpd):
    """
    mod_proxy.
    """

    file = "lighttpd-http.conf"
    protocol = "http"
    tcp = True
    location: ClassVar[dict[str, str]] = {'( "" =>': '( "/app" =>'}


class Authorizer(Lighttpd):
    """
    mod_fastcgi in the mode C{authorizer}.
    """

    file = "lighttpd-authorizer.conf"
    protocol = "fastcgi"

    @classmethod
    def front(cls, processes: Processes, folder: Path, text: str) -> FrontEnd:
        files = folder / "files"
        files.mkdir()
        (files / "secret.txt").write_text("the secret")
        return startLighttpd(processes, folder, text.replace("/srv/mysvc", str(files)))


def test_authorizer() -> None:
    """
    An application in the role of an Authorizer lets lighttpd serve a file, or
    answers in its place.
    """
    with Authorizer.running() as site:
        allowed = site.client.ask("/secret.txt?act=size&n=0")
        assert (allowed.status, allowed.text) == (200, "the secret"), site.explain()
        for _ in range(3):
            refused = site.client.ask("/secret.txt?act=status&code=403%20No")
            assert (refused.status, refused.text) == (403, "odd"), site.explain()
