"""
Feeds codecs in pieces and writes down what they say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from svctree.wire.contract import ABORT, END, Fields, Reply, Request, WireError

ANSWER = Fields(b"Content-Type: text/plain\r\n")

TEMPLATE: dict[str, object] = {
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "SERVER_NAME": "front",
    "SERVER_PORT": "1",
    "REMOTE_ADDR": "192.0.2.99",
    "SCRIPT_NAME": "",
    "REQUEST_METHOD": "",
    "PATH_INFO": "",
    "QUERY_STRING": "",
    "REQUEST_URI": "",
    "RAW_URI": "",
    "SERVER_PROTOCOL": "",
}


class Log:
    """
    What a codec said, in plain data; pieces of one body are put together, and a body
    that was handed over with its request is written down as if it were not.
    """

    def __init__(self) -> None:
        self.events: list[Any] = []

    def addRequest(self, request: Request) -> None:
        environ = dict(request.environ)
        # Each connection has its own.
        environ.pop("fcgi.errors", None)
        stream: Any = environ.pop("wsgi.input", None)
        done = request.done and stream is None
        self.events.append(("request", environ, request.bodyLength, done))
        if stream is not None:
            assert request.done and not request.expectContinue
            self.events += [("body", stream.read()), ("end",)]

    def add(self, event: Any) -> None:
        if isinstance(event, bytes):
            if self.events and self.events[-1][0] == "body":
                event = self.events.pop()[1] + event
            self.events.append(("body", event))
        else:
            self.events.append(event)


def converse(
    codec: Any, pieces: Iterable[bytes], eof: bool = True, status: str = "200 OK"
) -> list[Any]:
    """
    Feed C{pieces}, answer each complete request with C{"hi"}, stop when the codec
    would close.

    @return: C{("request", environ, bodyLength, done)}, C{("body", bytes)},
        C{("end",)}, C{("abort",)}, C{("reply", bytes)}, C{("answer", bytes)},
        C{("error", class, status)}.
    """
    log = Log()

    def answer() -> bool:
        log.add(("answer", codec.whole(status, ANSWER, b"hi")))
        return bool(codec.keepAlive)

    def take(event: Any) -> bool:
        while event is not None:
            if isinstance(event, Request):
                log.addRequest(event)
                if event.done and not answer():
                    return False
            elif event is END:
                log.add(("end",))
                if not answer():
                    return False
            elif event is ABORT:
                log.add(("abort",))
            elif isinstance(event, Reply):
                log.add(("reply", event.data))
            else:
                log.add(event)
            event = codec.nextEvent()
        return True

    try:
        for piece in [*pieces, *([b""] if eof else [])]:
            if not take(codec.feed(piece)):
                break
    except WireError as error:
        log.add(
            ("error", type(error).__name__, codec.error(getattr(error, "status", 0)))
        )
    return log.events


def splits(data: bytes) -> Iterator[list[bytes]]:
    """
    The data in two pieces, at every place, and byte by byte.
    """
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]
    yield [data[at : at + 1] for at in range(len(data))]


def assertAnySplit(make: Callable[[], Any], data: bytes, eof: bool = True) -> list[Any]:
    """
    Assert that every split of C{data} gives the events that the whole gives.

    @return: the events.
    """
    expected = converse(make(), [data], eof)
    for pieces in splits(data):
        found = converse(make(), pieces, eof)
        assert found == expected, f"split {[len(piece) for piece in pieces][:4]}"
    return expected


def kinds(events: list[Any]) -> list[str]:
    """
    @return: what happened, without the details.
    """
    return [event[0] for event in events]
