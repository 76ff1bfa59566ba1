"""
The format of an access log: C{combined}, C{common}, C{json}, or atoms as gunicorn has
them, C{%(h)s}.

A format is taken apart once; a line is then made by calling a function for each atom.
What comes from a client is escaped: control characters and quotes could otherwise
forge lines, or act on the terminal of whoever reads them.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import time
from collections.abc import Callable
from typing import Any

__all__ = ["ATOMS", "COMBINED", "COMMON", "Answered", "FormatError", "compileFormat"]

COMMON = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s'
COMBINED = COMMON + ' "%(f)s" "%(a)s"'
_NAMED = {"common": COMMON, "combined": COMBINED}

_ATOM = re.compile(r"%\((?:\{([^}]+)\}([ieo])|([A-Za-z]))\)[sd]")
_STAMP = re.compile(r"(?:t=)?(\d{10,16}(?:\.\d{1,9})?)", re.ASCII)
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f"\\]')
_FIELD = re.compile(rb"^([^:\r\n]+): *([^\r\n]*)", re.MULTILINE)


class FormatError(ValueError):
    """
    A format with an atom that does not exist.
    """


class Answered:
    """
    What is known of a request and its answer.

    @ivar environ: of the request; empty when it was refused.
    @ivar status: e.g. C{200 OK}; empty when nothing was sent.
    @ivar block: the header fields of the answer, as they were sent.
    @ivar size: bytes of the body that were sent.
    @ivar nanoseconds: from the complete request to the end of the answer.
    @ivar ended: when that was, in seconds since the epoch.
    @ivar worker: its number in the pool and its generation, or L{None}: no pool.
    """

    __slots__ = (
        "block",
        "ended",
        "environ",
        "nanoseconds",
        "size",
        "status",
        "worker",
    )

    def __init__(
        self,
        environ: dict[str, Any],
        status: str,
        block: bytes,
        size: int,
        nanoseconds: int,
        ended: float,
        worker: tuple[int, int] | None = None,
    ) -> None:
        self.environ = environ
        self.status = status
        self.block = block
        self.size = size
        self.nanoseconds = nanoseconds
        self.ended = ended
        self.worker = worker


Atom = Callable[[Answered], str]


def escape(value: object) -> str:
    """
    @return: C{value} for a place between quotes; C{-} for nothing.
    """
    if not value:
        return "-"
    text = str(value)
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return _UNSAFE.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _variable(name: str) -> Atom:
    return lambda one: escape(one.environ.get(name))


def _target(one: Answered) -> str:
    environ = one.environ
    return str(environ.get("REQUEST_URI") or environ.get("PATH_INFO") or "")


def _requestLine(one: Answered) -> str:
    if not one.environ.get("REQUEST_METHOD"):
        return "-"
    protocol = one.environ.get("SERVER_PROTOCOL", "")
    method = one.environ["REQUEST_METHOD"]
    return escape(f"{method} {_target(one)} {protocol}")


def _user(one: Answered) -> str:
    if one.environ.get("REMOTE_USER"):
        return escape(one.environ["REMOTE_USER"])
    given = one.environ.get("HTTP_AUTHORIZATION")
    if not given:
        return "-"
    kind, _, text = str(given).partition(" ")
    if kind.lower() != "basic":
        return "-"
    try:
        name = base64.b64decode(text.strip()).partition(b":")[0]
    except (binascii.Error, ValueError):
        return "-"
    return escape(name.decode("utf-8", "replace"))


_times: dict[int, str] = {}


def _time(one: Answered) -> str:
    second = int(one.ended)
    text = _times.get(second)
    if text is None:
        _times.clear()
        # %b would follow the locale.
        moment = time.localtime(second)
        month = "JanFebMarAprMayJunJulAugSepOctNovDec"[moment.tm_mon * 3 - 3 :][:3]
        text = time.strftime(f"[%d/{month}/%Y:%H:%M:%S %z]", moment)
        _times[second] = text
    return text


def _queued(one: Answered) -> float | None:
    """
    @return: seconds between the front end's X-Request-Start and the complete request,
        or L{None}: no such field, or none that is a time.
    """
    stamp = _STAMP.fullmatch(str(one.environ.get("HTTP_X_REQUEST_START", "")))
    if stamp is None:
        return None
    # Front ends write seconds, milliseconds or microseconds: the size tells which.
    start = float(stamp[1])
    while start > 1e11:
        start /= 1e3
    return max(0.0, one.ended - one.nanoseconds / 1e9 - start)


def _queueTime(one: Answered) -> str:
    seconds = _queued(one)
    return "-" if seconds is None else f"{seconds:.6f}"


ATOMS: dict[str, Atom] = {
    "h": _variable("REMOTE_ADDR"),
    "l": lambda one: "-",
    "u": _user,
    "t": _time,
    "r": _requestLine,
    "m": _variable("REQUEST_METHOD"),
    "U": _variable("PATH_INFO"),
    "q": _variable("QUERY_STRING"),
    "H": _variable("SERVER_PROTOCOL"),
    "s": lambda one: one.status[:3] or "-",
    "B": lambda one: str(one.size),
    "b": lambda one: str(one.size or "-"),
    "f": _variable("HTTP_REFERER"),
    "a": _variable("HTTP_USER_AGENT"),
    "T": lambda one: str(one.nanoseconds // 10**9),
    "M": lambda one: str(one.nanoseconds // 10**6),
    "D": lambda one: str(one.nanoseconds // 10**3),
    "L": lambda one: f"{one.nanoseconds / 1e9:.6f}",
    "p": lambda one: f"<{os.getpid()}>",
    "w": lambda one: str(one.worker[0]) if one.worker else "-",
    "g": lambda one: str(one.worker[1]) if one.worker else "-",
    "I": lambda one: escape(one.environ.get("CONTENT_LENGTH")),
    "Q": _queueTime,
}
"""What can stand in a format: gunicorn's, and the last four."""


