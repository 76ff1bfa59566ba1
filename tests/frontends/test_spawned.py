"""
Front ends that start the application themselves: C{listen = stdin}.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from tests.frontends.checks import FrontEndChecks, Site, site
from tests.frontends.servers import (
    TOP,
    FrontEnd,
    need,
    startApache,
    startLighttpd,
    startNginx,
    takesConnections,
)
from tests.support.processes import BIN, Processes, Running, waitUntil

__all__ = ["site"]

EXAMPLES = TOP / "examples" / "gateway"

APPLICATION = "tests.frontends.application:application"


def script(folder: Path, name: str, *lines: str) -> Path:
    """
    Copy an example with the tests' application, and the environment's command.

    @param lines: more settings.
    """
    text = (EXAMPLES / name).read_text()
    for old, new in {
        "-S svctree run": f"-S {BIN}/svctree run",
        "svctree.demo:application": APPLICATION,
        "pythonpath = .": f"pythonpath = {TOP}",
    }.items():
        assert old in text
        text = text.replace(old, new)
    path = folder / name
    path.write_text("\n".join([text.rstrip(), *lines, ""]))
    path.chmod(0o755)
    return path


class Spawned(FrontEndChecks):
    """
    @cvar name: of the example.
    """

    protocol = "fastcgi"
    name: ClassVar[str] = "app.fcgi"
    reloads = False

    @classmethod
    def meet(cls, folder: Path) -> tuple[str, dict[str, str]]:
        script(folder, cls.name)
        changes = {"/srv/mysvc": str(folder)}
        if "lighttpd" in cls.file:
            changes["/run/mysvc/app.sock"] = f"{folder}/app.sock"
        return "", changes

    @classmethod
    def start(
        cls, processes: Processes, folder: Path, listen: str, options: tuple[str, ...]
    ) -> Running | None:
        if "--mount" in options:
            script(folder, cls.name, "mount = /app")
        return None


class TestLighttpd(Spawned):
    """
    mod_fastcgi with C{bin-path}.
    """

    file = "lighttpd-spawned.conf"
    location: ClassVar[dict[str, str]] = {'( "/" =>': '( "/app" =>'}

    @classmethod
    def front(cls, processes: Processes, folder: Path, text: str) -> FrontEnd:
        return startLighttpd(processes, folder, text)


class TestApache(Spawned):
    """
    mod_fcgid, which starts as many processes as it finds right.
    """

    file = "apache-fcgid.conf"
    location: ClassVar[dict[str, str]] = {'ScriptAlias "/"': 'ScriptAlias "/app/"'}
    oneProcess = False
    # As many as there are processes. Until all of these have started, and whenever one
    # is still with a request that its client gave up, requests try again every second,
    # and none comes before another.
    clients = 4
    patience = 60.0
    keepsClients = False

    @classmethod
    def front(cls, processes: Processes, folder: Path, text: str) -> FrontEnd:
        modules = {"fcgid": "libapache2-mod-fcgid"}
        return startApache(processes, folder, text, modules)


class CGI(Spawned):
    """
    A process for each request.
    """

    file = "apache-cgi.conf"
    name = "app.cgi"
    location: ClassVar[dict[str, str]] = {'ScriptAlias "/"': 'ScriptAlias "/app/"'}
    oneProcess = False
    # Each takes a tenth of a second of processor time, and more on a busy machine. Ten
    # thousand take a quarter of an hour or two: SVCTREE_TEST_MIXED=10000 (checks.py).
    requests = 120
    clients = 2
    keepsClients = False
    aborts = 2
    module: ClassVar[str]

    @classmethod
    def front(cls, processes: Processes, folder: Path, text: str) -> FrontEnd:
        return startApache(processes, folder, text, {cls.module: "apache2"})

    def test_flags(self, site: Site) -> None:
        """
        The application is told that it runs once.
        """
        environ = site.client.act("environment").environ
        assert environ["wsgi.run_once"] is True
        assert environ["wsgi.multiprocess"] is True
        assert environ["wsgi.multithread"] is False


class TestCGI(CGI):
    """
    mod_cgi.
    """

    module = "cgi"


class TestCGID(CGI):
    """
    mod_cgid, which is what Debian enables with Apache's threads.
    """

    module = "cgid"


class TestSpawnFCGI(FrontEndChecks):
    """
    spawn-fcgi, with nginx in front.
    """

    file = "nginx-fastcgi.conf"
    protocol = "fastcgi"
    location: ClassVar[dict[str, str]] = {"location / {": "location /app {"}
    reloads = False

    @classmethod
    def start(
        cls, processes: Processes, folder: Path, listen: str, options: tuple[str, ...]
    ) -> Running | None:
        mount = ["mount = /app"] if "--mount" in options else []
        return spawned(processes, folder, *mount)

    @classmethod
    def front(cls, processes: Processes, folder: Path, text: str) -> FrontEnd:
        return startNginx(processes, folder, text)


def spawned(processes: Processes, folder: Path, *lines: str) -> Running:
    """
    Start the example under spawn-fcgi.
    """
    path = script(folder, "app.fcgi", *lines)
    address = folder / "app.sock"
    running = processes.start(
        [need("spawn-fcgi"), "-n", "-s", str(address), "--", str(path)]
    )
    waitUntil(lambda: takesConnections(address), "spawn-fcgi", 20.0)
    return running


@pytest.fixture(scope="module")
def fastcgi() -> Iterator[Path]:
    """
    The socket of an application under spawn-fcgi.
    """
    import tempfile

    processes = Processes(watchdog=300.0)
    folder = Path(tempfile.mkdtemp(prefix="svctree-"))
    try:
        spawned(processes, folder)
        yield folder / "app.sock"
    finally:
        list(processes.close())
        shutil.rmtree(folder, ignore_errors=True)


def cgiFcgi(address: Path, body: bytes = b"", **variables: str) -> bytes:
    """
    Make a request with cgi-fcgi.

    @return: what the application answered.
    """
    ran = subprocess.run(
        [need("cgi-fcgi"), "-bind", "-connect", str(address)],
        input=body,
        env={
            "REQUEST_METHOD": "POST" if body else "GET",
            "CONTENT_LENGTH": str(len(body)),
            "SCRIPT_NAME": "",
            "PATH_INFO": "/",
            **variables,
        },
        capture_output=True,
        timeout=30.0,
    )
    # The application's status is the command's.
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("size", [10, 8000, 8200, 20_000, 60_000])
def test_cgiFcgi(fastcgi: Path, size: int) -> None:
    """
    cgi-fcgi cuts the parameters into records of 8 KiB, in the middle of a pair.
    """
    from tests.frontends.client import digest

    cookie = "c" * size
    answer = cgiFcgi(fastcgi, QUERY_STRING="act=environment", HTTP_COOKIE=cookie)
    assert cookie.encode() in answer
    body = os.urandom(size)
    answer = cgiFcgi(fastcgi, body, QUERY_STRING="act=body", HTTP_COOKIE=cookie)
    assert answer.endswith(digest(body).encode())


@pytest.mark.slow
def test_cgiFcgiMixed(fastcgi: Path) -> None:
    """
    Ten thousand requests with cgi-fcgi, a tenth of them with 100 KiB, and some that
    end before they are answered: every answer is right.
    """
    import concurrent.futures

    body = os.urandom(100_000)

    def one(number: int) -> bool:
        if number % 50 == 0:
            ran = subprocess.Popen(
                [need("cgi-fcgi"), "-bind", "-connect", str(fastcgi)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                env={"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "100000"},
            )
            ran.kill()
            ran.wait()
            assert ran.stdin is not None
            ran.stdin.close()
            return True
        if number % 10 == 0:
            answer = cgiFcgi(fastcgi, body, QUERY_STRING="act=body")
            return answer.split()[-2:-1] == [b"100000"]
        answer = cgiFcgi(fastcgi, QUERY_STRING=f"act=size&n={number % 1000}")
        return answer.endswith(b"\r\n\r\n" + b"x" * (number % 1000))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(pool.map(one, range(10_000)))


def twistd(*options: str) -> list[str]:
    argv = [str(BIN / "twistd"), "-n", "--pidfile=", "svctree", *options]
    return [*argv, APPLICATION]


def environment(**variables: str) -> dict[str, str]:
    path = os.pathsep.join([str(TOP), *sys.path[1:]])
    return {**os.environ, "PYTHONPATH": path, **variables}


@pytest.mark.parametrize("source", ["pipe", "file", "null"])
@pytest.mark.parametrize(
    "options",
    [
        ("--listen", "stdin", "--protocol", "fastcgi"),
        ("--protocol", "cgi", "--workermodel", "once"),
    ],
)
def test_cgiUnderTwistd(source: str, options: tuple[str, ...], tmp_path: Path) -> None:
    """
    With standard input a pipe, a file or /dev/null, C{twistd svctree} is a CGI
    script: its standard output has the answer and nothing else.
    """
    body = b"" if source == "null" else b"some body"
    (tmp_path / "body").write_bytes(body)
    variables = environment(
        REQUEST_METHOD="POST",
        CONTENT_LENGTH=str(len(body)),
        SCRIPT_NAME="/x.cgi",
        QUERY_STRING="act=body",
    )
    with open(os.devnull if source == "null" else tmp_path / "body", "rb") as file:
        ran = subprocess.run(
            twistd(*options),
            env=variables,
            capture_output=True,
            timeout=30.0,
            **({"input": body} if source == "pipe" else {"stdin": file}),
        )
    assert ran.returncode == 0, ran.stderr
    head, _, text = ran.stdout.partition(b"\r\n\r\n")
    assert head.startswith(b"Status: 200 OK\r\n"), ran.stderr
    assert text.startswith(b"%d " % len(body))


def test_noRequest() -> None:
    """
    Started by hand, such a process says what is missing.
    """
    variables = environment()
    variables.pop("REQUEST_METHOD", None)
    ran = subprocess.run(
        twistd("--protocol", "cgi"),
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30.0,
    )
    assert ran.returncode == 1
    assert b"there is no CGI request in the environment" in ran.stderr
    assert ran.stdout == b""


@pytest.mark.parametrize(
    ("protocol", "request_", "begin"),
    [
        ("http", b"GET /?act=size&n=3 HTTP/1.0\r\n\r\n", b"HTTP/1.1 200 OK"),
        (
            "scgi",
            b"70:CONTENT_LENGTH\x000\x00SCGI\x001\x00REQUEST_METHOD\x00GET\x00"
            b"REQUEST_URI\x00/?act=size&n=3\x00,",
            b"Status: 200 OK",
        ),
    ],
)
def test_inetd(protocol: str, request_: bytes, begin: bytes) -> None:
    """
    With standard input a connection, one request is served on it, and then the
    process ends.
    """
    ours, theirs = socket.socketpair()
    with ours, contextlib.ExitStack() as stack:
        stack.callback(theirs.close)
        process = subprocess.Popen(
            twistd("--listen", "stdin", "--protocol", protocol),
            env=environment(),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        theirs.close()
        ours.settimeout(30.0)
        ours.sendall(request_)
        answer = b""
        while data := ours.recv(65536):
            answer += data
        assert process.wait(30.0) == 0
    assert answer.startswith(begin), answer
    assert answer.endswith(b"xxx")
    assert answer.count(b"xxx") == 1


def test_onceOnAListener(processes: Processes, tmp_path: Path) -> None:
    """
    C{workermodel = once} with an address serves the first connection, and ends.
    """
    address = tmp_path / "s"
    running = processes.start(
        twistd("--listen", f"unix:{address}", "--workermodel", "once"),
        cwd=tmp_path,
        env=environment(),
    )
    waitUntil(address.exists, "the socket")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(address))
        sock.sendall(b"GET /?act=process HTTP/1.0\r\n\r\n")
        answer = b""
        while data := sock.recv(65536):
            answer += data
    assert running.wait() == 0
    assert answer.startswith(b"HTTP/1.1 200 OK")
    # The process that listened is the one that answered.
    assert answer.partition(b"\r\n\r\n")[2].split()[0] == b"%d" % running.pid
    assert not address.exists()
