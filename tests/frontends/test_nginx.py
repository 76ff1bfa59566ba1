"""
Behind nginx.
"""

from __future__ import annotations

import concurrent.futures
from pathlib import Path
from typing import ClassVar

import pytest

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

    def test_errors(self, site: Site) -> None:
        """
        What the application wants to have in nginx's error log is there, with nothing
        wrong in the answer.
        """
        for _ in range(2):
            assert site.client.act("errors").body == b"said"
        assert 'FastCGI sent in stderr: "said to the front end' in site.front.errors


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


@pytest.mark.parametrize("model", ["single", "threaded", "prefork"])
@pytest.mark.parametrize("made", [TestSCGI, TestFastCGI, TestFastCGIKept, TestUWSGI])
def test_models(model: str, made: type[Nginx]) -> None:
    """
    Every worker model speaks every protocol.
    """
    with made.running("--workermodel", model) as site:
        for size in (1, 100_000):
            answer = site.client.ask("/?act=body", "POST", bytes(size))
            assert answer.text == digest(bytes(size)), site.explain()
        environ = site.client.act("environment").environ
        assert environ["wsgi.multithread"] is (model == "threaded")
        assert environ["wsgi.multiprocess"] is (model == "prefork")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = pool.map(lambda _: site.client.act("size", n=10), range(200))
            assert all(answer.body == b"x" * 10 for answer in answers)