def compileFormat(text: str) -> Callable[[Answered], str]:
    """
    @param text: a name or a format.
    @return: makes a line, with its line feed.
    @raise FormatError: there is no such atom.
    """
    if text == "json":
        return _jsonLine
    text = _NAMED.get(text, text)
    atoms: list[Atom] = []
    template = ""
    end = 0
    for found in _ATOM.finditer(text):
        template += _literal(text[end : found.start()]) + "%s"
        end = found.end()
        atoms.append(_atom(found[1], found[2], found[3]))
    template += _literal(text[end:]) + "\n"
    return lambda one: template % tuple([atom(one) for atom in atoms])


def _literal(text: str) -> str:
    unknown = re.search(r"%\([^)]*\)?.?", text)
    if unknown:
        raise FormatError(f"{unknown[0]} is no atom, expected one such as %(h)s")
    return text.replace("%%", "%").replace("%", "%%")


def _atom(name: str | None, kind: str | None, letter: str | None) -> Atom:
    if letter is not None:
        try:
            return ATOMS[letter]
        except KeyError:
            known = " ".join(ATOMS)
            raise FormatError(
                f"%({letter})s is no atom, expected one of {known}"
            ) from None
    assert name is not None
    if kind == "e":
        return _variable(name)
    if kind == "i":
        key = name.upper().replace("-", "_")
        plain = key in ("CONTENT_TYPE", "CONTENT_LENGTH")
        return _variable(key if plain else "HTTP_" + key)
    wanted = name.lower().encode("latin-1", "replace")

    def sent(one: Answered) -> str:
        for field, value in _FIELD.findall(one.block):
            if field.lower() == wanted:
                return escape(value.decode("latin-1"))
        return "-"

    return sent


def _jsonLine(one: Answered) -> str:
    environ = one.environ
    moment = time.gmtime(one.ended)
    fraction = f"{one.ended % 1:.3f}"[1:]
    received = str(environ.get("CONTENT_LENGTH", ""))
    line = {
        "time": time.strftime(f"%Y-%m-%dT%H:%M:%S{fraction}Z", moment),
        "peer": environ.get("REMOTE_ADDR") or None,
        "method": environ.get("REQUEST_METHOD"),
        "target": _target(one) or None,
        "protocol": environ.get("SERVER_PROTOCOL"),
        "status": int(one.status[:3]) if one.status[:3].isdigit() else None,
        "bytes": one.size,
        "seconds": round(one.nanoseconds / 1e9, 6),
        "referer": environ.get("HTTP_REFERER"),
        "agent": environ.get("HTTP_USER_AGENT"),
        "bytesIn": int(received) if received.isdecimal() else 0,
        "queue": _queued(one),
        "pid": os.getpid(),
        "worker": one.worker and one.worker[0],
        "generation": one.worker and one.worker[1],
    }
    return json.dumps(line) + "\n"
