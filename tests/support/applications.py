"""
Applications that tests of workers serve.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

Start = Any


def hello(environ: dict[str, Any], start: Start) -> list[bytes]:
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, world!"]


def big(environ: dict[str, Any], start: Start) -> list[bytes]:
    """
    Two megabytes at C{/big}, else hello.
    """
    if environ["PATH_INFO"] != "/big":
        return hello(environ, start)
    body = b"x" * (2 << 20)
    start(
        "200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    )
    return [body]


def echo(environ: dict[str, Any], start: Start) -> list[bytes]:
    """
    The request's body.
    """
    body = environ["wsgi.input"].read(1 << 30)
    start("200 OK", [("Content-Type", "text/plain")])
    return [body]


def sized(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    """
    As many bytes as the query says, generated; for a POST, the size of its body.
    """
    if environ["REQUEST_METHOD"] == "POST":
        size = 0
        while data := environ["wsgi.input"].read(65536):
            size += len(data)
        body = str(size).encode()
        start("200 OK", [("Content-Type", "text/plain")])
        return [body]
    left = int(environ["QUERY_STRING"])
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(left))])
    return _blocks(left)


def _blocks(left: int) -> Iterable[bytes]:
    block = b"x" * 65536
    while left > 0:
        yield block[:left]
        left -= len(block)


def sleepy(environ: dict[str, Any], start: Start) -> list[bytes]:
    """
    Sleeps for the seconds in the query, then says hello.
    """
    time.sleep(float(environ["QUERY_STRING"] or 0))
    return hello(environ, start)


def careless(environ: dict[str, Any], start: Start) -> list[bytes]:
    """
    Reads in a way that PEP 3333 does not have: C{wsgiref.validate} finds it.
    """
    environ["wsgi.input"].read()
    return hello(environ, start)
