"""
Calling the application and sending what it answers.

A L{Gateway} knows the application, an L{Exchange} is one request. Neither does I/O:
rendered bytes go to a sink, which is the connection.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, NoReturn, Protocol

from svctree.wire.contract import Fields, ICodec
from svctree.wsgi.fields import FieldsCache, Statuses, checkHeader
from svctree.wsgi.files import FileWrapper

__all__ = ["CUT", "DONE", "RESET", "ClientGone", "Exchange", "Gateway", "ISink"]

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
ExcInfo = tuple[type[BaseException], BaseException, "TracebackType | None"]

DONE, CUT, RESET = range(3)
"""
How an exchange ended: complete; incomplete in a way that the framing tells the client,
so that a close suffices; incomplete where only a reset can tell.
"""

_JOINED = 65536
"""
Up to this size head and body are joined and leave in one call; above, copying costs
more than a second call does.
"""

_ERROR = "500 Internal Server Error"
_ERROR_FIELDS = Fields(b"Content-Type: text/plain; charset=utf-8\r\n")
_ERROR_BODY = b"500 Internal Server Error\n"

_statuses = Statuses()
_known = FieldsCache()


class ClientGone(Exception):
    """
    Nobody takes the answer any more.
    """


class ISink(Protocol):
    """
    Where rendered answers go.
    """

    def write(self, data: bytes) -> None:
        """
        Send, or keep for sending, without waiting for the client.

        @raise ClientGone: the client has left; what it does not get is lost.
        """

    def begin(self, data: bytes) -> None:
        """
        As L{write}, for what is followed by more at once and can leave with it.
        """

    def sendFile(self, fd: int, offset: int, count: int) -> None:
        """
        Send a part of a regular file. The caller may close C{fd} at once.

        @raise ClientGone: as L{write}.
        """


class Exchange:
    """
    One request and its answer, from the application's call to its iterable's close.
    """

    __slots__ = (
        "codec",
        "ended",
        "excess",
        "fields",
        "left",
        "outcome",
        "sink",
        "started",
        "status",
    )

    def __init__(self, codec: ICodec, sink: ISink) -> None:
        self.codec = codec
        self.sink = sink
        self.status = ""
        self.started = False

    def startResponse(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: ExcInfo | None = None,
    ) -> Callable[[bytes], None]:
        """
        Hot path. PEP 3333's C{start_response}.
        """
        if self.status:
            self._again(exc_info)
        try:
            self.fields = _known[tuple(headers)]
        except TypeError:
            # Something that cannot be hashed, such as a list of two; say which.
            for header in headers:
                checkHeader(header)
            raise
        self.status = _statuses[status]
        return self.write

    def _again(self, exc_info: ExcInfo | None) -> None:
        if exc_info is None:
            raise AssertionError("start_response called again without exc_info")
        if self.started:
            raise exc_info[1].with_traceback(exc_info[2])

    def write(self, data: bytes) -> None:
        """
        Send a block at once; also PEP 3333's C{write}.
        """
        if data.__class__ is not bytes:
            raise TypeError(f"the application gave {type(data).__name__}, not bytes")
        if not data:
            return
        head = b"" if self.started else self._start(-1)
        if self.left >= 0:
            data = self._fit(data)
        data = head + self.codec.piece(data) if data else head
        if data:
            self.sink.write(data)

    def earlyHints(self, headers: list[tuple[str, str]]) -> None:
        """
        Send C{103 Early Hints}, as C{wsgi.early_hints}; ignored once the answer has
        begun, or where the protocol has no place for it.

        @param headers: as for C{start_response}, e.g. C{[("Link", "</a.css>; ...")]}.
        """
        if not self.started:
            data = self.codec.interim(103, _known[tuple(headers)].block)
            if data:
                self.sink.write(data)

    def _start(self, length: int) -> bytes:
        """
        @param length: bytes of the body, when the application did not say.
        """
        if not self.status:
            raise AssertionError("the application did not call start_response")
        if self.fields.contentLength >= 0:
            length = self.fields.contentLength
        self.started = True
        self.ended = self.excess = False
        self.left = length
        return self.codec.head(self.status, self.fields, length)

    def _fit(self, data: bytes) -> bytes:
        """
        Hold the application to the Content-Length that the client was told.
        """
        if len(data) > self.left:
            if not self.excess:
                self.excess = True
                _log("the application sent more than its Content-Length; cut off")
            data = data[: self.left]
        self.left -= len(data)
        return data

    def finish(self, bodyless: bool) -> int:
        """
        Send what ends the answer, unless that has been done.
        """
        if not self.started:
            return self.wholeOf(b"", bodyless)
        if self.ended:
            return DONE
        if self.left > 0 and not bodyless:
            _log(f"the application sent {self.left} bytes less than its Content-Length")
            return CUT
        self.ended = True
        data = self.codec.end()
        if data:
            self.sink.write(data)
        return DONE

    def wholeOf(self, body: bytes, bodyless: bool) -> int:
        """
        Send an answer of one block.
        """
        if not self.status:
            raise AssertionError("the application did not call start_response")
        declared = self.fields.contentLength
        if declared >= 0 and declared != len(body) and not bodyless:
            self.sink.write(self._start(declared))
            self.write(body)
            return self.finish(bodyless)
        if len(body) > _JOINED:
            self.sink.begin(self._start(len(body)))
            self.write(body)
            return self.finish(bodyless)
        self.started = self.ended = True
        self.excess = False
        self.left = 0
        self.sink.write(self.codec.whole(self.status, self.fields, body))
        return DONE


class _Over:
    """
    Stands for the codec when the answer has ended.
    """

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError("write() was called after the answer had ended")


_over: Any = _Over()


class Gateway:
    """
    One application, called once for each request.
    """

    __slots__ = ("_pid", "application")

    def __init__(self, application: Application) -> None:
        self.application = application
        self._pid = os.getpid()

    def answer(self, environ: dict[str, Any], codec: ICodec, sink: ISink) -> int:
        """
        Hot path. Run the application to its end and hand its answer to C{sink}.

        @param environ: complete, with C{wsgi.input}.
        @return: L{DONE}, L{CUT} or L{RESET}. Whatever goes wrong has been logged.
        """
        exchange = Exchange(codec, sink)
        environ["wsgi.early_hints"] = exchange.earlyHints
        try:
            result = self.application(environ, exchange.startResponse)
            if result.__class__ is list and len(result) == 1 and not exchange.started:  # type: ignore[arg-type]
                # The usual case. A list has no close(), and one block's length is
                # known. The conditions under which whole() may be called directly
                # are those that wholeOf() would check.
                body = result[0]  # type: ignore[index]
                if body.__class__ is bytes and exchange.status and len(body) <= _JOINED:
                    fields = exchange.fields
                    declared = fields.contentLength
                    if declared < 0 or declared == len(body):
                        sink.write(codec.whole(exchange.status, fields, body))
                        return DONE
            return _send(result, exchange, environ)
        except ClientGone:
            return RESET
        except BaseException as error:
            if os.getpid() != self._pid:
                # A child that the application forked wants to end, and not to serve.
                os._exit(_statusOf(error))
            return _failed(exchange, environ, error)
        finally:
            # Whoever kept write() would reach whom the connection serves next.
            exchange.codec = _over


def _send(result: Iterable[bytes], exchange: Exchange, environ: dict[str, Any]) -> int:
    """
    Send what the application returned, whatever it is, and close it.
    """
    try:
        if isinstance(result, FileWrapper):
            outcome = _sendFile(result, exchange, environ)
        else:
            outcome = _iterate(result, exchange, environ)
    except BaseException:
        _close(result, environ)
        raise
    _close(result, environ)
    return outcome


def _iterate(
    result: Iterable[bytes], exchange: Exchange, environ: dict[str, Any]
) -> int:
    if isinstance(result, (bytes, str)):
        raise TypeError(
            f"the application returned {type(result).__name__}, expected a list or "
            "another iterable of bytes"
        )
    try:
        count = len(result)  # type: ignore[arg-type]
    except (TypeError, AttributeError, NotImplementedError):
        count = -1
    if result.__class__ in (list, tuple) and count > 1:
        # All blocks are there already: nothing is delayed by joining them.
        result = [b"".join(result)]
        count = 1
    for data in result:
        if exchange.started:
            exchange.write(data)
        elif data and exchange.status:
            _first(data, count, exchange, environ)
        else:
            # Nothing, or something that is not bytes, or no start_response yet.
            exchange.write(data)
    return exchange.finish(_isBodyless(exchange, environ))


def _first(
    data: bytes, count: int, exchange: Exchange, environ: dict[str, Any]
) -> None:
    """
    Send the first block, with the head and in one piece.
    """
    declared = exchange.fields.contentLength
    if (count == 1 and declared < 0) or declared == len(data):
        if data.__class__ is not bytes:
            raise TypeError(f"the application gave {type(data).__name__}, not bytes")
        exchange.wholeOf(data, _isBodyless(exchange, environ))
    else:
        exchange.write(data)


def _sendFile(result: FileWrapper, exchange: Exchange, environ: dict[str, Any]) -> int:
    extent = result.extent()
    if extent is None or exchange.started:
        return _iterate(result, exchange, environ)
    fd, offset, size = extent
    bodyless = _isBodyless(exchange, environ)
    head = exchange._start(size)
    if not exchange.codec.transparent and not bodyless:
        exchange.sink.write(head)
        return _iterate(result, exchange, environ)
    size = min(size, exchange.left)
    if size and not bodyless:
        exchange.sink.begin(head)
        exchange.sink.sendFile(fd, offset, size)
        exchange.left -= size
    else:
        exchange.sink.write(head)
    return exchange.finish(bodyless)


def _isBodyless(exchange: Exchange, environ: dict[str, Any]) -> bool:
    return (
        environ["REQUEST_METHOD"] == "HEAD"
        or exchange.status[:3] in ("204", "304")
        or exchange.status[:1] == "1"
    )


def _close(result: object, environ: dict[str, Any]) -> None:
    close = getattr(result, "close", None)
    if close is not None:
        try:
            close()
        except Exception as error:
            # The answer is out; nobody but the log can be told.
            _report(environ, error, "close() of the answer failed")


def _failed(exchange: Exchange, environ: dict[str, Any], error: BaseException) -> int:
    """
    Log what the application raised and tell the client, as far as it still can be.
    """
    _report(environ, error, "the application failed")
    if exchange.started:
        # Chunks without a last one, or bytes fewer than promised, show that the
        # answer is cut; an answer that ends with the connection shows nothing.
        framed = exchange.left >= 0 or not exchange.codec.transparent
        return CUT if framed else RESET
    try:
        exchange.sink.write(exchange.codec.whole(_ERROR, _ERROR_FIELDS, _ERROR_BODY))
    except ClientGone:
        return RESET
    return DONE


def _statusOf(error: BaseException) -> int:
    if not isinstance(error, SystemExit):
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    return 1


def _report(environ: dict[str, Any], error: BaseException, what: str) -> None:
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    method = environ.get("REQUEST_METHOD", "-")
    target = environ.get("REQUEST_URI") or environ.get("PATH_INFO", "-")
    peer = environ.get("REMOTE_ADDR") or "-"
    _log(f"{what}: {method} {target} from {peer}\n{trace.rstrip()}")


def _log(text: str) -> None:
    # One write, so that the lines of threads and processes do not mix.
    sys.stderr.write(f"svctree: {text}\n")
    sys.stderr.flush()
