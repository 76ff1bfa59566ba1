"""
What ends a command.
"""

from __future__ import annotations

__all__ = [
    "ALREADY_RUNNING",
    "BAD_USAGE",
    "DONE",
    "FAILED",
    "INTERRUPTED",
    "NOT_RUNNING",
    "CommandError",
]

# Exit statuses of the commands; what a start fails with, its exceptions know
# (3 the workers did not boot, 4 the application cannot be imported).
DONE = 0
FAILED = 1
BAD_USAGE = 2
ALREADY_RUNNING = 5
NOT_RUNNING = 7
# What shells report for a command that Ctrl-C has ended.
INTERRUPTED = 130


class CommandError(Exception):
    """
    A command could not do what was asked.

    @ivar exitStatus: what the process ends with.
    @ivar details: more than one line, such as a traceback; often empty.
    """

    def __init__(
        self, message: str, exitStatus: int = FAILED, details: str = ""
    ) -> None:
        super().__init__(message)
        self.exitStatus = exitStatus
        self.details = details
