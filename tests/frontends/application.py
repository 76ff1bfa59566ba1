"""
The application behind the front ends: it says what it was asked, in the way in which
the query asks for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs

TEXT = [("Content-Type", "text/plain")]


def environment(environ: dict[str, Any], start: Any, query: dict[str, str]) -> Any:
    data = json.dumps(
        {key: value for key, value in environ.items() if isinstance(value, (str, bool))}
    ).encode()
    start("200 OK", [("Content-Type", "application/json")])
    return [data]


def body(environ: dict[str, Any], start: Any, query: dict[str, str]) -> Any:
    digest = hashlib.sha256()
    size = 0
    while data := environ["wsgi.input"].read(65536):
        size += len(data)
        digest.update(data)
    start("200 OK", TEXT)
    return [f"{size} {digest.hexdigest()}".encode()]


def size(environ: dict[str, Any], start: Any, query: dict[str, str]) -> Any:
    start("200 OK", TEXT)
    return [b"x" * int(query["n"])]


def stream(environ: dict[str, Any], start: Any, query: dict[str, str]) -> Any:
    start("200 OK", TEXT)

    def pieces() -> Iterator[bytes]:
        for number in range(int(query["n"])):
            yield b"%d\n" % number * 100
            time.sleep(float(query.get("pause", "0")))

    return pieces()


def status(environ: dict[str, Any], start: Any, query: dict[str, str]) -> Any:
    code = query["code"]
    if code[:1] == "1" or code[:3] in ("204", "304"):
        start(code, [("ETag", '"x"')])
        return []
    start(code, [*TEXT, ("X-Odd", "yes")])
    return [b"odd"]


def cookies(environ: dict[str, Any], start: Any, query: dict[str, str]) -> Any:
    start("200 OK", [*TEXT, ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Path=/")])
    return [b"cookies"]


def ignore(environ: dict[str, Any], start: Any, query: dict[str, str]) -> Any:
    start("200 OK", TEXT)
    return [b"ignored"]


def sleep(environ: dict[str, Any], start: Any, query: dict[str, str]) -> Any:
    time.sleep(float(query["s"]))
    start("200 OK", TEXT)
    return [b"slept"]


def fail(environ: dict[str, Any], start: Any, query: dict[str, str]) -> Any:
    raise RuntimeError("as asked")


def errors(environ: dict[str, Any], start: Any, query: dict[str, str]) -> Any:
    log = environ["fcgi.errors"]()
    log.write("said to the front end\n")
    start("200 OK", TEXT)
    return [b"said"]


def process(environ: dict[str, Any], start: Any, query: dict[str, str]) -> Any:
    start("200 OK", TEXT)
    names = sorted(os.listdir("/proc/self/fd"))
    return [f"{os.getpid()} {len(names)}".encode()]


ACTS = {
    act.__name__: act
    for act in (
        environment,
        body,
        size,
        stream,
        status,
        cookies,
        ignore,
        sleep,
        fail,
        errors,
        process,
    )
}


def application(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    query = {
        name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()
    }
    return ACTS[query.get("act", "environment")](environ, start, query)
