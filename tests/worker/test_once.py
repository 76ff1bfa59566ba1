"""
L{svctree.worker.once}.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from svctree.worker.once import NoCGIRequest, Once

SETTINGS = {"protocol": "http", "timeout": 5.0, "bufferRequest": 10}


def application(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    start("200 OK", [("Content-Type", "text/plain")])
    return [b"%s %d" % (environ["REQUEST_METHOD"].encode(), len(body))]


def connected(serve: Callable[[int], bool], data: bytes) -> tuple[bytes, bool]:
    """
    @return: what the peer reads when it sends C{data}, and what C{serve} returned.
    """
    ours, theirs = socket.socketpair()
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(serve(theirs.fileno())))
    thread.start()
    with ours:
        ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)
        answer = b""
        # The other end has two descriptors in this process; the end that counts is
        # the shutdown.
        while piece := ours.recv(65536):
            answer += piece
    thread.join()
    theirs.close()
    return answer, results[0]


@pytest.mark.parametrize("size", [0, 5, 100_000])
def test_connection(size: int) -> None:
    """
    One request of a connection is answered, bodies of any size included, and the
    connection ends with the answer.
    """
    head = f"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {size}\r\n\r\n".encode()
    once = Once(application, SETTINGS)
    answer, done = connected(once.fromConnected, head + bytes(size) + head)
    assert done
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\nPOST %d" % size)
    assert answer.count(b"HTTP/1.1 200") == 1


def test_refused(capfd: pytest.CaptureFixture[str]) -> None:
    """
    What is no request is refused, and logged.
    """
    once = Once(application, SETTINGS)
    answer, done = connected(once.fromConnected, b"nonsense\r\n\r\n")
    assert not done
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert "a request was refused: 400" in capfd.readouterr().err


def test_cutShort(capfd: pytest.CaptureFixture[str]) -> None:
    """
    Half a request is lost, and logged; nothing at all is nothing.
    """
    once = Once(application, SETTINGS)
    answer, done = connected(once.fromConnected, b"GET / HT")
    assert (answer, done) == (b"", False)
    assert "a request was lost" in capfd.readouterr().err
    assert connected(once.fromConnected, b"") == (b"", False)


def test_cutBody(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """
    An application is not called with a part of a body, from a connection or as a CGI
    script.
    """
    called: list[int] = []

    def noting(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        called.append(1)
        return application(environ, start)

    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"
    once = Once(noting, SETTINGS)
    assert connected(once.fromConnected, head + b"hell") == (b"", False)
    source = tmp_path / "body"
    source.write_bytes(b"hell")
    environment = {b"REQUEST_METHOD": b"POST", b"CONTENT_LENGTH": b"5"}
    with source.open("rb") as file, (tmp_path / "answer").open("w+b") as target:
        script = Once(noting, {**SETTINGS, "protocol": "cgi"})
        done = script.fromEnvironment(environment, file.fileno(), target.fileno())
        assert not done and b"200 OK" not in (tmp_path / "answer").read_bytes()
    assert not called
    assert capfd.readouterr().err.count("a request was lost") == 2


def test_aborted(capfd: pytest.CaptureFixture[str]) -> None:
    """
    A FastCGI request that its peer gives up is confirmed, and not run.
    """
    once = Once(application, {**SETTINGS, "protocol": "fastcgi"})
    begin = b"\1\1\0\1\0\x08\0\0\0\1\0\0\0\0\0\0"
    abort = b"\1\2\0\1\0\0\0\0"
    answer, done = connected(once.fromConnected, begin + abort)
    assert (answer, done) == (b"\1\3\0\1\0\x08\0\0" + bytes(8), False)
    assert "aborted" in capfd.readouterr().err


def cgi(body: bytes, tmp_path: Path, **variables: bytes) -> tuple[bytes, bool]:
    source = tmp_path / "body"
    source.write_bytes(body)
    target = tmp_path / "answer"
    environment = {name.encode(): value for name, value in variables.items()}
    once = Once(application, SETTINGS)
    with open(source, "rb") as read, open(target, "wb") as write:
        done = once.fromEnvironment(environment, read.fileno(), write.fileno())
    return target.read_bytes(), done


@pytest.mark.parametrize("size", [0, 5, 100_000])
def test_cgi(tmp_path: Path, size: int) -> None:
    """
    A CGI request is answered in CGI's form.
    """
    length = str(size).encode()
    answer, done = cgi(
        bytes(size), tmp_path, REQUEST_METHOD=b"POST", CONTENT_LENGTH=length
    )
    assert done
    assert answer.startswith(b"Status: 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nPOST %d" % size)


def test_cgiRefused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """
    A CGI request that is wrong gets an answer that says so.
    """
    answer, done = cgi(b"", tmp_path, REQUEST_METHOD=b"POST", CONTENT_LENGTH=b"+1")
    assert not done
    assert answer.startswith(b"Status: 400 Bad Request\r\n")
    assert "CONTENT_LENGTH" in capfd.readouterr().err


def test_file(tmp_path: Path) -> None:
    """
    Files are sent, and the process's own ways of reading them do not matter.
    """
    served = tmp_path / "served"
    served.write_bytes(os.urandom(3_000_000))

    def sends(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        size = str(served.stat().st_size)
        start("200 OK", [("Content-Type", "x/y"), ("Content-Length", size)])
        file = open(served, "rb")  # noqa: SIM115 (the wrapper closes it)
        found: Iterable[bytes] = environ["wsgi.file_wrapper"](file)
        return found

    once = Once(sends, SETTINGS)
    answer, done = connected(once.fromConnected, b"GET / HTTP/1.0\r\n\r\n")
    assert done
    assert answer.endswith(b"\r\n\r\n" + served.read_bytes())
    target = tmp_path / "answer"
    with open(target, "wb") as write:
        once.fromEnvironment({b"REQUEST_METHOD": b"GET"}, 0, write.fileno())
    assert target.read_bytes().endswith(b"\r\n\r\n" + served.read_bytes())


def test_noRequest() -> None:
    """
    Without a request in the environment there is nothing to serve.
    """
    with pytest.raises(NoCGIRequest):
        Once(application, SETTINGS).fromEnvironment({})


def test_flags() -> None:
    """
    The application is told that it runs once.
    """
    seen: dict[str, Any] = {}

    def looks(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        seen.update(environ)
        return application(environ, start)

    connected(Once(looks, SETTINGS).fromConnected, b"GET / HTTP/1.0\r\n\r\n")
    assert seen["wsgi.run_once"] is True
    assert seen["wsgi.multiprocess"] is True
    assert seen["wsgi.multithread"] is False
