"""
What master, zygote and workers say to each other.

One JSON object a line, each a named, typed message; descriptors travel beside the
line that announces them. The same messages are used on both legs: master to zygote
over one socket pair, zygote to worker over another.

Mechanism is the zygote's (fork, signal, reap, report); policy is the master's (how
many, when again, when to give up).
"""

from __future__ import annotations

import json
import signal
from typing import Any, NamedTuple, get_args

__all__ = [
    "MESSAGES",
    "SLOW_SIGNAL",
    "Boot",
    "BootFailed",
    "Exited",
    "ForkFailed",
    "Forked",
    "Kill",
    "Loaded",
    "Message",
    "MessageError",
    "Notice",
    "Ping",
    "Pong",
    "Ready",
    "ReopenLog",
    "Retire",
    "RetireWanted",
    "Spawn",
    "decode",
    "encode",
]

SLOW_SIGNAL: int = getattr(signal, "SIGRTMIN", signal.SIGIO) + 4
"""Makes a worker write its stacks to the slow log, and go on; a signal that nobody
else uses, since applications may want the named ones."""


class Boot(NamedTuple):
    """
    Master to zygote, once, first: what to serve.

    @ivar pool: the pool's name, for messages to people.
    @ivar generation: counts from 1; a reload adds one.
    @ivar path: folders to put first on C{sys.path}.
    @ivar settings: the pool's settings as plain data.
    @ivar sockets: how many listening sockets follow the fixed descriptors.
    @ivar slots: size of the scoreboard.
    @ivar cells: cells of one slot.
    @ivar relay: whether the two ends of the workers' relay follow the sockets.
    """

    pool: str
    generation: int
    path: list[str]
    settings: dict[str, Any]
    sockets: int
    slots: int
    cells: int
    relay: bool = False


class Spawn(NamedTuple):
    """
    Master to zygote: fork a worker for this slot.
    """

    slot: int


class Retire(NamedTuple):
    """
    Stop accepting, finish what is in hand, exit. Master to zygote, zygote to worker.

    @ivar pid: which worker; 0 for all, and then the zygote ends after the last.
    @ivar grace: seconds that an idle keep-alive connection is given.
    @ivar drain: first accept what waits in the kernel's queue: nobody comes after.
    @ivar deadline: seconds until the worker is killed.
    """

    pid: int
    grace: float
    drain: bool
    deadline: float


class Kill(NamedTuple):
    """
    Master to zygote: send a signal to a worker that is still yours.
    """

    pid: int
    signal: int


class ReopenLog(NamedTuple):
    """
    One descriptor comes along: make it descriptor 2, and say so in the slot.
    """

    serial: int


class Ping(NamedTuple):
    """
    Master to zygote: are you there?
    """

    serial: int


class Pong(NamedTuple):
    """
    The answer to L{Ping}.
    """

    serial: int


class Loaded(NamedTuple):
    """
    Zygote to master: the application is imported, ask for workers.

    @ivar seconds: how long that took.
    @ivar files: the files of the modules that the application imported.
    """

    seconds: float
    files: list[str]


class BootFailed(NamedTuple):
    """
    The application could not be brought up; do not try again by yourself.

    @ivar reason: one line for people.
    @ivar details: the application's traceback, or empty.
    @ivar status: the exit status that fits.
    @ivar pid: the worker, 0 when the zygote itself failed.
    """

    reason: str
    details: str
    status: int
    pid: int = 0


class Forked(NamedTuple):
    """
    Zygote to master: there is a process for this slot.
    """

    slot: int
    pid: int


class ForkFailed(NamedTuple):
    """
    Zygote to master: the system gave no process.
    """

    slot: int
    reason: str


class Ready(NamedTuple):
    """
    A worker accepts requests. Worker to zygote (which adds slot and pid), zygote to
    master.
    """

    slot: int = 0
    pid: int = 0


class RetireWanted(NamedTuple):
    """
    A worker has reached one of its limits; it serves on until it is told to retire,
    so that its replacement can be ready first.
    """

    reason: str
    slot: int = 0
    pid: int = 0


class Exited(NamedTuple):
    """
    Zygote to master: a worker was reaped.

    @ivar status: the exit status, negative for a signal.
    @ivar wasReady: whether it ever was.
    """

    slot: int
    pid: int
    status: int
    wasReady: bool


class Notice(NamedTuple):
    """
    Something that people should read in the log.
    """

    text: str


Message = (
    Boot
    | Spawn
    | Retire
    | Kill
    | ReopenLog
    | Ping
    | Pong
    | Loaded
    | BootFailed
    | Forked
    | ForkFailed
    | Ready
    | RetireWanted
    | Exited
    | Notice
)

MESSAGES: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Message)}


class MessageError(ValueError):
    """
    A line that is no message.
    """


def encode(message: Message) -> bytes:
    """
    @return: the line, with its line feed.
    """
    data = {"message": type(message).__name__, **message._asdict()}
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Message:
    """
    @param line: one line, with or without its line feed.
    @raise MessageError: it is not one of L{MESSAGES}.
    """
    try:
        fields = json.loads(line)
        made: Message = MESSAGES[fields.pop("message")](**fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MessageError(f"not a message: {line[:200]!r}") from error
    return made
