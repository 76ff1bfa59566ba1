"""
Django's and Flask's own behaviour through this gateway, with a real HTTP client.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.frameworks import CONTENT
from tests.support.processes import Processes

BOUNDARY = "----boundary"


@pytest.fixture(params=["flaskSite", "djangoSite"])
def client(
    request: pytest.FixtureRequest, processes: Processes
) -> Iterator[http.client.HTTPConnection]:
    """
    A connection to a worker that serves the site.
    """
    running = processes.start(
        [
            *(sys.executable, "-m", "tests.support.loops"),
            f"tests.support.frameworks:{request.param}",
        ],
        cwd=Path(__file__).parents[2],
    )
    port = int(running.waitFor(r"ready (\d+)")[1])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    yield connection
    connection.close()


def isDjango(client: http.client.HTTPConnection) -> bool:
    client.request("GET", "/nowhere")
    response = client.getresponse()
    assert response.status == 404
    return b"entered the URL manually" not in response.read()


@pytest.mark.parametrize("size", [10, 100_000, 3_000_000])
def test_upload(client: http.client.HTTPConnection, size: int) -> None:
    """
    A multipart upload arrives whole, with a length and in chunks.
    """
    data = os.urandom(size)
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="name"\r\n\r\nKai\r\n',
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; '
        'filename="x"\r\nContent-Type: application/octet-stream\r\n\r\n',
    ]
    body = "".join(parts).encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()
    expected = f"Kai {size} {hashlib.sha256(data).hexdigest()}".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    client.request("POST", "/upload", body, headers)
    assert client.getresponse().read() == expected
    blocks = (body[at : at + 50_000] for at in range(0, len(body), 50_000))
    client.request("POST", "/upload", blocks, headers, encode_chunked=True)
    assert client.getresponse().read() == expected


def test_stream(client: http.client.HTTPConnection) -> None:
    """
    A streamed answer arrives while it is made.
    """
    client.request("GET", "/stream")
    response = client.getresponse()
    assert response.readline() == b"block 0\n"
    start = time.monotonic()
    assert response.read() == b"block 1\nblock 2\n"
    assert time.monotonic() - start > 0.05


def test_cookies(client: http.client.HTTPConnection) -> None:
    """
    Cookies go both ways, several at once.
    """
    client.request("GET", "/cookies", headers={"Cookie": "b=2; a=1"})
    response = client.getresponse()
    assert response.read() == b"a=1,b=2"
    cookies = response.headers.get_all("Set-Cookie")
    assert cookies is not None
    assert [cookie.partition(";")[0] for cookie in cookies] == ["one=1", "two=zwei"]


def test_file(client: http.client.HTTPConnection) -> None:
    """
    A file arrives whole; HEAD gets its length; a matching tag gives 304, and the
    connection goes on after each.
    """
    client.request("GET", "/file")
    response = client.getresponse()
    assert response.read() == CONTENT
    assert response.headers["ETag"] == '"tag"'
    client.request("HEAD", "/file")
    response = client.getresponse()
    assert response.read() == b""
    assert response.headers["Content-Length"] == str(len(CONTENT))
    client.request("GET", "/file", headers={"If-None-Match": '"tag"'})
    response = client.getresponse()
    assert (response.status, response.read()) == (304, b"")
    client.request("GET", "/cookies")
    assert client.getresponse().read() == b""


def test_range(client: http.client.HTTPConnection) -> None:
    """
    Ranges, where the framework has them.
    """
    if isDjango(client):
        pytest.skip("Django has no ranges")
    client.request("GET", "/file", headers={"Range": "bytes=1000-1999"})
    response = client.getresponse()
    assert response.status == 206
    assert response.headers["Content-Range"] == f"bytes 1000-1999/{len(CONTENT)}"
    assert response.read() == CONTENT[1000:2000]
    client.request("GET", "/file", headers={"Range": "bytes=99999999-"})
    response = client.getresponse()
    response.read()
    assert response.status == 416


def test_paths(client: http.client.HTTPConnection) -> None:
    """
    Paths and queries are decoded once, as UTF-8.
    """
    client.request("GET", "/path/a%20b/%C3%A4?q=%C3%B6%2B")
    assert client.getresponse().read().decode() == "a b/ä ö+"
