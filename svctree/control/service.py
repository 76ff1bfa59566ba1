"""
The control socket: HTTP with JSON in and out, for the operator alone.

C{POST /COMMAND} with an object of arguments (or nothing) is answered when the thing
is done: C{{"ok": true, "result": ...}}, or C{{"ok": false, "message": ...,
"details": ..., "exitStatus": ...}}. The master answers, in its reactor: neither
blocked workers nor a reload keep it from doing so, and there is no thread.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from svctree.control.commands import Commands
from svctree.listen import ListenerService
from svctree.process.daemon import rootOf
from svctree.process.operations import OperationError

__all__ = ["ControlService", "peerUser"]

# More than any arguments need.
_LIMIT = 64 * 1024


class ControlService(ListenerService):
    """
    A leaf that answers commands about the tree it is in.

    It is a listener with a factory: bound in the privileged phase, its mode given
    by the address, removed when it stops. Only root and the user that the process
    runs as may speak; the kernel says who is at the other end.

    @ivar commands: what it understands; available while it runs.
    """

    _log = Logger()
    commands: Commands

    def __init__(
        self, address: str, *, name: str = "control", reactor: Any = None
    ) -> None:
        """
        @param address: a unix socket, e.g. C{unix:run/app.ctl(600)}.
        """
        super().__init__(address, name=name, scheme="", reactor=reactor)

    def settings(self) -> dict[str, object]:
        """
        @return: the keywords that make an equal service.
        """
        (address,) = self.addresses
        return {"address": address.render()}

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        # Made by each start.
        state.pop("commands", None)
        return {**state, "_factory": None}

    def startService(self) -> None:
        if self._reactor is None:
            from twisted.internet import reactor

            self._reactor = reactor
        self.commands = Commands(rootOf(self), self._reactor)
        self._factory = _Site(self, self._reactor)
        super().startService()

    def answer(self, request: Request) -> None:
        """
        Answer one request, now or later.
        """
        peer = peerUser(request.channel.transport)
        if peer not in (0, os.geteuid()):
            self._log.warn("refused user {peer}", peer=peer)
            _refuse(request, 403, f"user {peer} may not give commands here")
            return
        name = (request.path or b"").decode("latin-1").strip("/")
        command = self.commands.table.get(name)
        if command is None:
            known = ", ".join(sorted(self.commands.table))
            _refuse(request, 404, f"unknown command {name!r}; there are {known}", 2)
            return
        if request.method == b"GET" and name not in ("status", "tree"):
            _refuse(request, 405, f"{name} changes something: ask with POST", 2)
            return
        try:
            arguments = _arguments(request)
        except ValueError as error:
            _refuse(request, 400, f"bad arguments: {error}", 2)
            return
        self._run(request, name, command, arguments)

    def _run(self, request: Request, name: str, command: Any, arguments: Any) -> None:
        gone: list[object] = []
        request.notifyFinish().addErrback(lambda failure: gone.append(failure))

        def done(result: object) -> None:
            if isinstance(result, Failure):
                self._failed(request, name, result, bool(gone))
            elif not gone:
                _send(request, 200, {"ok": True, "result": result})

        maybeDeferred(command, arguments).addCallback(_asPlainData).addBoth(done)

    def _failed(
        self, request: Request, name: str, failure: Failure, gone: bool
    ) -> None:
        error: Any = failure.value
        if not hasattr(error, "exitStatus"):
            self._log.failure("command {name}", failure, name=name)
        if gone:
            return
        status = 400 if isinstance(error, OperationError) else 500
        details = str(getattr(error, "details", "") or "")
        exitStatus = int(getattr(error, "exitStatus", 1))
        message = str(error) or type(error).__name__
        _refuse(request, status, message, exitStatus, details)


class _Commands(Resource):
    """
    Every path is a command.
    """

    isLeaf = True

    def __init__(self, service: ControlService) -> None:
        super().__init__()
        self._service = service

    def render(self, request: Request) -> int:
        self._service.answer(request)
        return NOT_DONE_YET


class _Site(Site):
    """
    Says in the log what was done, not what was asked for.
    """

    noisy = False

    def __init__(self, service: ControlService, reactor: Any) -> None:
        super().__init__(_Commands(service), reactor=reactor)
        # A reload may take its time, and nobody else waits for this connection.
        self.timeOut = None

    def startFactory(self) -> None:
        """
        No timer for the dates of an access log is needed.
        """

    def stopFactory(self) -> None:
        """
        Nothing was started.
        """

    def log(self, request: Any) -> None:
        """
        The commands log for themselves.
        """


def peerUser(transport: Any) -> int:
    """
    @return: the user id at the other end of a unix socket, as the kernel knows it;
        -1 when it does not.
    """
    sock = transport.getHandle()
    if hasattr(socket, "SO_PEERCRED"):
        credentials = struct.Struct("3i")
        data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
        return int(credentials.unpack(data)[1])
    # struct xucred of macOS and the BSDs: version, uid, ...
    data = sock.getsockopt(0, getattr(socket, "LOCAL_PEERCRED", 1), 76)
    return int(struct.unpack_from("2I", data)[1])


def _arguments(request: Request) -> dict[str, Any]:
    assert request.content is not None
    data = request.content.read(_LIMIT + 1)
    if len(data) > _LIMIT:
        raise ValueError(f"more than {_LIMIT} bytes")
    arguments = json.loads(data) if data.strip() else {}
    if not isinstance(arguments, dict):
        raise ValueError("expected a JSON object")
    return arguments


def _asPlainData(result: object) -> object:
    # What cannot be said in JSON is a mistake of the command, told as one.
    json.dumps(result)
    return result


def _refuse(
    request: Request, code: int, message: str, exitStatus: int = 1, details: str = ""
) -> None:
    answer = {
        "ok": False,
        "message": message,
        "details": details,
        "exitStatus": exitStatus,
    }
    _send(request, code, answer)


def _send(request: Request, code: int, answer: dict[str, object]) -> None:
    request.setResponseCode(code)
    request.setHeader(b"Content-Type", b"application/json")
    request.setHeader(b"Cache-Control", b"no-store")
    request.write(json.dumps(answer).encode() + b"\n")
    request.finish()
