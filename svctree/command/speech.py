"""
How commands speak to people: results on standard output, problems on standard error.
"""

from __future__ import annotations

import sys

__all__ = ["complain", "say"]


def say(text: str) -> None:
    """
    Print a result.
    """
    sys.stdout.write(text + "\n")


def complain(message: str, details: str = "") -> None:
    """
    Print a problem; one line each where there are several.
    """
    for line in message.splitlines():
        sys.stderr.write(f"svctree: {line}\n")
    if details.strip():
        sys.stderr.write(details.rstrip() + "\n")
    sys.stderr.flush()
