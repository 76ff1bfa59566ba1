"""
Workers' loops with real sockets: what clients see.
"""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.applications import big, echo, hello
from tests.support.loops import RunningLoop, readAll, readResponse
from tests.support.processes import waitUntil

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
TEXT = [("Content-Type", "text/plain")]

Make = Callable[..., RunningLoop]


@pytest.fixture(params=["single", "threaded"])
def make(request: pytest.FixtureRequest) -> Make:
    """
    Makes a loop of either model.
    """

    def made(application: Callable[..., Any], **settings: Any) -> RunningLoop:
        return RunningLoop(application, workermodel=request.param, **settings)

    return made


def test_keepAlive(make: Make) -> None:
    """
    One connection serves many requests, and closes when it is asked to.
    """
    with make(hello) as running, running.connect() as sock:
        for _ in range(5):
            sock.sendall(GET)
            assert readResponse(sock)[1] == b"Hello, world!"
        sock.sendall(LAST)
        answer = readAll(sock)
        assert b"Connection: close" in answer and answer.endswith(b"Hello, world!")


class _Resource:
    """
    Something that an application puts into its environ.
    """


@pytest.mark.parametrize("body", [b"", b"abc", b"a" * 200_000])
def test_environEnds(make: Make, body: bytes) -> None:
    """
    What an application has put into its environ lives no longer than its request,
    though the connection goes on.
    """
    left: list[weakref.ref[_Resource]] = []

    def keeping(environ: dict[str, Any], start: Any) -> list[bytes]:
        environ["test.resource"] = resource = _Resource()
        left.append(weakref.ref(resource))
        return hello(environ, start)

    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body)
    # The validator would keep what it has seen.
    with make(keeping, validate=False) as running, running.connect() as sock:
        for count in range(1, 4):
            sock.sendall(head + body)
            assert readResponse(sock)[1] == b"Hello, world!"
            waitUntil(lambda: left[-1]() is None, "the end of the environ")
            assert len(left) == count


def test_flowStops(make: Make) -> None:
    """
    Where large blocks have followed each other and no more come, what has been given
    arrives all the same, and so does the next answer on the connection.
    """
    goOn = threading.Event()
    block = b"x" * 50_000

    def flowing(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        start("200 OK", [*TEXT, ("Content-Length", str(7 * len(block)))])
        yield from [block] * 6
        goOn.wait(20.0)
        yield block

    with make(flowing) as running, running.connect() as sock:
        for _ in range(3):
            goOn.clear()
            sock.sendall(GET)
            begun = time.monotonic()
            received = b""
            while received.partition(b"\r\n\r\n")[2] != block * 6:
                received += sock.recv(65536)
            # The kernel has it for a fifth of a second at most.
            assert time.monotonic() - begun < 5.0
            goOn.set()
            while received.partition(b"\r\n\r\n")[2] != block * 7:
                received += sock.recv(65536)


def test_pipelined(make: Make) -> None:
    """
    A thousand requests at once are answered in order.
    """

    def path(environ: dict[str, Any], start: Any) -> list[bytes]:
        body = environ["PATH_INFO"].encode()
        start("200 OK", [*TEXT, ("Content-Length", str(len(body)))])
        return [body]

    requests = b"".join(
        b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number for number in range(1000)
    )
    with make(path) as running:
        answer = running.exchange(requests)
    bodies = [part.partition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 ")]
    assert bodies[1:] == [b"/%d" % number for number in range(1000)]


@pytest.mark.parametrize("size", [1, 1000, 65536, 65537, 3_000_000])
def test_bodies(make: Make, size: int) -> None:
    """
    Bodies of any size arrive whole, with a length or in chunks, in memory or by way
    of a file; and the next request follows.
    """
    body = os.urandom(size)
    head = b"POST / HTTP/1.1\r\nHost: h\r\n"
    sized = head + b"Content-Length: %d\r\n\r\n" % size + body
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(part), part)
        for part in (body[i : i + 9999] for i in range(0, size, 9999))
    )
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    lengths: list[str] = []

    def application(environ: dict[str, Any], start: Any) -> list[bytes]:
        lengths.append(environ["CONTENT_LENGTH"])
        data = environ["wsgi.input"].read(size + 1)
        start("200 OK", [*TEXT, ("Content-Length", str(len(data)))])
        return [data]

    with make(application) as running, running.connect() as sock:
        for message in (sized, chunked, sized):
            sender = threading.Thread(target=sock.sendall, args=[message])
            sender.start()
            assert readResponse(sock)[1] == body
            sender.join()
    assert lengths == [str(size)] * 3


