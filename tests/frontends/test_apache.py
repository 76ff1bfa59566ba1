"""
Behind Apache httpd.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from tests.frontends.checks import FrontEndChecks, site
from tests.frontends.servers import FrontEnd, startApache
from tests.support.processes import Processes

__all__ = ["site"]


class Apache(FrontEndChecks):
    """
    @cvar modules: what is loaded, and which package has it.
    """

    tcp = True
    # When it is busy it closes idle connections without a word (mpm_event).
    keepsClients = False
    # One for each of Apache's threads.
    kept = 32
    modules: ClassVar[dict[str, str]]

    @classmethod
    def front(cls, processes: Processes, folder: Path, text: str) -> FrontEnd:
        modules = {"proxy": "apache2", **cls.modules}
        return startApache(processes, folder, text, modules)


class TestSCGI(Apache):
    """
    mod_proxy_scgi.
    """

    file = "apache-scgi.conf"
    protocol = "scgi"
    chunkedStatus = (411,)
    modules: ClassVar[dict[str, str]] = {"proxy_scgi": "apache2"}
    location: ClassVar[dict[str, str]] = {
        'ProxyPass "/" "scgi://127.0.0.1:8000/"': (
            'ProxyPass "/app" "scgi://127.0.0.1:8000/app"'
        )
    }


class TestFastCGI(Apache):
    """
    mod_proxy_fcgi, a connection for each request.
    """

    file = "apache-fastcgi.conf"
    protocol = "fastcgi"
    modules: ClassVar[dict[str, str]] = {"proxy_fcgi": "apache2"}
    location: ClassVar[dict[str, str]] = {
        'ProxyPass "/" "fcgi://127.0.0.1:8000/"': (
            'ProxyPass "/app" "fcgi://127.0.0.1:8000/app"'
        )
    }


class TestFastCGIKept(TestFastCGI):
    """
    mod_proxy_fcgi with connections that are kept.
    """

    @classmethod
    def front(cls, processes: Processes, folder: Path, text: str) -> FrontEnd:
        return super().front(
            processes, folder, text.replace('/"\n', '/" enablereuse=on\n')
        )


class TestUWSGI(Apache):
    """
    mod_proxy_uwsgi.
    """

    file = "apache-uwsgi.conf"
    protocol = "uwsgi"
    chunkedStatus = (411,)
    # Apache gives up on such a path by itself ("unable to decode uwsgi uri").
    slashes = False
    modules: ClassVar[dict[str, str]] = {"proxy_uwsgi": "apache2"}
    location: ClassVar[dict[str, str]] = {
        'ProxyPass "/" "uwsgi://127.0.0.1:8000/"': (
            'ProxyPass "/app" "uwsgi://127.0.0.1:8000/"'
        )
    }


class TestHTTP(Apache):
    """
    mod_proxy_http.
    """

    file = "apache-http.conf"
    protocol = "http"
    modules: ClassVar[dict[str, str]] = {"proxy_http": "apache2"}
    location: ClassVar[dict[str, str]] = {
        'ProxyPass "/" "http://127.0.0.1:8000/"': (
            'ProxyPass "/app" "http://127.0.0.1:8000/app"'
        )
    }
