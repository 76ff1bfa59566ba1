"""
A master to drive from a test: a tree with one pool, commands on standard input,
answers on standard output, one JSON object a line.

L{main} takes C{{"application": ..., ...}}; the keywords are
L{svctree.PoolService}'s, C{listen}, and C{constants} (times in the pool's modules that
a test has no patience for, by dotted names). Commands: C{reload}, C{scale N},
C{describe}, C{rebind ADDRESS...} (which answers where it listens then), C{ping},
C{drain}, C{down} and C{up} (the pool's service alone), C{timers} (what the reactor has
yet to call), C{free} (slots of the scoreboard), C{stop}.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

from twisted.internet import stdio
from twisted.internet.defer import maybeDeferred
from twisted.logger import FileLogObserver, eventAsText, globalLogBeginner
from twisted.protocols.basic import LineOnlyReceiver

from svctree import ListenerService, MultiService, PoolService
from tests.support.forked import Nursery
from tests.support.processes import Processes, Running

_nursery = Nursery("tests.support.master")

_READY = r'(?m)^(\{"event": "(ready|failed)".*\})$'


class Driven:
    """
    The test's side of such a master.

    @ivar port: where it listens, once it serves.
    """

    port = 0

    def __init__(self, running: Running, write: int) -> None:
        self.running = running
        self.pid = running.pid
        self._write = write
        self._count = 0

    def call(self, command: str, timeout: float = 30.0) -> dict[str, Any]:
        """
        @return: the answer, C{{"ok": ...}} or C{{"error": ..., "details": ...}}.
        """
        return self.result(self.send(command), timeout)

    def send(self, command: str) -> int:
        """
        Begin a command.

        @return: what to ask L{result} for.
        """
        self._count += 1
        os.write(self._write, f"{self._count} {command}\n".encode())
        return self._count

    def result(self, number: int, timeout: float = 30.0) -> dict[str, Any]:
        pattern = rf'(?m)^(\{{"answer": {number}, .*\}})$'
        found: dict[str, Any] = json.loads(self.running.waitFor(pattern, timeout)[1])
        return found

    def describe(self) -> dict[str, Any]:
        found: dict[str, Any] = self.call("describe")["ok"]
        return found

    def close(self) -> None:
        if self._write >= 0:
            os.close(self._write)
            self._write = -1


def startMaster(
    processes: Processes, application: str, cwd: Any, **keywords: Any
) -> tuple[Driven, int]:
    """
    Start a master and wait until it serves.

    @return: it, and the port of C{listen = tcp:127.0.0.1:0}.
    """
    driven, event = beginMaster(processes, application, cwd, **keywords)
    assert event["event"] == "ready", event
    driven.port = event["port"]
    return driven, driven.port


def beginMaster(
    processes: Processes, application: str, cwd: Any, **keywords: Any
) -> tuple[Driven, dict[str, Any]]:
    """
    Start a master and wait until it serves or has failed to.
    """
    read, write = os.pipe()
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    child = _nursery.fork(
        [json.dumps({"application": application, **keywords})],
        cwd,
        read,
        {**os.environ, "PYTHONPATH": root},
    )
    os.close(read)
    driven = Driven(processes.take(child), write)
    processes.closers.append(driven.close)
    return driven, json.loads(driven.running.waitFor(_READY, 60.0)[1])


def _line(event: Any) -> str:
    """
    @return: a line of the log, which begins with the time in seconds.
    """
    text = eventAsText(event, includeTimestamp=False)
    return f"{event['log_time']:.6f} {text}\n"


def main(arguments: str) -> None:
    # All that does without a reactor has been imported before this process was forked.
    from twisted.internet import reactor as anyReactor

    reactor: Any = anyReactor
    globalLogBeginner.beginLoggingTo(
        [FileLogObserver(sys.stderr, _line)], redirectStandardIO=False
    )
    keywords = json.loads(arguments)
    for name, value in keywords.pop("constants", {}).items():
        module, _, constant = name.rpartition(".")
        assert hasattr(importlib.import_module(module), constant), name
        setattr(sys.modules[module], constant, value)
    tree = MultiService()
    listen = keywords.pop("listen", ["tcp:127.0.0.1:0"])
    listener = ListenerService(*listen, name="http")
    listener.setServiceParent(tree)
    pool = PoolService(**keywords)
    pool.setServiceParent(tree)

    def say(**fields: Any) -> None:
        sys.stdout.write(json.dumps(fields) + "\n")
        sys.stdout.flush()

    def failed(number: int, failure: Any) -> None:
        details = getattr(failure.value, "details", "")
        say(answer=number, error=failure.getErrorMessage(), details=details)

    def rebind(*addresses: str) -> Any:
        d = listener.rebind(addresses)
        return d.addCallback(lambda _: listener.describe()["listening"])

    class Commands(LineOnlyReceiver):
        delimiter = b"\n"

        def connectionLost(self, reason: Any = None) -> None:
            # The tests were killed, and could not do it themselves.
            if reactor.running:
                reactor.stop()

        def lineReceived(self, line: bytes) -> None:
            number, name, *arguments = line.decode().split()
            given = [int(a) if a.isdigit() else a for a in arguments]
            d = maybeDeferred(self.commands[name], *given)
            d.addCallback(lambda result: say(answer=int(number), ok=result))
            d.addErrback(lambda failure: failed(int(number), failure))

        commands = {
            "reload": pool.reload,
            "scale": pool.scale,
            "describe": pool.describe,
            "rebind": rebind,
            "ping": pool.ping,
            "drain": pool.drain,
            "down": pool.stopService,
            "up": lambda: pool.startService().addCallback(lambda _: None),
            "timers": lambda: [str(c) for c in reactor.getDelayedCalls()],
            "free": lambda: len(pool._shared._free),  # type: ignore[union-attr]
            "stop": lambda: reactor.callLater(0, reactor.stop) and None,
        }

    def ready(_: object) -> None:
        say(event="ready", port=listener.sockets()[0].getsockname()[1])

    def notReady(failure: Any) -> None:
        error = failure.value
        say(
            event="failed",
            error=str(error),
            details=error.details,
            status=error.exitStatus,
        )
        reactor.stop()

    def start() -> None:
        tree.privilegedStartService()
        listener.startService()
        pool.startService().addCallbacks(ready, notReady)
        tree.running = True

    stdio.StandardIO(Commands())
    reactor.callWhenRunning(start)
    reactor.addSystemEventTrigger("before", "shutdown", pool.stopService)
    reactor.addSystemEventTrigger("after", "shutdown", listener.stopService)
    reactor.run()