def test_bodiesAtOnce(make: Make) -> None:
    """
    Large bodies that come at the same time do not mix, whether one is given up, read
    by halves or makes the application fail; a request behind one is answered after it.
    """

    def application(environ: dict[str, Any], start: Any) -> list[bytes]:
        data = environ["wsgi.input"].read(2_000_000)
        if environ["PATH_INFO"] == "/fail":
            raise ValueError("as it should")
        start("200 OK", [*TEXT, ("Content-Length", str(len(data)))])
        return [data]

    size = 3_000_000
    head = b"POST %b HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
    with make(application) as running:
        for path in (b"/", b"/fail", b"/"):
            socks = [running.connect() for _ in range(3)]
            bodies = [os.urandom(size) for _ in socks]
            for sock, body in zip(socks, bodies, strict=True):
                sock.sendall(head % (path, size) + body[:1_000_000])
            socks.pop().close()
            for sock, body in zip(socks, bodies, strict=False):
                sock.sendall(body[1_000_000:] + head % (b"/", 5) + b"hello")
            for sock, body in zip(socks, bodies, strict=False):
                _, data = readResponse(sock, exactly=False)
                expected = body[:2_000_000] if path == b"/" else b"500 Internal Server"
                assert data.startswith(expected)
                rest = data[len(expected) :]
                while not rest.endswith(b"\r\n\r\nhello"):
                    rest += sock.recv(65536)
                sock.close()


def test_unreadBody(make: Make) -> None:
    """
    A body that the application leaves unread does not disturb the next request.
    """
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n"
    message = head + b"x" * 100_000
    with make(hello) as running, running.connect() as sock:
        for _ in range(3):
            sock.sendall(message)
            assert readResponse(sock)[1] == b"Hello, world!"


def test_continue(make: Make) -> None:
    """
    A client that waits for 100 Continue gets it, before it sends the body.
    """
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
    head += b"Expect: 100-continue\r\n\r\n"
    with make(echo) as running, running.connect() as sock:
        for _ in range(2):
            sock.sendall(head)
            assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
            sock.sendall(b"hi")
            answer = b""
            while not answer.endswith(b"0\r\n\r\n"):
                answer += sock.recv(1000)
            assert b"\r\n2\r\nhi\r\n" in answer


