"""
What can go wrong with a pool, for people and for programs.
"""

from __future__ import annotations

__all__ = ["BootError", "PoolError", "ReloadError", "ScaleError"]


class PoolError(Exception):
    """
    The base of the errors of this package.

    @ivar exitStatus: what a command that fails with this exits with.
    @ivar details: more than one line, such as a traceback; often empty.
    """

    exitStatus = 1

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


class BootError(PoolError):
    """
    The workers did not come up: the application cannot be imported (status 4), or a
    worker failed before it was ever ready (status 3).
    """

    def __init__(self, message: str, details: str = "", exitStatus: int = 3) -> None:
        super().__init__(message, details)
        self.exitStatus = exitStatus


class ReloadError(PoolError):
    """
    The new generation did not come up; the old one serves on.
    """


class ScaleError(PoolError):
    """
    The pool cannot have that many workers.
    """
