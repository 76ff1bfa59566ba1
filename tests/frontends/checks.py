"""
What has to be true behind every front end.

A module of tests derives a class for each configuration and says how it is started;
the checks are the same for all.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import random
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.frontends.client import Answer, Client, KeptClient, digest
from tests.frontends.servers import FrontEnd, freePort, listing, startService
from tests.support.processes import Processes, Running, childrenOf, waitUntil

__all__ = ["FrontEndChecks", "Site", "site"]

MIXED = int(os.environ.get("SVCTREE_TEST_MIXED", 0))
"""So many mixed requests behind each front end, and not as many as its class says."""

DROPPED = (
    "HTTP_CONTENT_LENGTH",
    "HTTP_CONTENT_TYPE",
    "HTTP_TRANSFER_ENCODING",
    "HTTP_PROXY",
)


class Site:
    """
    A front end and what is behind it.

    @ivar service: the master, or L{None} where the front end starts the application.
    """

    def __init__(
        self,
        processes: Processes,
        folder: Path,
        front: FrontEnd,
        service: Running | None,
        patience: float,
    ) -> None:
        self.processes = processes
        self.folder = folder
        self.front = front
        self.service = service
        self.client = Client(front.port, patience=patience)

    def worker(self) -> tuple[int, int]:
        """
        @return: the pid of a worker that answers, and how many descriptors it has
            open.
        """
        pid, count = self.client.act("process").text.split()
        return int(pid), int(count)

    def seasoned(self) -> tuple[int, int]:
        """
        As L{worker}, with the file that a worker keeps for large bodies.
        """
        self.client.ask("/?act=body", "POST", bytes(200_000))
        return self.worker()

    def explain(self) -> str:
        said = self.service.output[-4000:] if self.service else ""
        return f"{self.front.errors[-4000:]}\n{said}"


class Configuration:
    """
    How a site is put together.

    @cvar file: the listing.
    @cvar protocol: between front end and workers.
    @cvar tcp: they meet on a port, not on a unix socket.
    @cvar location: what a listing has for the root, and the same for a prefix.
    @cvar patience: seconds that a client waits for an answer.
    """

    file: ClassVar[str]
    protocol: ClassVar[str]
    tcp: ClassVar[bool] = False
    patience: ClassVar[float] = 20.0
    location: ClassVar[dict[str, str]]

    @classmethod
    def front(cls, processes: Processes, folder: Path, text: str) -> FrontEnd:
        raise NotImplementedError

    @classmethod
    def meet(cls, folder: Path) -> tuple[str, dict[str, str]]:
        """
        @return: the address of the service, and what to put into the listing.
        """
        if cls.tcp:
            port = freePort()
            if "lighttpd" in cls.file:
                return f"tcp:127.0.0.1:{port}", {'"port" => 8000': f'"port" => {port}'}
            return f"tcp:127.0.0.1:{port}", {"127.0.0.1:8000": f"127.0.0.1:{port}"}
        path = f"{folder}/app.sock"
        return f"unix:{path}", {"/run/mysvc/app.sock": path}

    @classmethod
    @contextlib.contextmanager
    def running(cls, *options: str, prefixed: bool = False) -> Iterator[Site]:
        processes = Processes(watchdog=300.0 + 3.0 * MIXED)
        # Not pytest's folder, which only its owner may enter, and whose long name
        # leaves no room for the path of a unix socket.
        folder = Path(tempfile.mkdtemp(prefix="svctree-"))
        folder.chmod(0o755)
        try:
            listen, changes = cls.meet(folder)
            if prefixed:
                changes = {**cls.location, **changes}
                options = (*options, "--mount", "/app")
            text = listing(cls.file, changes)
            service = cls.start(processes, folder, listen, options)
            front = cls.front(processes, folder, text)
            yield Site(processes, folder, front, service, cls.patience)
        finally:
            list(processes.close())
            shutil.rmtree(folder, ignore_errors=True)

    @classmethod
    def start(
        cls, processes: Processes, folder: Path, listen: str, options: tuple[str, ...]
    ) -> Running | None:
        return startService(
            processes, folder, listen, cls.protocol, "--workers", "1", *options
        )


@pytest.fixture(scope="class")
def site(request: Any) -> Iterator[Site]:
    """
    The site of a class, started once for its tests. No request may have failed in it
    but those that were meant to.
    """
    with request.cls.running() as made:
        yield made
        log = made.service.output if made.service is not None else ""
        failures = re.findall("the application failed: .*", log)
        assert [one for one in failures if "act=fail" not in one] == []


class FrontEndChecks(Configuration):
    """
    The tests.

    @cvar chunkedStatus: what a client may get that uploads in chunks.
    @cvar slashes: C{%2F} reaches the application.
    @cvar reloads: whether there is a pool to reload.
    @cvar streams: pieces arrive as they are produced.
    @cvar oneProcess: the same worker answers every request.
    @cvar requests: how many of all sorts, when nobody says.
    @cvar clients: how many ask at the same time.
    @cvar keepsClients: connections of clients end when the front end has said so.
    @cvar aborts: how many of each sort.
    @cvar kept: connections that the front end keeps open when nobody asks.
    """

    chunkedStatus: ClassVar[tuple[int, ...]] = (200,)
    slashes: ClassVar[bool] = True
    reloads: ClassVar[bool] = True
    streams: ClassVar[bool] = False
    oneProcess: ClassVar[bool] = True
    kept: ClassVar[int] = 0
    requests: ClassVar[int] = 10_000
    keepsClients: ClassVar[bool] = True
    aborts: ClassVar[int] = 20
    clients: ClassVar[int] = 8

    def test_query(self, site: Site) -> None:
        """
        The query string arrives as it was sent.
        """
        for query in ("", "a=b", "a=b&c=%20%2F&d", "x=?/;", "q=" + "y" * 2000):
            environ = site.client.ask(f"/page?{query}").environ
            assert environ["QUERY_STRING"] == query
            assert environ["PATH_INFO"] == "/page"

    def test_variables(self, site: Site) -> None:
        """
        The client's address, the server's name, the scheme and the fields are there;
        what PEP 3333 does not want is not.
        """
        environ = site.client.ask(
            "/", fields={"X-Some": "thing", "Proxy": "evil", "Host": "example.org:81"}
        ).environ
        assert environ["HTTP_X_SOME"] == "thing"
        assert environ["wsgi.url_scheme"] == "http"
        assert environ["REQUEST_METHOD"] == "GET"
        assert environ["REMOTE_ADDR"] in ("127.0.0.1", "")
        assert environ["SERVER_NAME"]
        assert environ["SERVER_PORT"].isdecimal()
        assert not [name for name in DROPPED if name in environ]

    @pytest.mark.parametrize("size", [1, 65536, 5_000_000])
    def test_upload(self, site: Site, size: int) -> None:
        """
        A body of any size arrives whole.
        """
        data = random.Random(size).randbytes(size)
        answer = site.client.ask("/?act=body", "POST", data)
        assert answer.text == digest(data), site.explain()

    @pytest.mark.parametrize("size", [1, 65536, 5_000_000])
    def test_chunkedUpload(self, site: Site, size: int) -> None:
        """
        So does one that is sent in chunks, or the front end refuses it.
        """
        data = random.Random(size).randbytes(size)
        chunks = [data[at : at + 50_000] for at in range(0, size, 50_000)]
        try:
            answer = site.client.ask("/?act=body", "POST", chunks)
        except BrokenPipeError:
            # Refused before all of it was sent.
            assert self.chunkedStatus != (200,)
            return
        assert answer.status in self.chunkedStatus, site.explain()
        if answer.status == 200:
            assert answer.text == digest(data), site.explain()

    def test_head(self, site: Site) -> None:
        """
        HEAD is answered without a body, and the connection stays usable.
        """
        for _ in range(2):
            answer = site.client.ask("/?act=size&n=100", "HEAD")
            assert (answer.status, answer.body) == (200, b"")
        assert site.client.act("size", n=100).body == b"x" * 100

    @pytest.mark.parametrize("size", [0, 1, 65535, 65536, 3_000_000])
    def test_download(self, site: Site, size: int) -> None:
        """
        An answer of any size arrives whole.
        """
        assert site.client.act("size", n=size).body == b"x" * size, site.explain()

    def test_stream(self, site: Site) -> None:
        """
        An answer in pieces arrives whole, and as it is produced where the front end
        does not collect it.
        """
        answer = site.client.act("stream", n=50)
        assert answer.body == b"".join(b"%d\n" % n * 100 for n in range(50))
        if self.streams:
            begun = time.monotonic()
            times = [
                time.monotonic() - begun
                for _ in site.client.pieces("/?act=stream&n=4&pause=0.2")
            ]
            assert times[-1] - times[0] > 0.3

    @pytest.mark.parametrize(
        ("status", "bodiless"),
        [
            ("204 No Content", True),
            ("304 Not Modified", True),
            ("299 Peculiar", False),
            ("404 Not Found", False),
            ("418 I'm a teapot", False),
            ("503 Service Unavailable", False),
        ],
    )
    def test_status(self, site: Site, status: str, bodiless: bool) -> None:
        """
        Any status reaches the client; 204 and 304 have no body.
        """
        answer = site.client.act("status", code=status.replace(" ", "%20"))
        assert answer.status == int(status[:3]), site.explain()
        if bodiless:
            assert answer.body == b""
            if status[:3] == "304":
                assert answer.fields["ETag"] == '"x"'
        else:
            assert answer.fields["X-Odd"] == "yes"
            assert answer.body == b"odd"

    def test_cookies(self, site: Site) -> None:
        """
        Several Set-Cookie fields stay several.
        """
        answer = site.client.act("cookies")
        assert answer.fields.get_all("Set-Cookie") == ["a=1", "b=2; Path=/"]

    def test_repeatedFields(self, site: Site) -> None:
        """
        A field that the client repeats is no reason to fail.
        """
        import http.client

        connection = http.client.HTTPConnection("127.0.0.1", site.front.port, 20.0)
        with contextlib.closing(connection):
            connection.putrequest("GET", "/")
            connection.putheader("X-Twice", "1")
            connection.putheader("X-Twice", "2")
            connection.endheaders()
            environ = Answer(connection.getresponse()).environ
        assert environ["HTTP_X_TWICE"].replace(" ", "") in ("1,2", "1", "2")

    def test_path(self, site: Site) -> None:
        """
        At the root SCRIPT_NAME is empty, and PATH_INFO is the decoded path.
        """
        targets = {
            "/": "/",
            "/a%20b/c": "/a b/c",
            "/%C3%BC": "/\xc3\xbc",
            "/a+b": "/a+b",
            "/100%25": "/100%",
        }
        if self.slashes:
            targets["/a%2Fb"] = "/a/b"
        for target, path in targets.items():
            environ = site.client.ask(target).environ
            found = (environ["SCRIPT_NAME"], environ["PATH_INFO"])
            assert found == ("", path), environ

    def test_prefix(self) -> None:
        """
        Under a prefix SCRIPT_NAME is the prefix, and PATH_INFO the rest.
        """
        with self.running(prefixed=True) as site:
            targets = {"/app/": "/", "/app/a%20b": "/a b", "/app/x/y?z": "/x/y"}
            if self.slashes:
                targets["/app/a%2Fb"] = "/a/b"
            for target, path in targets.items():
                environ = site.client.ask(target).environ
                found = (environ["SCRIPT_NAME"], environ["PATH_INFO"])
                assert found == ("/app", path), environ

    def test_ignoredBody(self, site: Site) -> None:
        """
        An application that does not read the body answers all the same.
        """
        for size in (1, 100_000, 2_000_000):
            answer = site.client.ask("/?act=ignore", "POST", bytes(size))
            assert answer.text == "ignored", site.explain()

    def test_failure(self, site: Site) -> None:
        """
        An application that fails gives 500, and the worker serves on.
        """
        before = site.worker()[0]
        assert site.client.act("fail").status == 500
        if self.oneProcess:
            assert site.worker()[0] == before

    def test_clientAborts(self, site: Site) -> None:
        """
        Clients that go away, in their head, in their body or in the answer, cost
        nothing: the same worker serves on, with no descriptor more.
        """
        before = site.seasoned()
        for _ in range(self.aborts):
            site.client.abort(b"GET @/?act=sleep&s=0.01 HTTP/1.1\r\nHost: x\r\n\r\n")
            site.client.abort(b"GET @/?act=size&n=3000000 HTTP/1.1\r\nHost: x\r\n\r\n")
            site.client.abort(
                b"POST @/?act=body HTTP/1.1\r\nHost: x\r\n"
                b"Content-Length: 1000000\r\n\r\n" + bytes(200_000)
            )
            site.client.abort(b"GET @/ HTTP/1.1\r\nHo")
        if self.oneProcess:
            self.whenAsBefore(site, before)
        assert site.client.act("size", n=10).body == b"x" * 10

    def whenAsBefore(self, site: Site, before: tuple[int, int]) -> None:
        """
        Wait until the same worker has no more descriptors open than before.
        """
        pid, count = before
        found: list[tuple[int, int]] = []

        def same() -> bool:
            found[:] = [site.worker()]
            assert found[0][0] == pid, site.explain()
            return found[0][1] <= count + self.kept

        waitUntil(same, f"at most {count} descriptors", 20.0)

    @pytest.mark.slow
    @pytest.mark.timeout(120.0 + MIXED)
    def test_mixed(self, site: Site) -> None:
        """
        Ten thousand requests of all sorts, eight clients: no wrong body, no leaked
        descriptor, no stuck worker.
        """
        before = site.seasoned()
        requests = MIXED or self.requests
        with concurrent.futures.ThreadPoolExecutor(self.clients) as pool:
            shares = [
                pool.submit(self.share, site, number, requests // self.clients)
                for number in range(self.clients)
            ]
            wrong = [error for share in shares for error in share.result()]
        assert not wrong, (wrong[:5], site.explain())
        if self.oneProcess:
            self.whenAsBefore(site, before)

    def share(self, site: Site, seed: int, count: int) -> list[str]:
        """
        One client's part.

        @return: what was wrong.
        """
        if not self.keepsClients:
            return self._mixed(site.client, random.Random(seed), count)
        with contextlib.closing(KeptClient(site.front.port)) as client:
            return self._mixed(client, random.Random(seed), count)

    def _mixed(self, client: Client, dice: random.Random, count: int) -> list[str]:
        wrong = []
        data = dice.randbytes(100_000)
        for _ in range(count):
            kind = dice.random()
            if kind < 0.80:
                size = dice.choice((0, 5, 300, 20_000))
                right = client.act("size", n=size).body == b"x" * size
            elif kind < 0.90:
                body = data[: dice.choice((1, 1000, 100_000))]
                right = client.ask("/?act=body", "POST", body).text == digest(body)
            elif kind < 0.95 and self.chunkedStatus == (200,):
                body = data[: dice.choice((1, 1000, 100_000))]
                answer = client.ask("/?act=body", "POST", iter([body]))
                right = answer.text == digest(body)
            elif kind < 0.98:
                right = client.act("stream", n=3).body.startswith(b"0\n")
            else:
                client.abort(
                    b"POST @/?act=body HTTP/1.1\r\nHost: x\r\n"
                    b"Content-Length: 100000\r\n\r\n" + data[:50_000]
                )
                right = True
            if not right:
                wrong.append(f"{kind}")
        return wrong

    def test_reload(self, site: Site) -> None:
        """
        Three reloads under load lose nothing.
        """
        if not self.reloads:
            pytest.skip("the front end starts the application itself")
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            ended: list[bool] = []
            clients = [pool.submit(_ask, site.client, ended) for _ in range(4)]
            try:
                self.reloadThrice(site)
            finally:
                ended.append(True)
            results = [client.result() for client in clients]
            errors = [error for _, errors in results for error in errors]
            assert not errors, (errors[:5], site.explain())
            assert sum(count for count, _ in results) > 50

    def reloadThrice(self, site: Site) -> None:
        """
        Ask for a reload and wait until the old generation is gone, three times.
        """
        service = site.service
        assert service is not None
        seen = {site.worker()[0]}
        for _ in range(3):
            os.kill(service.pid, signal.SIGHUP)
            waitUntil(
                lambda: site.worker()[0] not in seen and _settled(service),
                "the next generation",
                30.0,
            )
            seen.add(site.worker()[0])


def _settled(service: Running) -> bool:
    # One zygote: the old generation is gone.
    return len(childrenOf(service.pid)) == 1


def _ask(client: Client, ended: list[bool]) -> tuple[int, list[str]]:
    count, errors = 0, []
    while not ended:
        count += 1
        try:
            answer = client.act("size", n=100)
            if (answer.status, answer.body) != (200, b"x" * 100):
                errors.append(f"{answer.status} {answer.body[:60]!r}")
        except OSError as error:
            errors.append(repr(error))
    return count, errors
