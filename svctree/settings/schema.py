"""
Every option of svctree: the only place where one is named, typed, defaulted and
described. The file's keys, the flags, the environment variables, the keyword
arguments of the services and the reference page follow from it.

The small classes (trust, report, record) exist because a pool needs some options of
the groups of the daemon and of the listeners as well.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import attrs

from svctree.settings import kinds, names
from svctree.settings.option import Group, option, optionsOf

__all__ = [
    "CONCURRENCY",
    "DEMO",
    "ApplicationSettings",
    "ListenSettings",
    "PoolSettings",
    "ProcessSettings",
    "RequestSettings",
    "Settings",
    "WatchSettings",
    "WorkerSettings",
]

DEMO = "svctree.demo:application"
"""What is served when nothing is named."""

CONCURRENCY = "WEB_CONCURRENCY"
"""The variable by which hosting platforms say how many workers they want."""

_number = kinds.Integer
_positive = partial(kinds.Integer, 1)
_what = partial(option, "What runs")
_process = partial(option, "Process")
_listening = partial(option, "Listening")
_workers = partial(option, "Workers")
_requests = partial(option, "Requests")
_watching = partial(option, "Watching")
# For the groups that are parts of two others, and so are declared before them.
_naming = partial(option, "Process", late=True)
_trusting = partial(option, "Listening", late=True)
_recording = partial(option, "Watching", late=True)


@attrs.frozen(kw_only=True, init=False, slots=False, eq=False, repr=False)
class ApplicationSettings(Group):
    """
    What runs.
    """

    application: str = _what(
        kinds.ImportName(),
        DEMO,
        "the WSGI application, as module:name or module.name, or a factory as "
        "module:name()",
        shown="the embedded demo",
    )
    protocol: str = _what(
        kinds.Choice(
            "http",
            "scgi",
            "fastcgi",
            "uwsgi",
            "cgi",
            more=partial(names.more, "protocol"),
        ),
        "http",
        "what the clients speak; fastcgi with listen = stdin becomes cgi when "
        "standard input is no socket",
        seed=True,
        required=True,
    )
    mode: str = _what(
        kinds.Choice("daemon", more=partial(names.more, "mode")),
        "daemon",
        "the integration mode; svctree.opi.register adds others",
        seed=True,
    )
    pythonpath: tuple[str, ...] = _what(
        kinds.Paths(),
        (),
        "folders put first on sys.path",
        shown="the folder of the file; without a file the working directory",
    )
    env: dict[str, str] = _what(  # noqa: RUF009 (attrs has no such trap)
        kinds.Assignments(),
        {},
        "variables for the environment of the application, one NAME=value a line",
    )
    mount: str = _what(
        kinds.Mount(),
        "",
        "the path prefix under which the application lives; becomes SCRIPT_NAME",
    )


@attrs.frozen(kw_only=True, init=False, slots=False, eq=False, repr=False)
class TrustSettings(Group):
    """
    Who is believed about the client.
    """

    proxyProtocol: bool = _trusting(
        kinds.Boolean(),
        False,
        "expect the PROXY protocol, version 1 or 2, from the trusted peers",
    )
    forwardedAllow: tuple[str, ...] = _trusting(
        kinds.Peers(),
        (),
        "peers (addresses, networks, or unix) whose Forwarded and X-Forwarded-* "
        "headers are believed; from others they are dropped",
        shown="none",
    )

    @classmethod
    def contradictions(cls, values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        yield from super().contradictions(values)
        if values.get("proxyProtocol") and not values.get("forwardedAllow"):
            yield (
                "proxyProtocol",
                "yes needs forwarded-allow: the peers whose PROXY headers are believed",
            )


@attrs.frozen(kw_only=True, init=False, slots=False, eq=False, repr=False)
class ReportSettings(Group):
    """
    How processes make themselves known.
    """

    loglevel: str = _naming(
        kinds.Choice(
            "debug",
            "info",
            "warn",
            "error",
            "critical",
            aliases={"warning": "warn"},
        ),
        "info",
        "from which level on svctree's own messages are written",
    )
    proctitle: bool = _naming(
        kinds.Boolean(),
        True,
        "show what each process does in ps and top; needs setproctitle "
        "(pip install 'svctree[title]')",
    )


@attrs.frozen(kw_only=True, init=False, slots=False, eq=False, repr=False)
class RecordSettings(Group):
    """
    What is written about requests.
    """

    accesslog: str | None = _recording(
        kinds.Path(stream="standard output"),
        None,
        "a line for each request goes here; - is standard output",
        shown="none",
    )
    accesslogFormat: str = _recording(
        kinds.AccessFormat(),
        "combined",
        "combined, common, json, or a format made of gunicorn's %(x)s atoms",
    )
    slowlog: str | None = _recording(
        kinds.Path(stream="standard error"),
        None,
        "the stacks of requests that take longer than slow-request go here",
        shown="standard error",
    )
    slowRequest: float = _recording(
        kinds.Seconds(),
        0.0,
        "what counts as slow; 0 for nothing",
    )


@attrs.frozen(kw_only=True, init=False, slots=False, eq=False, repr=False)
class ProcessSettings(ReportSettings):
    """
    The daemon as a process.
    """

    detach: bool = _process(
        kinds.Boolean(),
        False,
        "go into the background",
        seed=True,
        required=True,
    )
    pidfile: str | None = _process(
        kinds.Path(),
        None,
        "holds the pid of the master, and is locked while it lives",
        shown="none",
        seed=True,
        required=True,
    )
    errorlog: str | None = _process(
        kinds.Path(stream="standard error"),
        None,
        "where standard error goes; reopened by logrotate",
        shown="/dev/null when detached, else standard error",
        seed=True,
    )
    basedir: str = _process(
        kinds.Path(),
        "/",
        "the working directory",
        seed=True,
    )
    umask: int | None = _process(
        kinds.Umask(),
        0,
        "the mask for the permissions of new files, or inherit",
        seed=True,
    )
    user: int | str | None = _process(
        kinds.Identity("user"),
        None,
        "who the processes become when started as root",
        shown="unchanged",
        seed=True,
    )
    group: int | str | None = _process(
        kinds.Identity("group"),
        None,
        "the group the processes become when started as root",
        shown="the user's",
        seed=True,
    )
    chroot: str | None = _process(
        kinds.Path(),
        None,
        "the root directory, entered before the identity changes",
        shown="none",
    )
    stopTimeout: float = _process(
        kinds.Seconds(),
        60.0,
        "how long stopping everything may take",
    )


@attrs.frozen(kw_only=True, init=False, slots=False, eq=False, repr=False)
class ListenSettings(TrustSettings):
    """
    Where clients connect.
    """

    listen: tuple[str, ...] = _listening(
        kinds.Addresses(),
        ("tcp:127.0.0.1:8080",),
        "the addresses",
        seed=True,
        required=True,
    )
    backlog: int = _listening(
        _positive(),
        1024,
        "connections that may wait in the kernel, which has a limit of its own",
    )


@attrs.frozen(kw_only=True, init=False, slots=False, eq=False, repr=False)
class WorkerSettings(Group):
    """
    The processes and threads that serve.
    """

    workermodel: str = _workers(
        kinds.Choice(
            "single",
            "threaded",
            "prefork",
            "once",
            more=partial(names.more, "workermodel"),
        ),
        "prefork",
        "how work is shared out",
        seed=True,
        required=True,
    )
    workers: tuple[int, int] | None = _workers(
        kinds.WorkerRange(),
        None,
        "processes of prefork; MIN..MAX for a number that follows the load",
        shown="WEB_CONCURRENCY, else the usable processors",
    )
    threads: int = _workers(_positive(), 1, "threads in each prefork worker")
    minspare: int = _workers(
        _positive(), 1, "threads of threaded that wait for work, at least"
    )
    maxspare: int = _workers(
        _positive(), 4, "threads of threaded that wait for work, at most"
    )
    maxthreads: int = _workers(_positive(), 16, "threads of threaded, at most")
    maxqueue: int = _workers(
        _number(),
        0,
        "requests that wait for a thread; beyond it connections wait in the kernel",
    )
    preload: bool = _workers(
        kinds.Boolean(),
        True,
        "import the application once, before the workers are forked",
    )
    maxRequests: int = _workers(
        _number(), 0, "a worker retires after so many requests; 0 for never"
    )
    maxRequestsJitter: float = _workers(
        kinds.Percent(),
        10.0,
        "by how much max-requests differs from worker to worker",
    )
    maxMemory: int = _workers(
        kinds.Size(), 0, "a worker retires above this resident size; 0 for never"
    )
    maxAge: float = _workers(
        kinds.Seconds(), 0.0, "a worker retires after this time; 0 for never"
    )
    timeout: float = _workers(
        kinds.Seconds(), 30.0, "for one request, in every model; 0 for none"
    )
    bootTimeout: float = _workers(
        kinds.Seconds(), 60.0, "from the start of a worker until it is ready"
    )
    gracefulTimeout: float = _workers(
        kinds.Seconds(), 30.0, "for a retiring worker to finish what is in hand"
    )
    autoreload: bool = _workers(
        kinds.Boolean(),
        False,
        "reload when an imported file changes; for development",
    )
    onWorkerStart: tuple[str, ...] = _workers(
        kinds.ImportNames(),
        (),
        "functions that are called in each worker before it serves",
        shown="none",
    )
    onWorkerStop: tuple[str, ...] = _workers(
        kinds.ImportNames(),
        (),
        "functions that are called in each worker before it ends",
        shown="none",
    )
    onRequestTimeout: tuple[str, ...] = _workers(
        kinds.ImportNames(),
        (),
        "functions that are called in a worker whose request takes too long",
        shown="none",
    )


@attrs.frozen(kw_only=True, init=False, slots=False, eq=False, repr=False)
class RequestSettings(Group):
    """
    What one request may take.
    """

    headerTimeout: float = _requests(
        kinds.Seconds(), 10.0, "to receive the head of a request"
    )
    bodyTimeout: float = _requests(
        kinds.Seconds(), 30.0, "between two pieces of a body"
    )
    writeTimeout: float = _requests(
        kinds.Seconds(), 30.0, "without progress on a response"
    )
    keepaliveTimeout: float = _requests(
        kinds.Seconds(), 75.0, "idle, between two requests of a connection"
    )
    limitRequestLine: int = _requests(
        kinds.Size(), 8190, "bytes in the request line, else 414"
    )
    limitRequestFields: int = _requests(
        _positive(), 100, "header fields of a request, else 431"
    )
    limitRequestFieldSize: int = _requests(
        kinds.Size(), 8190, "bytes in one header field, else 431"
    )
    limitRequestHead: int = _requests(
        kinds.Size(), 64 << 10, "bytes in all header fields together, else 431"
    )
    limitRequestBody: int = _requests(
        kinds.Size(), 1 << 30, "bytes in a body, else 413; 0 for no limit"
    )
    bufferRequest: int = _requests(
        kinds.Size(),
        64 << 10,
        "bytes of a body held in memory; more goes to a temporary file, unless there "
        "is room in the 8 MB that all large bodies of a worker share",
    )
    bufferResponse: int = _requests(
        kinds.Size(),
        1 << 20,
        "bytes of a response held in memory for a slow client; more goes to a "
        "temporary file",
    )
    serverName: str = _requests(
        kinds.Text(), "svctree", "the Server header; empty for none"
    )


@attrs.frozen(kw_only=True, init=False, slots=False, eq=False, repr=False)
class WatchSettings(RecordSettings):
    """
    How it is watched and commanded.
    """

    control: str | None = _watching(
        kinds.Address(local=True),
        None,
        "where the commands of svctree are answered; none for nowhere",
        shown="beside the pidfile, NAME.ctl(600); none without a pidfile",
    )
    status: str | None = _watching(
        kinds.Address(),
        None,
        "the address of the status page, /metrics, /healthz and /readyz",
        shown="none",
    )


@attrs.frozen(kw_only=True, init=False, slots=False, eq=False, repr=False)
class PoolSettings(
    ApplicationSettings,
    WorkerSettings,
    RequestSettings,
    TrustSettings,
    RecordSettings,
    ReportSettings,
):
    """
    What a L{svctree.pool.PoolService} takes, and passes on to its workers: its
    C{attrs.asdict} survives JSON.
    """


@attrs.frozen(kw_only=True, init=False, slots=False, eq=False, repr=False)
class Settings(
    ApplicationSettings,
    ProcessSettings,
    ListenSettings,
    WorkerSettings,
    RequestSettings,
    WatchSettings,
):
    """
    Everything, and where it came from.

    @ivar origins: for each keyword that was given, the place where: C{app.ini:7},
        C{--workers}, C{SVCTREE_WORKERS}.
    @ivar root: the folder of the file, or the working directory without one.
    @ivar file: the path of the file.
    @ivar again: reads the same sources anew; L{None} for settings that came from
        keywords alone.
    """

    origins: Mapping[str, str] = attrs.field(factory=dict, repr=False, eq=False)
    root: str = attrs.field(default="", repr=False, eq=False)
    file: str | None = attrs.field(default=None, repr=False, eq=False)
    again: Callable[[], Settings] | None = attrs.field(
        default=None, repr=False, eq=False
    )

    def __init__(
        self,
        *,
        origins: Mapping[str, str] | None = None,
        root: str = "",
        file: str | None = None,
        again: Callable[[], Settings] | None = None,
        **keywords: object,
    ) -> None:
        super().__init__(**keywords)
        for name, value in (
            ("origins", origins or {}),
            ("root", root),
            ("file", file),
            ("again", again),
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def contradictions(cls, values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        yield from super().contradictions(values)
        listen = values.get("listen", ())
        if values.get("detach") and isinstance(listen, tuple) and "stdin" in listen:
            yield (
                "listen",
                "stdin needs detach = no: in the background there is no standard input",
            )

    def pool(self) -> PoolSettings:
        """
        @return: the part for a pool.
        """
        return PoolSettings(
            **{
                one.keyword: getattr(self, one.keyword)
                for one in optionsOf(PoolSettings)
            }
        )

    def controlAddress(self) -> str | None:
        """
        @return: where commands are answered, or L{None} for nowhere.
        """
        if self.control == "none":
            return None
        if self.control is None and self.pidfile is not None:
            return f"unix:{os.path.splitext(self.pidfile)[0]}.ctl(600)"
        return self.control

    def statusAddress(self) -> str | None:
        """
        @return: where the status page is, or L{None} for nowhere.
        """
        return None if self.status == "none" else self.status

    def errorlogPath(self) -> str | None:
        """
        @return: what standard error becomes; L{None} to leave it.
        """
        if self.errorlog == "-":
            return None
        if self.errorlog is None and self.detach:
            return os.devnull
        return self.errorlog