def test_noContinue(make: Make) -> None:
    """
    No 100 Continue is sent when the body comes along, when the request is refused,
    or to HTTP/1.0.
    """
    head = b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: "
    old = b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    with make(echo, limit_request_body=1000) as running:
        assert b"100 Continue" not in running.exchange(head + b"2\r\n\r\nhi")
        answer = running.exchange(head + b"2000\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"100 Continue" not in running.exchange(old + b"hi")


def test_cutBody(make: Make) -> None:
    """
    A body that the client cuts short never reaches the application.
    """
    called: list[int] = []

    def application(environ: dict[str, Any], start: Any) -> list[bytes]:
        called.append(1)
        return hello(environ, start)

    head = b"POST / HTTP/1.1\r\nHost: h\r\n"
    with make(application) as running:
        assert running.exchange(head + b"Content-Length: 5\r\n\r\nhell") == b""
        assert (
            running.exchange(head + b"Transfer-Encoding: chunked\r\n\r\n5\r\n") == b""
        )
    assert not called


def test_errorIsRead(make: Make) -> None:
    """
    A client that is refused while it still sends reads the whole answer: the
    connection lingers.
    """
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 50000000\r\n\r\n"
    with make(hello, limit_request_body=1000) as running, running.connect() as sock:
        sock.sendall(head + b"x" * 1_000_000)
        sock.shutdown(socket.SHUT_WR)
        answer = readAll(sock)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(b"\n") and b"Connection: close" in answer


def test_stream(make: Make) -> None:
    """
    Server-sent events reach the client one by one, as they are produced.
    """
    go = threading.Semaphore(0)

    def events(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        start("200 OK", [("Content-Type", "text/event-stream")])
        for number in range(3):
            yield b"data: %d\n\n" % number
            assert go.acquire(timeout=10)

    with make(events) as running, running.connect() as sock:
        sock.sendall(GET)
        for number in range(3):
            data = b""
            while b"data: %d\n\n" % number not in data:
                data += sock.recv(1000)
            go.release()
        assert sock.recv(1000) == b"0\r\n\r\n"


def test_file(make: Make) -> None:
    """
    A file is sent whole, also to a slow client, while others are served; and it is
    closed once.
    """
    content = os.urandom(20_000_000)
    closed: list[int] = []

    class Counted:
        def __init__(self, file: Any) -> None:
            self.file = file

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def close(self) -> None:
            closed.append(1)
            self.file.close()

    with tempfile.NamedTemporaryFile() as stored:
        stored.write(content)
        stored.flush()

        def application(environ: dict[str, Any], start: Any) -> Any:
            if environ["PATH_INFO"] != "/file":
                return hello(environ, start)
            start("200 OK", TEXT)
            file = open(stored.name, "rb")  # noqa: SIM115 (closed by the server)
            return environ["wsgi.file_wrapper"](Counted(file))

        with (
            make(application, validate=False) as running,
            running.connect() as slow,
            running.connect() as other,
        ):
            slow.sendall(b"GET /file HTTP/1.1\r\nHost: h\r\n\r\n")
            other.sendall(GET)
            assert readResponse(other)[1] == b"Hello, world!"
            head, body = readResponse(slow)
            assert b"Content-Length: 20000000" in head and body == content
            slow.sendall(GET)
            assert readResponse(slow)[1] == b"Hello, world!"
    assert closed == [1]


def test_slowReader(make: Make) -> None:
    """
    A client that does not take its answer keeps nobody waiting, and loses nothing.
    """
    with make(big) as running:
        slow = []
        for _ in range(20):
            sock = running.connect()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 131072)
            sock.sendall(b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n")
            slow.append(sock)
        with running.connect() as other:
            for _ in range(10):
                other.sendall(GET)
                assert readResponse(other)[1] == b"Hello, world!"
        for sock in slow:
            assert readResponse(sock)[1] == b"x" * (2 << 20)
            sock.close()


def test_generatedForSlowReader(make: Make) -> None:
    """
    Generated blocks in any number keep their order through memory and file.
    """

    def numbers(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        start("200 OK", [*TEXT, ("Content-Length", "16000000")])
        for number in range(2000):
            yield b"%08d" % number * 1000

    with make(numbers, buffer_response=100_000) as running, running.connect() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 131072)
        sock.sendall(GET)
        body = readResponse(sock)[1]
    assert body == b"".join(b"%08d" % number * 1000 for number in range(2000))


def test_clientLeaves(make: Make, capfd: pytest.CaptureFixture[str]) -> None:
    """
    A client that leaves in the middle of its answer ends the application's iterable,
    without a traceback.
    """
    closed = threading.Event()

    def endless(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        start("200 OK", TEXT)
        try:
            while True:
                yield b"x" * 10_000
        finally:
            closed.set()

    with make(endless) as running:
        with running.connect() as sock:
            sock.sendall(GET)
            sock.recv(1000)
        assert closed.wait(10)
        waitUntil(lambda: not running.slot.report().current, "the end of the request")
    assert "Traceback" not in capfd.readouterr().err


def test_resetOfCutStream(make: Make, capfd: pytest.CaptureFixture[str]) -> None:
    """
    An HTTP/1.0 client can tell that a stream was cut: the connection is reset.
    """

    def failing(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        start("200 OK", TEXT)
        yield b"x"
        raise ValueError("broken")

    with make(failing) as running, running.connect() as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            readAll(sock)
        answer = running.exchange(GET)
    assert answer.endswith(b"\r\n1\r\nx\r\n")
    assert "ValueError: broken" in capfd.readouterr().err


def test_earlyHints(make: Make) -> None:
    """
    C{wsgi.early_hints} sends 103 before the answer, and nothing to HTTP/1.0.
    """

    def application(environ: dict[str, Any], start: Any) -> list[bytes]:
        environ["wsgi.early_hints"]([("Link", "</a.css>; rel=preload")])
        return hello(environ, start)

    with make(application) as running:
        answer = running.exchange(GET)
        old = running.exchange(b"GET / HTTP/1.0\r\n\r\n")
    assert answer.startswith(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
        b"HTTP/1.1 200 OK"
    )
    assert old.startswith(b"HTTP/1.1 200 OK")


def addresses(environ: dict[str, Any], start: Any) -> list[bytes]:
    start("200 OK", TEXT)
    names = ["REMOTE_ADDR", "SERVER_NAME", "SERVER_PORT", "wsgi.url_scheme"]
    return [" ".join(str(environ[name]) for name in names).encode()]


def test_addressesTCP(make: Make) -> None:
    """
    Over TCP the variables name both ends of the connection.
    """
    with make(addresses) as running:
        answer = running.exchange(GET)
        port = running.address[1]
    assert b"\r\n127.0.0.1 127.0.0.1 %d http\r\n" % port in answer


def test_addressesIPv6(make: Make) -> None:
    """
    Over IPv6 too; SERVER_NAME as it stands in a URL.
    """
    with make(addresses, address=("::1", 0)) as running:
        answer = running.exchange(GET)
        port = running.address[1]
    assert b"\r\n::1 [::1] %d http\r\n" % port in answer


def test_addressesUnix(make: Make, tmp_path: Any) -> None:
    """
    Over a unix socket there is no address; SERVER_NAME and SERVER_PORT are not empty.
    """
    with make(addresses, address=str(tmp_path / "s")) as running:
        answer = running.exchange(GET)
    assert b"\r\n localhost 80 http\r\n" in answer


def test_flags() -> None:
    """
    C{wsgi.multithread} and C{wsgi.multiprocess} are those of the model.
    """

    def flags(environ: dict[str, Any], start: Any) -> list[bytes]:
        start("200 OK", TEXT)
        names = ["multithread", "multiprocess", "run_once"]
        return [" ".join(str(environ["wsgi." + name]) for name in names).encode()]

    for settings, expected in [
        ({"workermodel": "single"}, b"False False False"),
        ({"workermodel": "threaded"}, b"True False False"),
        ({"workermodel": "prefork"}, b"False True False"),
        ({"workermodel": "prefork", "threads": 2}, b"True True False"),
    ]:
        with RunningLoop(flags, **settings) as running:
            assert expected in running.exchange(GET)


def test_scoreboard(make: Make) -> None:
    """
    Requests, bytes and connections are counted.
    """
    with make(hello) as running, running.connect() as sock:
        for _ in range(3):
            sock.sendall(GET)
            head, body = readResponse(sock)
        sock.sendall(b"nonsense\r\n\r\n")
        readAll(sock)
        size = len(head) + 4 + len(body)
        report = waitUntil(
            lambda: (r := running.slot.report()).errors and r, "the account"
        )
        assert report.requests == 3
        assert report.bytesIn == 3 * len(GET) + len(b"nonsense\r\n\r\n")
        assert report.bytesOut > 3 * size
        assert report.current == []


def test_requestInHand(make: Make) -> None:
    """
    While a request runs, its line and its start are on the scoreboard.
    """
    go = threading.Event()

    def application(environ: dict[str, Any], start: Any) -> list[bytes]:
        assert go.wait(10)
        return hello(environ, start)

    with make(application) as running, running.connect() as sock:
        sock.sendall(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
        current = waitUntil(lambda: running.slot.report().current, "the request")
        assert current[0][1] == "GET /slow HTTP/1.1" and current[0][0] > 0
        go.set()
        readResponse(sock)
        waitUntil(lambda: not running.slot.report().current, "its end")
