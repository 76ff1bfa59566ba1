"""
What the contestants serve: the same module for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def application(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    """
    Hello at C{/}, after some work at C{/busy}; at C{/bytes/N} N bytes, in one block up
    to a megabyte, generated above; for a POST, the size of the body that was read.
    """
    if environ["REQUEST_METHOD"] == "POST":
        return posted(environ, start)
    path = environ["PATH_INFO"]
    if path.startswith("/bytes/"):
        return download(int(path[7:]), start)
    if path == "/busy":
        # Half a millisecond, beside which a client is nothing.
        sum(range(30_000))
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, world!"]


def hello(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    """
    Hello, whatever was asked: not every server finds a PATH_INFO behind nginx.
    """
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, world!"]


def posted(environ: dict[str, Any], start: Any) -> list[bytes]:
    stream = environ["wsgi.input"]
    left = int(environ["CONTENT_LENGTH"])
    size = 0
    while left > size and (data := stream.read(min(65536, left - size))):
        size += len(data)
    body = str(size).encode()
    start(
        "200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    )
    return [body]


_MEGABYTE = b"x" * (1 << 20)


def download(size: int, start: Any) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(size))])
    if size <= len(_MEGABYTE):
        return [_MEGABYTE[:size]]
    return blocks(size)


def blocks(size: int) -> Iterable[bytes]:
    while size > 0:
        yield _MEGABYTE[: min(65536, size)]
        size -= 65536
