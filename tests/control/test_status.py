"""
L{svctree.control.status}: the page, the metrics and the probes.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from svctree.control.metrics import renderMetrics
from svctree.control.page import renderPage
from svctree.control.status import notReady
from tests.support.daemons import Daemon
from tests.support.processes import waitUntil

WORKER = {
    "slot": 0,
    "pid": 17,
    "generation": 2,
    "state": "busy",
    "requests": 5,
    "connections": 1,
    "memory": 3 << 20,
    "current": [{"request": "GET /<b>?password=1", "seconds": 1.5}],
}

STATUS: dict[str, Any] = {
    "pid": 4711,
    "state": "serving",
    "pools": ["web"],
    "services": {
        "web": {
            "application": 'site:"app"',
            "workermodel": "prefork",
            "target": 2,
            "ready": 1,
            "generation": 2,
            "requests": 12345678,
            "lastReload": "failed: <no module>",
            "workers": [WORKER, {**WORKER, "slot": 1, "memory": None, "current": []}],
        },
        "idle": {},
    },
}

SAMPLE = re.compile(r'[a-z_]+(\{([a-z]+="[^"]*",?)+\})? -?[0-9.]+')


def test_metricsAreWellFormed() -> None:
    """
    Every line is a comment or a sample; every metric has a type, and large numbers
    are written out.
    """
    text = renderMetrics(STATUS)
    lines = text.splitlines()
    types = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    samples = [line for line in lines if not line.startswith("#")]
    for line in samples:
        assert SAMPLE.fullmatch(line), line
        assert re.split("[{ ]", line)[0] in types
    assert len(samples) == len(set(samples))
    assert 'svctree_pool_requests_total{pool="web"} 12345678' in samples
    assert 'svctree_pool_reload_failed{pool="web"} 1' in samples
    assert 'svctree_pool_workers{pool="web",state="busy"} 2' in samples
    assert 'svctree_worker_memory_bytes{pool="web",slot="0"} 3145728' in samples
    assert 'svctree_worker_request_seconds{pool="web",slot="0"} 1.5' in samples


def test_labelsAreEscaped() -> None:
    """
    A name can be anything.
    """
    odd = 'a"b\\c\nd'
    status = {**STATUS, "pools": [odd], "services": {odd: STATUS["services"]["web"]}}
    assert 'svctree_pool_generation{pool="a\\"b\\\\c\\nd"} 2' in renderMetrics(status)


def test_pageEscapesAndHides() -> None:
    """
    What clients send stands in the page as text, without the query.
    """
    page = renderPage(STATUS)
    assert "/&lt;b&gt; (1.5 s)" in page
    assert "password" not in page
    assert "failed: &lt;no module&gt;" in page
    HTMLParser().feed(page)


@pytest.mark.parametrize(
    "change, reason",
    [
        ({}, ""),
        ({"state": "stopping"}, "the daemon is stopping"),
        ({"services": {"web": {"ready": 0}}}, "web has no worker that is ready"),
        ({"pools": []}, ""),
    ],
)
def test_notReady(change: dict[str, Any], reason: str) -> None:
    """
    Ready means that requests would be answered.
    """
    assert notReady({**STATUS, **change}) == reason


def ask(path: Path, request: str) -> tuple[int, dict[str, str], str]:
    """
    @return: the status, the headers and the body of an answer.
    """
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(path))
        sock.sendall(f"{request} HTTP/1.0\r\n\r\n".encode())
        data = b""
        while chunk := sock.recv(65536):
            data += chunk
    head, _, body = data.decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, body


def test_daemon(daemon: Daemon) -> None:
    """
    The option C{status} of a real daemon: everything is answered while every worker
    is blocked, quickly, and nothing can be changed.
    """
    path = daemon.run / "status.sock"
    daemon.configure(status="unix:run/status.sock(600)", workers=1)
    daemon.start()
    assert ask(path, "GET /readyz")[0] == 200
    blocked = threading.Thread(target=daemon.get, args=("/sleep?3",))
    blocked.start()
    try:
        waitUntil(
            lambda: 'state="busy"} 1' in ask(path, "GET /metrics")[2], "the request"
        )
        times = []
        for _ in range(20):
            begun = time.perf_counter()
            code, headers, _body = ask(path, "GET /metrics")
            times.append(time.perf_counter() - begun)
            assert (code, headers["content-type"][:24]) == (
                200,
                "text/plain; version=0.0.4"[:24],
            )
        # 10 ms where the machine is not busy with other things; this is for any.
        assert sorted(times)[10] < 0.1
        assert ask(path, "GET /healthz")[2] == "ok\n"
        code, headers, body = ask(path, "GET /status")
        (worker,) = json.loads(body)["pools"]["web"]["workers"]
        assert worker["current"][0]["request"] == "GET /sleep"
        assert "/sleep (" in ask(path, "GET /")[2]
        assert ask(path, "HEAD /")[2] == ""
        assert ask(path, "POST /status")[0] == 405
        assert ask(path, "GET /none")[0] == 404
    finally:
        blocked.join()
    assert daemon.command("stop").returncode == 0
    assert daemon.left() == ["error.log"]
