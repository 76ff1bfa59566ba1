"""
Calling the application.

A L{Gateway} knows the application, an L{Exchange} is one request. Neither does I/O:
rendered bytes go to a sink, which is the connection.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from svctree.wire.contract import Fields, ICodec
from svctree.wsgi.exchange import (
    CUT,
    DONE,
    JOINED,
    RESET,
    ClientGone,
    Exchange,
    ISink,
    log,
)
from svctree.wsgi.files import FileWrapper

__all__ = ["Gateway"]

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

_ERROR = "500 Internal Server Error"
_ERROR_FIELDS = Fields(b"Content-Type: text/plain; charset=utf-8\r\n")
_ERROR_BODY = b"500 Internal Server Error\n"


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
                if body.__class__ is bytes and exchange.status and len(body) <= JOINED:
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
    log(f"{what}: {method} {target} from {peer}\n{trace.rstrip()}")
