"""
The rendered parts of answers that repeat themselves.
"""

from __future__ import annotations

from http import HTTPStatus
from time import gmtime

__all__ = ["Lengths", "StatusLines", "httpDate", "reasonOf"]

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = [
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
]
_KEPT = 1024


def httpDate(now: float) -> bytes:
    """
    @param now: seconds since the epoch.
    @return: the moment as Date wants it (RFC 9110, 5.6.7). Not C{strftime}, which
        would speak the locale's language.
    """
    year, month, day, hour, minute, second, weekday, _, _ = gmtime(now)
    return (
        f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} "
        f"{hour:02}:{minute:02}:{second:02} GMT"
    ).encode("ascii")


def reasonOf(status: int) -> str:
    """
    @return: e.g. C{"404 Not Found"}.
    """
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"


class StatusLines(dict[str, tuple[bytes, bool]]):
    """
    From the status as an application gives it to the status line, and whether an
    answer of this status has no body (RFC 9110, 6.4.1).
    """

    def __missing__(self, status: str) -> tuple[bytes, bool]:
        bodyless = status[:3] in ("204", "304") or status[:1] == "1"
        made = b"HTTP/1.1 " + status.encode("latin-1") + b"\r\n", bodyless
        if len(self) >= _KEPT:
            self.clear()
        self[status] = made
        return made


class Lengths(dict[int, bytes]):
    """
    From a size to its Content-Length line and the end of the head.
    """

    def __missing__(self, size: int) -> bytes:
        made = b"Content-Length: %d\r\n\r\n" % size
        if len(self) >= _KEPT:
            self.clear()
        self[size] = made
        return made
