"""
What asks: wrk where it is installed, else a small client in Python; and a raw client
for bodies.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

BROWSER = (
    ("Host", "localhost:8080"),
    ("Connection", "keep-alive"),
    ("Cache-Control", "max-age=0"),
    ("sec-ch-ua", '"Chromium";v="131", "Not_A Brand";v="24"'),
    ("Upgrade-Insecure-Requests", "1"),
    (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/131.0.0.0 Safari/537.36",
    ),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Accept-Encoding", "gzip, deflate, br"),
    ("Accept-Language", "en-US,en;q=0.9,de;q=0.8"),
    ("Cookie", "sessionid=COOKIE; csrftoken=4q9fz1m0p8"),
)
"""The 12 fields of a browser; target and cookie change with every request."""

_SCRIPT = """
local head = %s
local requests = {}
for count = 1, 20000 do
  requests[count] = "GET /page/" .. count .. "?n=" .. count .. " HTTP/1.1\\r\\n" ..
    string.gsub(head, "COOKIE", tostring(count * 7919), 1) .. "\\r\\n"
end
local next = 0
request = function()
  next = next %% #requests + 1
  return requests[next]
end
"""
"""Made beforehand, so that the client is not the limit sooner than it has to be."""


@contextmanager
def pinned(processors: set[int]) -> Iterator[None]:
    """
    Meanwhile run on these processors only. (Else the kernel may put the client on the
    server's, where one waits while the other works, and what they could do at the same
    time counts twice.)
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def browserHead() -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in BROWSER)


class Measured(tuple[float, int]):
    """
    Seconds and requests.
    """


def load(
    port: int, seconds: float, processors: set[int], browser: bool, target: str = "/"
) -> tuple[float, int]:
    """
    Ask on 32 connections that are kept.

    @param target: what for, unless as a browser does.
    @return: the seconds that it took, and how many requests were answered.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        with pinned(processors):
            return _pythonLoad(port, seconds, browser, target)
    command = [wrk, "-t1", "-c32", f"-d{max(1, round(seconds))}s"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if browser:
            head = browserHead().replace("\r\n", "\\r\\n").replace('"', '\\"')
            script.write(_SCRIPT % f'"{head}"')
            script.flush()
            command += ["-s", script.name]
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{port}{target}"],
            capture_output=True,
            text=True,
            check=True,
            preexec_fn=lambda: os.sched_setaffinity(0, processors),
        ).stdout
    if "Non-2xx" in done:
        raise RuntimeError(done)
    found = re.search(r"(\d+) requests in ([\d.]+)(m?)s", done)
    if found is None:
        raise RuntimeError(done)
    return float(found[2]) / (1000 if found[3] else 1), int(found[1])


def _pythonLoad(
    port: int, seconds: float, browser: bool, target: str
) -> tuple[float, int]:
    poll = select.epoll()
    sockets: dict[int, socket.socket] = {}
    count = 0

    def request() -> bytes:
        if not browser:
            return f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        head = browserHead().replace("COOKIE", str(count * 7919))
        return f"GET /page/{count}?n={count} HTTP/1.1\r\n{head}\r\n".encode()

    def connect() -> None:
        sock = socket.create_connection(("127.0.0.1", port))
        sockets[sock.fileno()] = sock
        poll.register(sock, select.EPOLLIN)
        sock.sendall(request())

    for _ in range(32):
        connect()
    start = time.perf_counter()
    while (now := time.perf_counter()) < start + seconds:
        for fd, _ in poll.poll(1):
            data = sockets[fd].recv(65536)
            if not data:
                poll.unregister(fd)
                sockets.pop(fd).close()
                connect()
                continue
            count += 1
            sockets[fd].sendall(request())
    for sock in sockets.values():
        sock.close()
    return now - start, count


def transfer(
    port: int, upload: int, download: int, seconds: float, processors: set[int]
) -> tuple[float, int]:
    """
    Send or fetch a body on one connection, again and again.

    @return: the seconds that it took, and how many requests were answered.
    """
    with pinned(processors):
        return _transfer(port, upload, download, seconds)


def _transfer(
    port: int, upload: int, download: int, seconds: float
) -> tuple[float, int]:
    if upload:
        head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {upload}\r\n\r\n"
    else:
        head = f"GET /bytes/{download} HTTP/1.1\r\nHost: a\r\n\r\n"
    message = head.encode() + b"x" * upload
    buffer = bytearray(1 << 18)
    sock = socket.create_connection(("127.0.0.1", port))
    count = 0
    start = now = time.perf_counter()
    while now < start + seconds:
        sock.sendall(message)
        if not _readResponse(sock, buffer):
            # A server without keep-alive: what it costs to connect again counts.
            sock.close()
            sock = socket.create_connection(("127.0.0.1", port))
        count += 1
        now = time.perf_counter()
    sock.close()
    return now - start, count


def _readResponse(sock: socket.socket, buffer: bytearray) -> bool:
    """
    @return: whether the connection goes on.
    """
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            raise RuntimeError(f"the connection ended after {data!r}")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    found = re.search(rb"(?i)content-length: *(\d+)", head)
    left = int(found[1] if found else 0) - len(body)
    while left > 0:
        count = sock.recv_into(buffer)
        if not count:
            raise RuntimeError("the body was cut")
        left -= count
    return b"connection: close" not in head.lower()


def answer(port: int, target: str, body: bytes = b"") -> tuple[bytes, bytes]:
    """
    @return: status code and body of one answer, for comparison.
    """
    method = "POST" if body else "GET"
    head = f"{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    if body:
        head += f"Content-Length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.sendall(head.encode() + b"\r\n" + body)
        parts = []
        while data := sock.recv(65536):
            parts.append(data)
    head_, _, content = b"".join(parts).partition(b"\r\n\r\n")
    return head_.split(b" ")[1], content
