from __future__ import annotations

import base64
import json
import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from svctree.logformat import ATOMS, Answered, FormatError, compileFormat
from svctree.wire.contract import Fields
from svctree.worker.accesslog import AccessLog
from svctree.worker.appended import LogFileError

ENVIRON: dict[str, Any] = {
    "REQUEST_METHOD": "GET",
    "REQUEST_URI": "/a%20b?c=d",
    "PATH_INFO": "/a b",
    "QUERY_STRING": "c=d",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "10.0.0.1",
    "HTTP_REFERER": "http://x/",
    "HTTP_USER_AGENT": 'curl "7"\x1b[31m',
    "HTTP_AUTHORIZATION": "Basic " + base64.b64encode(b"eve:secret").decode(),
}

BLOCK = b"Content-Type: text/plain\r\nX-Thing: 5\r\n"


def answered(**changes: Any) -> Answered:
    values: dict[str, Any] = {
        "environ": ENVIRON,
        "status": "200 OK",
        "block": BLOCK,
        "size": 12,
        "nanoseconds": 1_234_567_890,
        "ended": 1_700_000_000.25,
    }
    return Answered(**{**values, **changes})


def line(form: str, **changes: Any) -> str:
    text = compileFormat(form)(answered(**changes))
    assert text.endswith("\n")
    return text[:-1]


def test_combined() -> None:
    """
    The format of Apache's that everybody's tools read.
    """
    found = line("combined")
    assert re.fullmatch(
        r"10\.0\.0\.1 - eve \[1[45]/Nov/2023:\d\d:\d\d:20 [+-]\d{4}\] "
        r'"GET /a%20b\?c=d HTTP/1\.1" 200 12 "http://x/" "curl .*"',
        found,
    )
    assert found.startswith(line("common"))


def test_escaped() -> None:
    """
    What comes from a client can neither end a field nor act on a terminal.
    """
    assert line("%(a)s") == r"curl \x227\x22\x1b[31m"
    forged = {**ENVIRON, "REQUEST_URI": "/\n10.0.0.2 - - forged", "REMOTE_USER": 'a"'}
    assert "\n" not in line("combined", environ=forged)
    assert line("%(u)s", environ=forged) == r"a\x22"


def test_atoms() -> None:
    """
    The atoms mean what they mean to gunicorn.
    """
    form = "%(m)s|%(U)s|%(q)s|%(H)s|%(s)s|%(B)s|%(b)s|%(T)s|%(M)s|%(D)s|%(L)s|%(p)s"
    assert line(form) == (
        f"GET|/a b|c=d|HTTP/1.1|200|12|12|1|1234|1234567|1.234568|<{os.getpid()}>"
    )
    assert line("%({referer}i)s %({x-thing}o)s %({no}o)s %({REMOTE_ADDR}e)s") == (
        "http://x/ 5 - 10.0.0.1"
    )
    assert line("100%% %(b)s", size=0) == "100% -"
    for letter in ATOMS:
        assert line(f"%({letter})s", environ={}, status="")


def test_worker() -> None:
    """
    Which worker and which generation of the code answered; C{once} has neither.
    """
    assert line("%(w)s %(g)s", worker=(3, 17)) == "3 17"
    assert line("%(w)s %(g)s") == "- -"
    assert json.loads(line("json", worker=(0, 17)))["worker"] == 0


def test_bytesIn() -> None:
    """
    The size of the request's body, also where it is not what it should be.
    """
    assert line("%(I)s", environ={"CONTENT_LENGTH": "512"}) == "512"
    assert line("%(I)s", environ={"CONTENT_LENGTH": ""}) == "-"
    assert json.loads(line("json", environ={"CONTENT_LENGTH": "5"}))["bytesIn"] == 5
    assert json.loads(line("json", environ={"CONTENT_LENGTH": "x"}))["bytesIn"] == 0


@pytest.mark.parametrize(
    "stamp", ["t=1699999999.000", "1699999999.0", "1699999999000", "t=1699999999000000"]
)
def test_queueTime(stamp: str) -> None:
    """
    From the front end's stamp, in whichever unit, to the complete request.
    """
    environ = {"HTTP_X_REQUEST_START": stamp}
    assert line("%(Q)s", environ=environ, nanoseconds=250_000_000) == "1.000000"
    assert json.loads(line("json", environ=environ, nanoseconds=0))["queue"] == 1.25


@pytest.mark.parametrize("stamp", ["", "t=", "soon", "t=-5", "1" * 400, "١٦٩٩٩٩٩٩٩٩"])
def test_noQueueTime(stamp: str) -> None:
    """
    What is no time is none; a clock ahead of ours makes no negative time.
    """
    assert line("%(Q)s", environ={"HTTP_X_REQUEST_START": stamp}) == "-"
    ahead = {"HTTP_X_REQUEST_START": "t=1700000099.0"}
    assert line("%(Q)s", environ=ahead) == "0.000000"


