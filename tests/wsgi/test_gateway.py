"""
The gateway: PEP 3333 between an application, a codec and a sink.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.validate import validator

import pytest
from twisted.internet.task import Clock

from svctree.wire.contract import Limits, Request
from svctree.wire.fastcgi.factory import FastCGIFactory
from svctree.wire.fastcgi.pairs import renderPairs
from svctree.wire.fastcgi.records import Kind, renderRecord
from svctree.wire.http import HTTPCodec, HTTPFactory
from svctree.wsgi import NO_INPUT, ClientGone, FileWrapper, Gateway
from svctree.wsgi.exchange import CUT, DONE, RESET

TEXT = [("Content-Type", "text/plain")]

TEMPLATE: dict[str, object] = {
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.input": NO_INPUT,
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": False,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
    "wsgi.file_wrapper": FileWrapper,
    "SERVER_NAME": "a",
    "SERVER_PORT": "1",
    "REMOTE_ADDR": "192.0.2.1",
    "SCRIPT_NAME": "",
    "REQUEST_METHOD": "",
    "PATH_INFO": "",
    "QUERY_STRING": "",
    "REQUEST_URI": "",
    "RAW_URI": "",
    "SERVER_PROTOCOL": "",
}


class Sink:
    """
    Keeps what is written; leaves after C{patience} writes.
    """

    def __init__(self, patience: int = 1000) -> None:
        self.writes: list[bytes] = []
        self.files: list[bytes] = []
        self._patience = patience

    def write(self, data: bytes) -> None:
        if len(self.writes) >= self._patience:
            raise ClientGone
        self.writes.append(data)

    def begin(self, data: bytes) -> None:
        self.write(data)

    def gather(self, on: bool) -> None:
        self.writes.append(b"gather" if on else b"as it comes")

    def sendFile(self, fd: int, offset: int, count: int) -> None:
        import os

        data = os.pread(fd, count, offset)
        assert len(data) == count
        self.files.append(data)
        self.writes.append(data)

    @property
    def body(self) -> bytes:
        data = b"".join(self.writes)
        return data.partition(b"\r\n\r\n")[2]

    @property
    def head(self) -> bytes:
        return b"".join(self.writes).partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize("size", [5, 500_000])
@pytest.mark.parametrize("declared", [True, False])
def test_oneBlockEndsOnce(
    capfd: pytest.CaptureFixture[str], size: int, declared: bool
) -> None:
    """
    An iterable of one block is answered and ended once: over FastCGI a second end
    would be an error, and the connection reset under the answer.
    """
    codec = FastCGIFactory(Limits(), "", "", environment={})(TEMPLATE, None)
    variables = {"REQUEST_METHOD": "GET", "REQUEST_URI": "/", "SERVER_NAME": "h"}
    begin = renderRecord(Kind.BEGIN_REQUEST, 1, bytes((0, 1, 1, 0, 0, 0, 0, 0)))
    params = renderRecord(Kind.PARAMS, 1, renderPairs(variables))
    ends = renderRecord(Kind.PARAMS, 1) + renderRecord(Kind.STDIN, 1)
    event = codec.feed(begin + params + ends)
    assert isinstance(event, Request)

    def application(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        length = [("Content-Length", str(size))] if declared else []
        start("200 OK", TEXT + length)
        yield b"#" * size

    sink = Sink()
    assert Gateway(application).answer(event.environ, codec, sink) == DONE
    assert b"".join(sink.writes).count(b"#") == size
    assert codec.keepAlive and codec.idle
    assert capfd.readouterr().err == ""


class Closing:
    """
    An iterable that counts its C{close} calls.
    """

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = blocks
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._blocks)

    def close(self) -> None:
        self.closed += 1


def run(
    application: Callable[..., Any],
    line: str = "GET / HTTP/1.1",
    patience: int = 1000,
    validate: bool = False,
) -> tuple[int, Sink, HTTPCodec]:
    codec = HTTPFactory(Limits(), "", "")(TEMPLATE)
    event = codec.feed(f"{line}\r\nHost: h\r\n\r\n".encode())
    assert isinstance(event, Request)
    sink = Sink(patience)
    if validate:
        application = validator(application)
    outcome = Gateway(application).answer(event.environ, codec, sink)
    return outcome, sink, codec


def giving(result: Any, headers: list[tuple[str, str]] = TEXT) -> Callable[..., Any]:
    def application(environ: dict[str, Any], start: Any) -> Any:
        start("200 OK", list(headers))
        return result

    return application


@pytest.mark.parametrize(
    "result",
    [
        [b"hello"],
        (b"hello",),
        [b"hel", b"lo"],
        [b"", b"hello", b""],
        iter([b"hello"]),
        (block for block in (b"hel", b"", b"lo")),
        {b"hello": 1},
    ],
    ids=["list", "tuple", "two", "empty ones", "iterator", "generator", "dictionary"],
)
def test_iterables(result: Any) -> None:
    """
    Iterables of every kind give the same body.
    """
    outcome, sink, codec = run(giving(result))
    assert outcome == DONE and codec.keepAlive
    body = sink.body
    if b"chunked" in sink.head:
        body = unchunked(body)
    assert body == b"hello"


LARGE = b"#" * 20_000


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        # (seconds before it, the block)
        ([(0, LARGE)], "#"),
        ([(0, LARGE), (0.001, LARGE), (0.001, LARGE)], "#[##]"),
        ([(0, LARGE), (0.001, LARGE), (0.1, LARGE)], "#[#]#"),
        ([(0, LARGE), (0.001, LARGE), (0.001, b"."), (0.001, LARGE)], "#[#].[#]"),
        ([(0, b"."), (0.001, b"."), (0.001, b".")], "..."),
        ([(0, LARGE), (0.1, LARGE), (0.1, LARGE)], "###"),
    ],
)
def test_flow(
    monkeypatch: pytest.MonkeyPatch,
    declared: bool,
    blocks: list[tuple[float, bytes]],
    expected: str,
) -> None:
    """
    As long as large blocks come one shortly after another, whole segments are sent;
    and no longer, lest what is small or late wait for others.
    """
    clock = Clock()
    clock.advance(1000.0)
    monkeypatch.setattr("svctree.wsgi.exchange.monotonic", clock.seconds)

    def application(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        size = sum(len(block) for _, block in blocks)
        # One block alone would be an answer of one block.
        length = [("Content-Length", str(size + 1))] if declared else []
        start("200 OK", TEXT + length)
        for wait, block in blocks:
            clock.advance(wait)
            yield block
        clock.advance(1.0)
        yield b"!"

    outcome, sink, _ = run(application)
    assert outcome == DONE
    names = {b"gather": "[", b"as it comes": "]"}
    seen = "".join(
        names.get(data) or next(sign for sign in "#.!0" if sign.encode() in data[-9:])
        for data in sink.writes
    )
    assert seen == expected + ("!" if declared else "!0")


def test_flowEnds() -> None:
    """
    An answer that ends in the flow leaves nothing that waits.
    """
    outcome, sink, _ = run(giving(iter([LARGE] * 4)))
    assert outcome == DONE
    assert sink.writes[1] == b"gather"
    assert sink.writes[-2:] == [b"0\r\n\r\n", b"as it comes"]


def unchunked(data: bytes) -> bytes:
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        if not int(size, 16):
            assert data == b"\r\n"
            return body
        body += data[: int(size, 16)]
        data = data[int(size, 16) + 2 :]


@pytest.mark.parametrize(
    "line", ["GET / HTTP/1.1", "HEAD / HTTP/1.1", "GET / HTTP/1.0"]
)
@pytest.mark.parametrize("lazy", [False, True])
def test_validator(line: str, lazy: bool) -> None:
    """
    C{wsgiref.validate} finds nothing.
    """

    def blocks() -> Iterator[bytes]:
        yield b"a"
        yield b"b"

    _, sink, _ = run(giving(blocks() if lazy else [b"ab"]), line, validate=True)
    assert sink.head.startswith(b"HTTP/1.1 200 OK"), sink.writes


def test_oneWrite() -> None:
    """
    Head and body of an answer of one block leave in one write; so does what a
    framework's iterable of one block declares.
    """
    assert len(run(giving([b"hello"]))[1].writes) == 1
    sized = [*TEXT, ("Content-Length", "5")]
    assert len(run(giving(Closing([b"hello"]), sized))[1].writes) == 1


def test_lengthInferred() -> None:
    """
    The length of a single block is said.
    """
    assert b"Content-Length: 5" in run(giving([b"hello"]))[1].head
    assert b"Content-Length: 0" in run(giving([]))[1].head


def test_blocksLeaveAtOnce() -> None:
    """
    Each block is sent before the next is asked for.
    """
    seen: list[int] = []
    sink = Sink()

    def blocks() -> Iterator[bytes]:
        for number in range(3):
            yield b"block %d" % number
            seen.append(len(sink.writes))

    codec = HTTPFactory(Limits(), "", "")(TEMPLATE)
    event = codec.feed(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert isinstance(event, Request)
    Gateway(giving(blocks())).answer(event.environ, codec, sink)
    assert seen == [1, 2, 3]


def test_write() -> None:
    """
    C{write} sends at once, before what is returned.
    """

    def application(environ: dict[str, Any], start: Any) -> list[bytes]:
        write = start("200 OK", [*TEXT, ("Content-Length", "6")])
        write(b"abc")
        write(b"")
        return [b"def"]

    outcome, sink, _ = run(application)
    assert outcome == DONE and sink.body == b"abcdef"
    assert sink.writes[0].endswith(b"\r\n\r\nabc")


@pytest.mark.parametrize(
    "result",
    [[b"abc"], iter([b"a", b"bc"]), []],
    ids=["list", "iterator", "nothing"],
)
def test_writeAfterTheEnd(result: Any) -> None:
    """
    Whoever keeps C{write} reaches nobody with it when the answer has ended: the
    connection may serve somebody else by then.
    """
    kept: list[Any] = []

    def application(environ: dict[str, Any], start: Any) -> Any:
        kept.append(start("200 OK", list(TEXT)))
        kept.append(environ["wsgi.early_hints"])
        return result

    _, sink, codec = run(application)
    sent = list(sink.writes)
    write, hint = kept
    with contextlib.suppress(RuntimeError):
        write(b"late")
    with contextlib.suppress(RuntimeError):
        hint([("Link", "</a>")])
    assert sink.writes == sent
    assert codec.idle
    if result:
        with pytest.raises(RuntimeError, match="after the answer had ended"):
            write(b"late")


def test_startInIteration() -> None:
    """
    A generator may call C{start_response} when its first block is asked for.
    """

    def application(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        start("201 Created", TEXT)
        yield b"x"

    assert run(application)[1].head.startswith(b"HTTP/1.1 201 Created")


def test_excInfoBeforeHead() -> None:
    """
    With C{exc_info} an answer that has not begun is replaced.
    """

    def application(environ: dict[str, Any], start: Any) -> list[bytes]:
        start("200 OK", [*TEXT, ("X-Old", "1")])
        try:
            raise ValueError
        except ValueError:
            start("503 Sorry", TEXT, sys.exc_info())
        return [b"sorry"]

    head = run(application)[1].head
    assert head.startswith(b"HTTP/1.1 503 Sorry") and b"X-Old" not in head


def test_excInfoAfterHead(capsys: pytest.CaptureFixture[str]) -> None:
    """
    With C{exc_info} after the head the exception goes on: the answer is cut.
    """

    def application(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        start("200 OK", TEXT)
        yield b"x"
        try:
            raise ValueError("too late")
        except ValueError:
            start("503 Sorry", TEXT, sys.exc_info())

    outcome, sink, _ = run(application)
    assert outcome == CUT and not sink.body.endswith(b"0\r\n\r\n")
    assert "ValueError: too late" in capsys.readouterr().err


def test_startTwice(capsys: pytest.CaptureFixture[str]) -> None:
    """
    A second C{start_response} without C{exc_info} is an error.
    """

    def application(environ: dict[str, Any], start: Any) -> list[bytes]:
        start("200 OK", TEXT)
        start("200 OK", TEXT)
        return [b""]

    assert run(application)[1].head.startswith(b"HTTP/1.1 500")
    assert "start_response called again" in capsys.readouterr().err


def test_failureBeforeHead(capsys: pytest.CaptureFixture[str]) -> None:
    """
    An exception before the head gives a plain 500 on a connection that goes on, and
    the log has request and traceback.
    """

    def application(environ: dict[str, Any], start: Any) -> list[bytes]:
        raise ValueError("broken")

    outcome, sink, codec = run(application, "GET /some?where HTTP/1.1")
    assert outcome == DONE and codec.keepAlive
    assert sink.head.startswith(b"HTTP/1.1 500 Internal Server Error")
    assert sink.body == b"500 Internal Server Error\n"
    log = capsys.readouterr().err
    assert "GET /some?where from 192.0.2.1" in log
    assert "Traceback" in log and "ValueError: broken" in log


def test_failureAfterHead(capsys: pytest.CaptureFixture[str]) -> None:
    """
    After the head the answer is cut: by the missing last chunk or bytes, or by a
    reset where nothing else could tell.
    """

    def application(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        start("200 OK", TEXT)
        yield b"x"
        raise ValueError("broken")

    assert run(application)[0] == CUT
    assert run(application, "GET / HTTP/1.0")[0] == RESET
    assert capsys.readouterr().err.count("ValueError: broken") == 2


def test_systemExit(capsys: pytest.CaptureFixture[str]) -> None:
    """
    An application that calls C{sys.exit} ends its request, not the worker.
    """

    def application(environ: dict[str, Any], start: Any) -> list[bytes]:
        sys.exit(3)

    assert run(application)[1].head.startswith(b"HTTP/1.1 500")
    assert "SystemExit: 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ([("X", "a\r\nY: b")], "X"),
        ([("X", "a\n")], "X"),
        ([("X-Nul", "\0")], "X-Nul"),
        ([("X Y", "a")], "X Y"),
        ([("X:", "a")], "X:"),
        ([("", "a")], "''"),
        ([("X\r\nY", "a")], "no token"),
        ([("Connection", "close")], "Connection"),
        ([("transfer-encoding", "chunked")], "transfer-encoding"),
        ([("Keep-Alive", "5")], "Keep-Alive"),
        ([("Upgrade", "x")], "Upgrade"),
        ([("Status", "200")], "Status"),
        ([("X", "\u20ac")], "latin-1"),
        ([("X", b"a")], "str"),
        ([("X", 5)], "str"),
        ([["X", "a"]], "tuple"),
        ([("X",)], "tuple"),
        ([("Content-Length", "-1")], "Content-Length"),
        ([("Content-Length", "abc")], "Content-Length"),
        ([("Content-Length", "1"), ("content-length", "1")], "Content-Length"),
    ],
    ids=repr,
)
def test_badHeaders(
    headers: Any, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A header that must not be sent gives 500 and a line in the log that names it.
    """
    for _ in range(2):
        sink = run(giving([b"x"], headers))[1]
        assert sink.head.startswith(b"HTTP/1.1 500")
        assert word in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    "status",
    ["OK", "20 OK", "200\r\nX: y", "200 O\0K", "099 X", "200 \u20ac", "2000 X"],
)
def test_badStatus(status: str, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A status that is none gives 500.
    """

    def application(environ: dict[str, Any], start: Any) -> list[bytes]:
        start(status, TEXT)
        return [b"x"]

    assert run(application)[1].head.startswith(b"HTTP/1.1 500")
    assert "the status is" in capsys.readouterr().err


def test_manySetCookies() -> None:
    """
    Repeated fields stay apart and in order.
    """
    headers = [("Set-Cookie", "a=1"), *TEXT, ("Set-Cookie", "b=2")]
    head = run(giving([b"x"], headers))[1].head
    assert head.index(b"Set-Cookie: a=1") < head.index(b"Set-Cookie: b=2")


@pytest.mark.parametrize("result", [[b"too long"], iter([b"too ", b"long", b"!"])])
def test_tooMuch(result: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """
    What exceeds the declared length is cut off and logged; the connection goes on.
    """
    headers = [*TEXT, ("Content-Length", "6")]
    outcome, sink, codec = run(giving(result, headers))
    assert (outcome, sink.body, codec.keepAlive) == (DONE, b"too lo", True)
    assert "more than its Content-Length" in capsys.readouterr().err


def test_tooLittle(capsys: pytest.CaptureFixture[str]) -> None:
    """
    An answer shorter than declared ends the connection.
    """
    for result in ([b"short"], iter([b"sh", b"ort"]), []):
        outcome, sink, _ = run(giving(result, [*TEXT, ("Content-Length", "9")]))
        assert outcome == CUT and b"Content-Length: 9" in sink.head
        assert "less than its Content-Length" in capsys.readouterr().err


def test_headKeepsLength() -> None:
    """
    A HEAD answer keeps the length that the application declares.
    """
    headers = [*TEXT, ("Content-Length", "9")]
    for result in ([], [b""], [b"123456789"], iter([b"1234", b"56789"])):
        outcome, sink, codec = run(giving(result, headers), "HEAD / HTTP/1.1")
        assert outcome == DONE and codec.keepAlive and sink.body == b""
        assert b"Content-Length: 9" in sink.head


@pytest.mark.parametrize(
    "result", ["text", b"bytes", ["text"], [None], iter(["text"]), [bytearray(b"x")]]
)
def test_notBytes(result: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """
    What is not an iterable of bytes gives 500 and says what it was.
    """
    assert run(giving(result))[1].head.startswith(b"HTTP/1.1 500")
    assert "TypeError" in capsys.readouterr().err


def test_noStartResponse(capsys: pytest.CaptureFixture[str]) -> None:
    """
    An application that never calls C{start_response} gives 500.
    """
    for result in ([b"x"], [], iter([b"x"])):
        sink = run(lambda environ, start, result=result: result)[1]
        assert sink.head.startswith(b"HTTP/1.1 500")
        assert "did not call start_response" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["whole", "empty", "fails", "client", "wrong"])
def test_closedOnce(how: str, capsys: pytest.CaptureFixture[str]) -> None:
    """
    C{close} is called exactly once, whatever happens.
    """

    def failing() -> Iterator[bytes]:
        yield b"x"
        raise ValueError

    blocks = {
        "whole": [b"x", b"y"],
        "empty": [],
        "fails": failing(),
        "client": [b"x"] * 10,
        "wrong": ["x"],
    }[how]
    result = Closing(blocks)  # type: ignore[arg-type]
    outcome = run(giving(result), patience=3 if how == "client" else 1000)[0]
    assert result.closed == 1
    assert (outcome == RESET) == (how == "client")


def test_failingClose(capsys: pytest.CaptureFixture[str]) -> None:
    """
    A C{close} that fails is logged; the answer stands.
    """

    class Bad(Closing):
        def close(self) -> None:
            raise ValueError("bad close")

    outcome, sink, _ = run(giving(Bad([b"x"])))
    assert outcome == DONE and b"200 OK" in sink.head
    assert "bad close" in capsys.readouterr().err


def test_fileByDescriptor() -> None:
    """
    A regular file goes out by descriptor, from where it stands, and is closed once.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by the gateway)
    file.write(b"0123456789")
    file.seek(3)

    def application(environ: dict[str, Any], start: Any) -> Any:
        start("200 OK", TEXT)
        return environ["wsgi.file_wrapper"](file)

    outcome, sink, _ = run(application)
    assert outcome == DONE and sink.files == [b"3456789"]
    assert b"Content-Length: 7" in sink.head
    assert file.closed


