"""
What can be wrong with a tree: one base class, the facts as attributes.

Errors that Twisted's own containers raise as C{RuntimeError}, C{KeyError} or
C{ValueError} are subclasses of these, so that programs which catch them go on
working.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twisted.python.failure import Failure


class TreeError(Exception):
    """
    The base of all errors of the service tree.

    @ivar path: the path of the service concerned.
    """

    def __init__(self, message: str, path: str = "/") -> None:
        super().__init__(message)
        self.message = message
        self.path = path

    def __str__(self) -> str:
        # KeyError would show the message in quotes.
        return self.message


class NameRefused(TreeError, ValueError):
    """
    The empty string is no name.
    """

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path}: a service cannot be named '', use None for no name", path
        )


class NameIsFixed(TreeError, RuntimeError):
    """
    A service cannot be renamed while it has a parent.

    @ivar name: the refused name.
    """

    def __init__(self, path: str, name: str) -> None:
        super().__init__(
            f"{path}: cannot be renamed to {name!r} while it has a parent", path
        )
        self.name = name


class DuplicateName(TreeError, RuntimeError):
    """
    The container has a child of that name already.

    @ivar name: the name.
    """

    def __init__(self, path: str, name: str) -> None:
        super().__init__(f"{path}: has a child named {name!r} already", path)
        self.name = name


class AlreadyAChild(TreeError, RuntimeError):
    """
    The same service was added twice.
    """

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: is a child of this container already", path)


class CycleOfParents(TreeError, RuntimeError):
    """
    A container was to become its own descendant.

    @ivar chain: what the cycle would look like, from parent to child.
    """

    def __init__(self, chain: Sequence[str]) -> None:
        spelled = " -> ".join(chain)
        path = f"/{chain[0]}"
        super().__init__(f"{path}: would be its own ancestor: {spelled}", path)
        self.chain = tuple(chain)


class NoSuchService(TreeError, KeyError):
    """
    A name or a path leads nowhere.

    @ivar name: the part that is missing.
    @ivar siblings: the names that are there.
    """

    def __init__(self, path: str, name: str, siblings: Iterable[str]) -> None:
        self.name = name
        self.siblings = tuple(siblings)
        known = ", ".join(map(repr, self.siblings[:20])) or "no named children"
        if len(self.siblings) > 20:
            known += f" and {len(self.siblings) - 20} more"
        super().__init__(f"{path}: has no child {name!r}; there is {known}", path)


class NotAChild(TreeError, ValueError):
    """
    The service is no child of this container.
    """

    def __init__(self, path: str, service: object) -> None:
        super().__init__(f"{path}: {service!r} is not a child of it", path)
        self.service = service


class PrivilegedPhaseIsSynchronous(TreeError, TypeError):
    """
    C{privilegedStartService} returned something to wait for.

    Privileges are dropped as soon as the call returns.
    """

    def __init__(self, path: str, result: object) -> None:
        super().__init__(
            f"{path}: privilegedStartService returned a {type(result).__name__}; "
            f"it must be done when it returns, privileges are dropped right after",
            path,
        )
        self.result = result


class StartInterrupted(TreeError):
    """
    The container was stopped before all of its children were up.
    """

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: was stopped before it was up", path)


class StopFailed(TreeError):
    """
    Some children reported an error while they stopped. All of them were told to.

    @ivar failures: C{(path, Failure)} for each of them.
    @ivar results: C{(success, result)} of every child that was stopped, in the
        order of the calls.
    """

    def __init__(
        self,
        path: str,
        failures: Sequence[tuple[str, Failure]],
        results: Sequence[tuple[bool, object]],
    ) -> None:
        reasons = "; ".join(
            f"{where}: {failure.getErrorMessage()}" for where, failure in failures
        )
        super().__init__(f"{path}: did not stop cleanly: {reasons}", path)
        self.failures = tuple(failures)
        self.results = list(results)


__all__ = [
    "AlreadyAChild",
    "CycleOfParents",
    "DuplicateName",
    "NameIsFixed",
    "NameRefused",
    "NoSuchService",
    "NotAChild",
    "PrivilegedPhaseIsSynchronous",
    "StartInterrupted",
    "StopFailed",
    "TreeError",
]