def test_json() -> None:
    """
    An object a line, whatever is in it.
    """
    found = json.loads(line("json"))
    assert found["time"] == "2023-11-14T22:13:20.250Z"
    assert found["status"] == 200
    assert found["seconds"] == 1.234568
    assert found["agent"] == ENVIRON["HTTP_USER_AGENT"]
    assert json.loads(line("json", environ={}, status=""))["status"] is None


@pytest.mark.parametrize("form", ["%(x)s", "%(h)", "%({a}x)s", "%(hh)s"])
def test_unknownAtom(form: str) -> None:
    """
    An atom that does not exist is refused.
    """
    with pytest.raises(FormatError, match="is no atom, expected"):
        compileFormat(form)


class Codec:
    """
    Renders nothing but what it is given.
    """

    transparent = True

    def whole(self, status: str, fields: Fields, body: bytes) -> bytes:
        return body

    def head(self, status: str, fields: Fields, length: int) -> bytes:
        return b""

    def piece(self, data: bytes) -> bytes:
        return data

    def end(self) -> bytes:
        return b""

    def interim(self, status: int, block: bytes = b"") -> bytes:
        return b""


class Sink:
    """
    Keeps what is sent.
    """

    def __init__(self) -> None:
        self.sent = b""
        self.files: list[tuple[int, int, int]] = []
        self.gathered: list[bool] = []

    def write(self, data: bytes) -> None:
        self.sent += data

    def begin(self, data: bytes) -> None:
        self.sent += b"<" + data + b">"

    def gather(self, on: bool) -> None:
        self.gathered.append(on)

    def sendFile(self, *part: int) -> None:
        self.files.append(part)  # type: ignore[arg-type]


def test_around(tmp_path: Path) -> None:
    """
    Whole answers, pieces and files are counted, and pass unchanged.
    """
    path = tmp_path / "access.log"
    log = AccessLog(str(path), "%(m)s %(s)s %(B)s")
    sink = Sink()

    def answer(environ: dict[str, Any], codec: Any, sink: Any) -> int:
        assert codec.transparent
        if environ["PATH_INFO"] == "whole":
            sink.write(codec.whole("200 OK", Fields(b""), b"12345"))
        else:
            sink.write(codec.interim(103))
            sink.write(codec.head("206 Partial", Fields(b""), -1))
            sink.begin(codec.piece(b"12"))
            sink.gather(True)
            sink.write(codec.piece(b"3"))
            sink.sendFile(0, 0, 100)
            sink.write(codec.end())
        return 7

    noting = log.around(answer)
    for method, what in (("GET", "whole"), ("HEAD", "whole"), ("POST", "parts")):
        environ = {"REQUEST_METHOD": method, "PATH_INFO": what}
        assert noting(environ, Codec(), sink) == 7  # type: ignore[arg-type]
    assert sink.sent == b"1234512345<12>3"
    assert sink.files == [(0, 0, 100)]
    assert sink.gathered == [True]
    assert path.read_text().splitlines() == ["GET 200 5", "HEAD 200 0", "POST 206 103"]


def test_refused(tmp_path: Path) -> None:
    """
    Requests that never became one have a line too.
    """
    path = tmp_path / "access.log"
    log = AccessLog(str(path), "combined")
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
        with client, accepted:
            log.refused(accepted, 400)
    assert re.fullmatch(
        r'127\.0\.0\.1 - - \[.*\] "-" 400 - "-" "-"\n', path.read_text()
    )


def test_reopen(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """
    After a move the next line is in the new file; if that cannot be, the old one is
    kept and the reason told.
    """
    folder = tmp_path / "log"
    folder.mkdir()
    path = folder / "access.log"
    log = AccessLog(str(path), "%(s)s")
    write = log.around(lambda environ, codec, sink: 0)
    write({}, Codec(), Sink())  # type: ignore[arg-type]
    path.rename(folder / "old.log")
    log.reopen()
    write({}, Codec(), Sink())  # type: ignore[arg-type]
    assert path.read_text() == (folder / "old.log").read_text() == "-\n"
    folder.rename(tmp_path / "gone")
    log.reopen()
    assert "still writing to the old file" in capfd.readouterr().err
    write({}, Codec(), Sink())  # type: ignore[arg-type]
    assert (tmp_path / "gone" / "access.log").read_text() == "-\n-\n"


def test_cannotOpen(tmp_path: Path) -> None:
    """
    A file that cannot be opened is one line.
    """
    with pytest.raises(LogFileError, match=r"access\.log: cannot open as uid"):
        AccessLog(str(tmp_path / "nowhere" / "access.log"))


def test_standardOutput(capfd: pytest.CaptureFixture[str]) -> None:
    """
    C{-} is standard output, which is not reopened.
    """
    log = AccessLog("-", "%(m)s")
    log.reopen()
    log.around(lambda *_: 0)({"REQUEST_METHOD": "GET"}, Codec(), Sink())  # type: ignore[arg-type]
    assert capfd.readouterr().out == "GET\n"