def test_fileOfDeclaredLength() -> None:
    """
    No more of a file is sent than was declared.
    """
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789")
        file.seek(0)
        headers = [*TEXT, ("Content-Length", "4")]
        outcome, sink, _ = run(giving(FileWrapper(file), headers))
    assert outcome == DONE and sink.files == [b"0123"]


def test_fileForHead() -> None:
    """
    HEAD sends nothing of a file.
    """
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789")
        file.seek(0)
        outcome, sink, _ = run(giving(FileWrapper(file)), "HEAD / HTTP/1.1")
    assert outcome == DONE and sink.files == [] and b"Content-Length: 10" in sink.head


def test_fileThatIsNone() -> None:
    """
    What has no descriptor is read and closed.
    """
    file = io.BytesIO(b"x" * 100_000)
    outcome, sink, _ = run(giving(FileWrapper(file, 1000)))
    assert outcome == DONE and unchunked(sink.body) == b"x" * 100_000 and file.closed


def test_noInput() -> None:
    """
    The input of a request without a body has all methods and nothing to read.
    """
    assert NO_INPUT.read() == NO_INPUT.read(5) == NO_INPUT.readline(5) == b""
    assert NO_INPUT.readlines() == NO_INPUT.readlines(3) == list(NO_INPUT) == []
