"""
Coverage-guided fuzzing of the HTTP codec.

What must hold for any bytes: nothing but L{WireError} is raised; the events do not
depend on how the bytes are delivered, nor on the requests that came before them;
nothing is parsed after an error; and no request reaches the application with a body
other than its framing says.

C{pip install atheris}, then C{python fuzz/fuzz_http.py [CORPUS] [-max_total_time=60]}.
The raw requests of the tests are the seeds. A finding is written to C{crash-*}; put it
into C{tests/wire/http/corpus.py} with the verdict that it should have had.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

with atheris.instrument_imports(include=["svctree.wire"]):
    from svctree.wire.contract import Limits
    from svctree.wire.http import HTTPFactory

from tests.wire.feeding import TEMPLATE, converse
from tests.wire.http.corpus import ACCEPTED, REFUSED, TRUNCATED

FACTORY = HTTPFactory(Limits(400, 20, 300, 900, 5000, 100), "", "")


def events(pieces: list[bytes]) -> list[Any]:
    return converse(FACTORY(TEMPLATE), pieces, eof=True)


FRONT = b"GET /a?b HTTP/1.1\r\nHost: h\r\nAccept: a"
BACK = b"\r\nCookie: c=1\r\nAccept-Language: l\r\n\r\n"
BEFORE = [FRONT + b"\r\nX-A: 1" + BACK, FRONT + BACK]
"""After these a connection knows the lines of both parts."""


def eventsAfter(before: list[bytes], piece: bytes) -> list[Any]:
    """
    @return: the events of C{piece}, on a connection that had others before.
    """
    codec = FACTORY(TEMPLATE)
    for one in before:
        assert converse(codec, [one], eof=False)[-1][0] == "answer"
    return converse(codec, [piece], eof=True)


def check(data: bytes) -> None:
    """
    @raise AssertionError: a promise is broken.
    """
    if not data:
        return
    split = data[0] + 1
    raw = data[1:3000]
    whole = events([raw])
    assert events([raw[at : at + 1] for at in range(len(raw))]) == whole
    assert events([raw[:split], raw[split:]]) == whole
    assert eventsAfter(BEFORE, raw) == whole
    between = FRONT + raw + BACK
    assert eventsAfter(BEFORE, between) == events([between])
    for at, event in enumerate(whole):
        if event[0] == "error":
            assert at == len(whole) - 1
        if event[0] == "request" and event[2] > 0:
            body = b"".join(e[1] for e in whole[at + 1 : at + 2] if e[0] == "body")
            complete = any(e[0] == "end" for e in whole[at + 1 : at + 3])
            assert not complete or len(body) == event[2]


def main() -> None:
    argv = sys.argv
    if not any(not word.startswith("-") for word in argv[1:]):
        seeds = Path(tempfile.mkdtemp())
        for number, case in enumerate([*ACCEPTED, *REFUSED]):
            (seeds / str(number)).write_bytes(b"\x10" + case.raw[:3000])
        for name, raw in TRUNCATED:
            (seeds / name).write_bytes(b"\x10" + raw)
        argv = [*argv, str(seeds)]
    atheris.Setup(argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
