"""
Who is told of what happens in a tree: those that subscribed, and the log.

An event that nobody takes is not made: a hundred thousand children start in less time
than it takes to write down the first thousand of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twisted.logger import (
    FilteringLogObserver,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    LogPublisher,
    globalLogBeginner,
    globalLogPublisher,
)

from svctree.tree.events import TreeEvent

NAMESPACE = "svctree.tree"

_log = Logger(namespace=NAMESPACE)

Observer = Callable[[TreeEvent], object]


class _Subscriptions:
    """
    How many there are anywhere: without any, nobody has to be looked for.
    """

    def __init__(self) -> None:
        self.number = 0


subscriptions = _Subscriptions()


def listens(container: Any, keep: bool = True) -> bool:
    """
    @param container: where it happens.
    @param keep: whether it counts that Twisted keeps what is logged before logging
        has begun, for those that may begin it.
    @return: whether somebody takes what we have to say of level "info", as most of
        it is; in doubt somebody does.
    """
    for observer in globalLogPublisher._observers:
        if observer is globalLogBeginner._temporaryObserver:
            if keep:
                return True
        elif _takes(observer):
            return True
    return subscriptions.number > 0 and _isObserved(container)


def _isObserved(container: Any) -> bool:
    while container is not None:
        if getattr(container, "_observers", None):
            return True
        container = container.parent
    return False


def _takes(observer: Any) -> bool:
    if isinstance(observer, FilteringLogObserver):
        # That Twisted keeps them there is tested.
        for predicate in observer._shouldLogEvent.args[0]:
            if isinstance(predicate, LogLevelFilterPredicate):
                if predicate.logLevelForNamespace(NAMESPACE) in _STRICTER:
                    return _takes(observer._negativeObserver)
            else:
                break
        return _takes(observer._observer)
    if isinstance(observer, LogPublisher):
        return any(map(_takes, observer._observers))
    return observer is not _BITBUCKET


_STRICTER = frozenset([LogLevel.warn, LogLevel.error, LogLevel.critical])

_BITBUCKET = FilteringLogObserver(globalLogPublisher, ())._negativeObserver
"""Takes everything and keeps nothing."""


def logEvent(event: TreeEvent) -> None:
    """
    The observer that is always there: one line with the facts as fields.
    """
    # The line itself is made by whoever writes it. C{Logger.emit} takes longer to see
    # that the level is one than everything else does together.
    entry = event.facts()
    entry.update(
        event=event,
        log_logger=_log,
        log_level=event.level,
        log_namespace=NAMESPACE,
        log_source=None,
        log_format="{event}",
        log_time=time.time(),
    )
    _log.observer(entry)


def publish(container: Any, event: TreeEvent) -> None:
    """
    Log C{event} and tell the observers of C{container} and of all above it.

    An observer that raises is logged and does not disturb the tree.
    """
    logEvent(event)
    if not subscriptions.number:
        return
    while container is not None:
        for observer in tuple(getattr(container, "_observers", None) or ()):
            try:
                observer(event)
            except Exception:
                _log.failure("an observer of {path} failed", path=event.path)
        container = container.parent


__all__ = ["Observer", "listens", "logEvent", "publish", "subscriptions"]
