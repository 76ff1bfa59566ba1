"""
Configuration files that are programs: C{#!/usr/bin/env -S svctree run -c}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["withoutQuery"]


def withoutQuery(arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """
    Drop what a web server put behind the name of a CGI script.

    RFC 3875, 4.4: the words of a query without C{=} become arguments of the script.
    Whoever asks for C{app.cgi?--application+something} must not choose what this
    command does. The kernel puts the name of the script last, so that whatever stands
    behind it came from there.

    @param arguments: of the command.
    @param environment: of the process.
    """
    if "GATEWAY_INTERFACE" in environment:
        for index, argument in enumerate(arguments[:-1]):
            if argument in ("-c", "--config") and _isScript(arguments[index + 1]):
                return list(arguments[: index + 2])
    return list(arguments)


def _isScript(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False
