"""
What can be wrong with a tree: one base class, the facts as attributes.

Errors that Twisted's own containers raise as C{RuntimeError}, C{KeyError} or
C{ValueError} are subclasses of these, so that programs which catch them go on
working.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twisted.python.failure import Failure
from twisted.python.reflect import safe_repr


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


def placed(path: str | None, message: str) -> str:
    """
    @return: C{message} with the path in front, unless it says it already.
    """
    if path is None or message.startswith(path):
        return message
    return f"{path}: {message}"


def inOneLine(failure: Failure) -> str:
    """
    @return: what C{failure} says, in one line, or what it is if it says nothing.
    """
    lines = failure.getErrorMessage().splitlines()
    name = getattr(failure.type, "__name__", str(failure.type))
    return lines[0] if lines and lines[0] else name


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
        super().__init__(f"{path}: is a child already", path)


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
        super().__init__(f"{path}: {safe_repr(service)} is not a child of it", path)
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
            placed(where, inOneLine(failure)) for where, failure in failures
        )
        super().__init__(f"{path}: did not stop cleanly: {reasons}", path)
        self.failures = tuple(failures)
        self.results = list(results)


class DependencyCycle(TreeError, ValueError):
    """
    Siblings wait for each other.

    @ivar cycle: the names, each waiting for the next; the first is repeated at the
        end.
    """

    def __init__(self, path: str, cycle: Sequence[str]) -> None:
        spelled = " -> ".join(cycle)
        super().__init__(f"{path}: starts after itself: {spelled}", path)
        self.cycle = tuple(cycle)


class RequirementMissing(TreeError, RuntimeError):
    """
    A child requires a sibling that is not there or did not come up.

    @ivar requirement: the name of the sibling.
    """

    def __init__(self, path: str, requirement: str, state: str) -> None:
        super().__init__(f"{path}: requires {requirement!r}, which {state}", path)
        self.requirement = requirement


class StartTimedOut(TreeError):
    """
    A child was not up in time. Its start was cancelled, and then it was stopped.

    @ivar timeout: the seconds it had.
    """

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__(f"{path}: was not up after {timeout:g} s", path)
        self.timeout = timeout


class StopOverran(TreeError):
    """
    A child had not stopped in time, and is left to itself.

    @ivar timeout: the seconds it had.
    """

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__(f"{path}: had not stopped after {timeout:g} s", path)
        self.timeout = timeout


class HealthCheckFailed(TreeError):
    """
    A child failed its health check too often in a row.

    @ivar times: how often.
    @ivar cause: the L{Failure} of the last check.
    """

    def __init__(self, path: str, times: int, cause: Failure) -> None:
        super().__init__(
            f"{path}: failed its health check {times} times in a row: "
            f"{inOneLine(cause)}",
            path,
        )
        self.times = times
        self.cause = cause


class ProcessKeepsEnding(TreeError):
    """
    A process that is monitored ends as soon as it is started, time and again.

    @ivar name: what the C{ProcessMonitor} calls it.
    @ivar times: how often in a row.
    """

    def __init__(self, name: str, times: int, path: str) -> None:
        super().__init__(
            f"{path}: the process {name!r} ended at once, {times} times in a row", path
        )
        self.name = name
        self.times = times


class Shutdown(TreeError):
    """
    A supervisor went down in good order: C{normal} and C{shutdown} are not errors
    to a transient child's supervisor.
    """


class RestartLimitReached(Shutdown):
    """
    A supervisor has restarted its children too often, and gave up.

    @ivar maxRestarts: how many restarts were allowed
    @ivar within: in so many seconds.
    @ivar cause: the L{Failure} that was one too many.
    @ivar exitStatus: what the process exits with, when this reaches the root.
    @ivar details: what else there is to show, such as a traceback.
    """

    def __init__(
        self, path: str, maxRestarts: int, within: float, cause: Failure
    ) -> None:
        where = getattr(cause.value, "servicePath", None)
        told = placed(where, inOneLine(cause))
        super().__init__(
            f"{path}: gave up after {maxRestarts} restarts within {within:g} s: {told}",
            path,
        )
        self.maxRestarts = maxRestarts
        self.within = within
        self.cause = cause
        self.exitStatus: int = getattr(cause.value, "exitStatus", 1)
        self.details: str = getattr(cause.value, "details", "")


class UnknownOption(TreeError, ValueError):
    """
    A container was told something, about itself or about a child, that makes no sense.

    @ivar option: what was set.
    @ivar value: to what.
    """

    def __init__(self, path: str, option: str, value: object, expected: str) -> None:
        super().__init__(
            f"{path}: {option} is {safe_repr(value)}, expected {expected}", path
        )
        self.option = option
        self.value = value


class ChildIsRunning(TreeError, RuntimeError):
    """
    What was asked for is only possible with a child that does not run.
    """

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: is running; terminate it first", path)


class ChildIsRestarting(TreeError, RuntimeError):
    """
    A child that went down is about to be restarted anyway.
    """

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path}: is being restarted; wait for that, or terminate it first", path
        )


class SupervisorIsDown(TreeError, RuntimeError):
    """
    A supervisor that does not run was to start a child.
    """

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: does not run; start it first", path)


class TooManyChildren(TreeError, RuntimeError):
    """
    A L{DynamicSupervisor} has as many children as it may have.

    @ivar maxChildren: how many that is.
    """

    def __init__(self, path: str, maxChildren: int) -> None:
        super().__init__(f"{path}: has {maxChildren} children, no more fit in", path)
        self.maxChildren = maxChildren


class Ignore(Exception):
    """
    Raised by C{startService}: this service has nothing to do, leave it be. Its
    supervisor keeps what it knows of it, and does not run it.
    """


class DoNotRestart(Exception):
    """
    A service that goes down with this is not restarted, whatever its restart type.
    """


class StopTree(Exception):
    """
    A service that goes down with this takes the whole tree down.

    @ivar exitStatus: what the process exits with.
    """

    def __init__(self, message: str = "a service asked for it", exitStatus: int = 1):
        super().__init__(message)
        self.exitStatus = exitStatus


__all__ = [
    "AlreadyAChild",
    "ChildIsRestarting",
    "ChildIsRunning",
    "CycleOfParents",
    "DependencyCycle",
    "DoNotRestart",
    "DuplicateName",
    "HealthCheckFailed",
    "Ignore",
    "NameIsFixed",
    "NameRefused",
    "NoSuchService",
    "NotAChild",
    "PrivilegedPhaseIsSynchronous",
    "ProcessKeepsEnding",
    "RequirementMissing",
    "RestartLimitReached",
    "Shutdown",
    "StartInterrupted",
    "StartTimedOut",
    "StopFailed",
    "StopOverran",
    "StopTree",
    "SupervisorIsDown",
    "TooManyChildren",
    "TreeError",
    "UnknownOption",
]
