"""
Behind nginx.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from tests.frontends.checks import FrontEndChecks, Site, site
from tests.frontends.client import digest
from tests.frontends.servers import FrontEnd, startNginx
from tests.support.processes import Processes

__all__ = ["site"]


class Nginx(FrontEndChecks):
    """
    @cvar more: lines for the location, beyond the listing's.
    """

    location: ClassVar[dict[str, str]] = {"location / {": "location /app {"}
    more: ClassVar[str] = ""

    @classmethod
    def front(cls, processes: Processes, folder: Path, text: str) -> FrontEnd:
        text = text.replace("    location ", f"    {cls.more}\n    location ", 1)
        return startNginx(processes, folder, text)


class TestSCGI(Nginx):
    """
    scgi_pass.
    """

    file = "nginx-scgi.conf"
    protocol = "scgi"


class TestSCGIUnbuffered(Nginx):
    """
    scgi_pass, requests and answers handed on as they come.
    """

    file = "nginx-scgi.conf"
    protocol = "scgi"
    more = "scgi_request_buffering off; scgi_buffering off;"
    streams = True


class TestFastCGI(Nginx):
    """
    fastcgi_pass, a connection for each request.
    """

    file = "nginx-fastcgi.conf"
    protocol = "fastcgi"


class TestFastCGIKept(Nginx):
    """
    fastcgi_pass with connections that are kept.
    """

    file = "nginx-fastcgi-keepalive.conf"
    protocol = "fastcgi"
    kept = 8


class TestFastCGIUnbuffered(Nginx):
    """
    fastcgi_pass, requests and answers handed on as they come.
    """

    file = "nginx-unbuffered.conf"
    protocol = "fastcgi"
    streams = True


class TestUWSGI(Nginx):
    """
    uwsgi_pass.
    """

    file = "nginx-uwsgi.conf"
    protocol = "uwsgi"


class TestUWSGIUnbuffered(Nginx):
    """
    uwsgi_pass, requests and answers handed on as they come.
    """

    file = "nginx-uwsgi.conf"
    protocol = "uwsgi"
    more = "uwsgi_request_buffering off; uwsgi_buffering off;"
    streams = True


class TestHTTP(Nginx):
    """
    proxy_pass with connections that are kept.
    """

    file = "nginx-http.conf"
    protocol = "http"
    kept = 8


class TestHTTPUnbuffered(Nginx):
    """
    proxy_pass, requests and answers handed on as they come.
    """

    file = "nginx-http.conf"
    protocol = "http"
    kept = 8
    more = "proxy_request_buffering off; proxy_buffering off;"
    streams = True


def test_threads() -> None:
    """
    Workers with threads speak FastCGI as well.
    """
    with TestFastCGIKept.running("--threads", "4") as made:
        assert isinstance(made, Site)
        for size in (1, 100_000):
            answer = made.client.ask("/?act=body", "POST", bytes(size))
            assert answer.text == digest(bytes(size))
        assert made.client.act("environment").environ["wsgi.multithread"] is True
