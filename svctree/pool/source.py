"""
The one request of the model C{once}: where it comes from, and who serves it.

Loads no Twisted: a web server that starts a process for each request waits for it.
"""

from __future__ import annotations

import contextlib
import enum
import os
import sys
from collections.abc import Mapping, Sequence

import attrs

from svctree.listen import StandardInput, standardInput
from svctree.pool.errors import BootError, PoolError
from svctree.settings import PoolSettings
from svctree.worker.application import ApplicationError, loadApplication
from svctree.worker.once import NoCGIRequest, Once

__all__ = ["Source", "claimOutput", "makeOnce", "serveStandardInput", "sourceOf"]


class Source(enum.Enum):
    """
    Where the one request comes from.
    """

    LISTENING = "the first connection to the listeners"
    CONNECTED = "the connection on standard input"
    CGI = "the environment and standard input"


def sourceOf(
    protocol: str,
    listen: Sequence[str],
    workerModel: str,
    environment: Mapping[bytes, bytes] = os.environb,
) -> Source | None:
    """
    Tell what the settings and standard input ask for.

    @param environment: where a CGI request would be.
    @return: L{None} for a pool: the listeners listen and the model is another.
    @raise PoolError: standard input is not what the protocol needs.
    """
    if protocol == "cgi":
        if standardInput() is StandardInput.LISTENING:
            raise PoolError(
                "standard input is a listening socket, expected a pipe or a file for "
                "protocol = cgi; protocol = fastcgi or scgi would serve it"
            )
        return Source.CGI
    if "stdin" in listen:
        found = standardInput()
        if found is StandardInput.CONNECTED:
            # Apache's mod_cgid gives its scripts a socket as input and output.
            isScript = protocol == "fastcgi" and b"GATEWAY_INTERFACE" in environment
            return Source.CGI if isScript else Source.CONNECTED
        if found is not StandardInput.LISTENING:
            if protocol != "fastcgi":
                raise PoolError(
                    f"standard input is {found.value}, expected a socket for protocol "
                    f"= {protocol}; only fastcgi and cgi serve a CGI request"
                )
            return Source.CGI
    # Loads Twisted, and asks its plugins for a name that nobody knows.
    from svctree.pool.models import model

    return Source.LISTENING if model(workerModel).inProcess else None


def claimOutput(source: Source) -> int:
    """
    Keep what goes to the peer apart from what is printed: from here on, standard
    output is standard error.

    @return: a descriptor for the answer of a CGI request.
    """
    output = -1
    if source is Source.CGI:
        output = os.dup(1)
        os.dup2(2, 1)
    elif source is Source.CONNECTED:
        # inetd gives the connection as all three of them.
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (1, 2):
            with contextlib.suppress(OSError):
                if os.path.sameopenfile(0, fd):
                    os.dup2(null, fd)
        os.close(null)
    return output


def makeOnce(
    settings: PoolSettings,
    source: Source,
    environment: Mapping[bytes, bytes] = os.environb,
    path: Sequence[str] = (),
) -> Once:
    """
    Import the application into this process.

    @param environment: where the variables of a CGI request are.
    @param path: folders to put first on C{sys.path} beside those of the settings.
    @return: what serves the request.
    @raise BootError: it cannot be imported.
    @raise NoCGIRequest: there is nothing to serve.
    """
    if source is Source.CGI and b"REQUEST_METHOD" not in environment:
        raise NoCGIRequest()
    wanted = path or settings.pythonpath or (os.getcwd(),)
    sys.path[:0] = [folder for folder in wanted if folder not in sys.path]
    os.environ.update(settings.env)
    try:
        application = loadApplication(settings.application)
    except ApplicationError as error:
        raise BootError(str(error), error.details, 4) from error
    return Once(application, attrs.asdict(settings))


def serveStandardInput(
    once: Once,
    source: Source,
    output: int,
    environment: Mapping[bytes, bytes] = os.environb,
) -> None:
    """
    @param output: from L{claimOutput}.
    """
    if source is Source.CONNECTED:
        once.fromConnected()
    else:
        once.fromEnvironment(environment, target=output)
