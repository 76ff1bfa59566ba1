"""
The other end of the control socket: for commands, without Twisted.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from typing import Any

__all__ = ["ControlClient", "ControlError", "NotRunning"]


class ControlError(Exception):
    """
    The daemon answered that it cannot do what was asked.

    @ivar details: what to show below the message, a traceback for instance.
    @ivar exitStatus: for the command.
    """

    def __init__(self, message: str, details: str = "", exitStatus: int = 1) -> None:
        super().__init__(message)
        self.details = details
        self.exitStatus = exitStatus


class NotRunning(ControlError):
    """
    Nobody answers on the control socket.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, exitStatus=7)


class _UnixConnection(http.client.HTTPConnection):
    """
    HTTP over a unix socket.
    """

    def __init__(self, path: str, timeout: float | None) -> None:
        super().__init__("localhost")
        self._path = path
        self._seconds = timeout

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self._seconds)
        try:
            _connect(self.sock, self._path)
        except BaseException:
            self.sock.close()
            raise


class ControlClient:
    """
    Asks a daemon, one request after the other. Each method returns when the thing
    is done, or raises.

    @ivar address: the path of its control socket.
    """

    def __init__(self, address: str, timeout: float | None = None) -> None:
        """
        @param address: a path, or an address of the grammar: C{unix:PATH(600)},
            C{unix:@abstract}.
        @param timeout: seconds to wait for each answer; L{None} for as long as it
            takes.
        """
        from svctree.listen import AbstractAddress, UnixAddress, parseAddress

        parsed = parseAddress(address)
        if isinstance(parsed, UnixAddress):
            self.address = parsed.path
        elif isinstance(parsed, AbstractAddress):
            self.address = "@" + parsed.name
        else:
            raise ValueError(
                f"the control address is a unix socket, not {parsed.render()}"
            )
        self.timeout = timeout

    def ask(self, command: str, **arguments: Any) -> Any:
        """
        Send one command.

        @param arguments: for it; those that are L{None} are left out.
        @return: the result, plain data.
        @raise NotRunning: nobody answers.
        @raise ControlError: it was refused, or failed.
        """
        body = json.dumps({k: v for k, v in arguments.items() if v is not None})
        connection = _UnixConnection(self.address, self.timeout)
        try:
            connection.request(
                "POST", f"/{command}", body, {"Content-Type": "application/json"}
            )
            answer = connection.getresponse()
            data = answer.read()
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            raise NotRunning(f"not running: nobody answers at {self.address}") from None
        except PermissionError:
            raise ControlError(
                f"the control socket {self.address} is not yours: ask as its owner or "
                "as root"
            ) from None
        except TimeoutError:
            raise ControlError(
                f"no answer within {self.timeout} s from {self.address}"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise ControlError(
                f"the daemon at {self.address} went away: {error or 'no answer'}"
            ) from error
        finally:
            connection.close()
        return _result(answer.status, data)

    def status(self) -> dict[str, Any]:
        """
        @return: the daemon, its pools and workers (see the reference of control).
        """
        return dict(self.ask("status"))

    def tree(self) -> dict[str, Any]:
        """
        @return: every service, its children under C{"services"}.
        """
        return dict(self.ask("tree"))

    def reload(self, pool: str | None = None) -> list[str]:
        """
        Take new code into service, and wait until that is done.

        @return: the names of what was reloaded.
        @raise ControlError: the old code serves on; C{details} has the traceback.
        """
        return list(self.ask("reload", pool=pool))

    def scale(
        self, workers: int | None = None, change: int = 0, pool: str | None = None
    ) -> dict[str, int]:
        """
        @param workers: how many there shall be.
        @param change: or how many more or fewer.
        @return: the new number for each pool.
        """
        return dict(
            self.ask("scale", workers=workers, change=change or None, pool=pool)
        )

    def logrotate(self) -> str:
        """
        Reopen the logs, in every process.

        @return: the path of the error log.
        """
        return str(self.ask("logrotate"))

    def stop(self, fast: bool = False) -> int:
        """
        Begin to stop; the answer does not wait for the end.

        @return: the pid of the daemon.
        """
        return int(self.ask("stop", fast=fast))


def _result(status: int, data: bytes) -> Any:
    try:
        answer = json.loads(data)
        if answer["ok"]:
            return answer["result"]
        message, details = answer["message"], answer.get("details", "")
        exitStatus = int(answer.get("exitStatus", 1))
    except (ValueError, KeyError, TypeError):
        raise ControlError(
            f"that is not svctree's control socket: it answered {status} with "
            f"{data[:60]!r}"
        ) from None
    raise ControlError(message, details, exitStatus)


def _connect(sock: socket.socket, path: str) -> None:
    if path.startswith("@"):
        sock.connect("\0" + path[1:])
        return
    try:
        sock.connect(path)
    except OSError as error:
        if error.errno is not None or not os.path.isdir("/proc/self/fd"):
            raise
        # Longer than sun_path: go through a descriptor of the folder.
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
        try:
            sock.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
        finally:
            os.close(folder)
