"""
OS process integration, in the manner of the seed::

    from svctree import opi

    config = opi.configuration("/etc/app.ini")
    opi.factory(config, opts, args).work()

C{mode} in the section C{[svctree]} or C{[wtf]} selects the class; L{register} adds
one. Svctree's own mode is C{daemon}: with C{detach = yes} the last of C{args} is one
of C{start}, C{stop}, C{logrotate} and C{logreopen}; with C{detach = no} the process
itself becomes the daemon.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from zope.interface import implementer

from svctree.command import asking, serving, stopping
from svctree.interfaces import OPIInterface
from svctree.settings import (
    BadValue,
    Configuration,
    Problem,
    SettingsError,
    addNames,
    nearest,
    readConfiguration,
)
from svctree.settings.kinds import Umask

__all__ = [
    "MODE_FORKED",
    "MODE_ONCE",
    "MODE_SINGLE",
    "MODE_THREADED",
    "ConfigurationError",
    "Daemon",
    "OPIDone",
    "OPIError",
    "OPIInterface",
    "configuration",
    "factory",
    "register",
]

MODE_THREADED, MODE_FORKED, MODE_SINGLE, MODE_ONCE = range(4)
"""The running modes: threads, processes, neither, one request."""

ConfigurationError = SettingsError
"""What is raised for a configuration that cannot be used."""

configuration = readConfiguration
"""C{configuration(path)} reads a file for L{factory}."""

_RUNNING = {
    "threaded": MODE_THREADED,
    "prefork": MODE_FORKED,
    "single": MODE_SINGLE,
    "once": MODE_ONCE,
}

_COMMANDS = ("start", "stop", "logrotate", "logreopen")


class OPIError(Exception):
    """
    The work could not be done.

    @ivar exit_code: what the process should end with.
    @ivar details: more than one line, such as a traceback; often empty.
    """

    exit_code = 1

    def __init__(self, *args: object, details: str = "") -> None:
        super().__init__(*args)
        self.details = details

    @property
    def exitStatus(self) -> int:
        return self.exit_code


class OPIDone(OPIError):
    """
    The work is done, and this process has nothing to serve.
    """

    exit_code = 0


@implementer(OPIInterface)
class Daemon:
    """
    The mode C{daemon}: a standalone daemon that goes into the background or not.
    """

    MODE_THREADED = MODE_THREADED
    MODE_FORKED = MODE_FORKED
    MODE_SINGLE = MODE_SINGLE
    MODE_ONCE = MODE_ONCE

    def __init__(self, config: Configuration, opts: Any, args: Sequence[str]) -> None:
        """
        @raise ConfigurationError: the file cannot be used, with all problems.
        @raise OPIError: the command is missing or unknown.
        """
        self.config = config
        self.opts = opts
        self.args = list(args)
        self.settings = config.settings()
        # A model that a third party has added is made of processes.
        self.mode = _RUNNING.get(self.settings.workermodel, MODE_FORKED)
        self._command = self._chosen() if self.settings.detach else None

    def _chosen(self) -> str:
        expected = f"expected one of {', '.join(_COMMANDS)}"
        if not self.args:
            raise OPIError(f"with detach = yes a command is needed: {expected}")
        word = self.args[-1]
        if word not in _COMMANDS:
            close = nearest(word, _COMMANDS)
            hint = f"; did you mean {close}?" if close else ""
            raise OPIError(f"unknown command {word!r}, {expected}{hint}")
        return word

    def work(self) -> None:
        """
        Serve, or do what the command says. In the background, the daemon's process
        ends here when it has been stopped.

        @raise OPIDone: the command is done.
        @raise OPIError: it failed, and nothing is left behind; without a message
            when the reason was printed already.
        """
        try:
            self._work()
        except OPIError:
            raise
        except SystemExit as end:
            # The process that went into the background has its own way out.
            raise (OPIDone() if not end.code else _failed("", end.code)) from None
        except Exception as error:
            if not hasattr(error, "exitStatus"):
                raise
            details = getattr(error, "details", "")
            raise _failed(str(error), error.exitStatus, details) from error

    def _work(self) -> None:
        if self._command is None:
            status = serving.serve(self.settings)
            if status:
                raise _failed("", status)
            return
        if self._command == "start":
            status = serving.start(self.settings)
            # The daemon has ended: this process is a copy of the one that has
            # returned long ago, and must not go on with its program.
            os._exit(status)
        if self._command == "stop":
            stopping.stop(self.settings)
        else:
            asking.reopenLogs(self.settings)
        raise OPIDone


def _failed(message: str, status: Any, details: str = "") -> OPIError:
    error = OPIError(*([message] if message else []), details=details)
    error.exit_code = status
    return error


basemodes: dict[str, Callable[..., Any]] = {"daemon": Daemon}
"""What C{mode} can be."""


def factory(config: Any, opts: Any = None, args: Sequence[str] = ()) -> Any:
    """
    Make the object that the configuration's C{mode} selects; C{basedir} becomes the
    working directory and C{umask} the mask of this process.

    @param config: from L{configuration}, or anything with a C{ROOT} and a section
        C{wtf} that behaves like it.
    @param opts: the parsed options of the command line, handed on.
    @param args: the arguments of the command line, handed on.
    @return: provides L{OPIInterface}.
    @raise ConfigurationError: the configuration cannot be used.
    """
    mode = config.wtf("mode", "daemon")
    try:
        chosen = basemodes[mode]
    except KeyError:
        raise _unknown(config, mode) from None
    if chosen is not Daemon:
        # Ours does the same later, when it has gone into the background.
        _prepare(config)
    return chosen(config, opts, args)


factory.basemodes = basemodes  # type: ignore[attr-defined]


def register(name: str, klass: Callable[..., Any]) -> None:
    """
    Add an integration mode, or replace one.

    @param name: the value of C{mode} that selects it.
    @param klass: called with C{(config, opts, args)}; what it makes provides
        L{OPIInterface}.
    """
    basemodes[name] = klass


addNames("mode", lambda: basemodes)


def _unknown(config: Any, mode: object) -> ConfigurationError:
    known = sorted(basemodes)
    message = f"unknown mode {mode!r}, expected one of {', '.join(known)}"
    close = nearest(str(mode), known)
    if close:
        message += f"; did you mean {close}?"
    return ConfigurationError([Problem(str(getattr(config, "path", "")), message)])


def _prepare(config: Any) -> None:
    basedir = os.path.normpath(os.path.join(config.ROOT, config.wtf("basedir", "/")))
    try:
        umask = Umask().fromText(str(config.wtf("umask", "0")))
    except BadValue as error:
        raise OPIError(f"umask: {error}") from None
    try:
        os.chdir(basedir)
    except OSError as error:
        raise OPIError(f"basedir: cannot enter {basedir}: {error.strerror}") from None
    if umask is not None:
        os.umask(umask)
