"""
Which daemon a command is about: found by its pidfile, asked on its control socket.
"""

from __future__ import annotations

import os

from svctree.command.errors import BAD_USAGE, NOT_RUNNING, CommandError
from svctree.control import ControlClient, NotRunning
from svctree.listen import UnixAddress, parseAddress
from svctree.process import Holder, PidFile
from svctree.settings import Settings

__all__ = ["client", "holderOf", "notRunning", "pidfileOf", "socketPaths"]


def pidfileOf(settings: Settings, command: str) -> PidFile:
    """
    @raise CommandError: the settings name none.
    """
    if settings.pidfile is None:
        raise CommandError(
            f"{command} which daemon? Name its configuration with -c FILE, or its "
            "pidfile with --pidfile FILE",
            BAD_USAGE,
        )
    return PidFile(settings.pidfile)


def holderOf(settings: Settings, command: str) -> Holder | None:
    """
    @return: the running daemon, or L{None}; to be closed after use.
    @raise CommandError: the settings name no pidfile.
    @raise svctree.process.PidFileError: the pidfile cannot be read.
    """
    return pidfileOf(settings, command).holder()


def client(settings: Settings, command: str) -> ControlClient:
    """
    @return: to ask the daemon with.
    @raise CommandError: no control address follows from the settings.
    """
    address = settings.controlAddress()
    if address is None and settings.control == "none":
        raise CommandError(f"{command} needs the control socket, but control = none")
    if address is None:
        raise CommandError(
            f"{command} which daemon? Name its configuration with -c FILE, or its "
            "control socket with --control unix:PATH",
            BAD_USAGE,
        )
    return ControlClient(address)


def notRunning(settings: Settings, error: NotRunning) -> CommandError:
    """
    Tell a daemon that is not there from one that does not answer.

    @param error: nobody answers on the control socket.
    @return: what to raise instead.
    """
    if settings.pidfile is None:
        return CommandError(str(error), NOT_RUNNING)
    holder = PidFile(settings.pidfile).holder()
    if holder is None:
        return CommandError(
            f"not running: nobody holds the pidfile {settings.pidfile}", NOT_RUNNING
        )
    with holder:
        return CommandError(
            f"the daemon with pid {holder.pid} does not answer on its control socket "
            f"{settings.controlAddress()}: it is starting or stopping, or has another "
            "one"
        )


def socketPaths(settings: Settings) -> list[str]:
    """
    @return: the paths of the unix sockets that a daemon with these settings makes.
    """
    addresses = [*settings.listen]
    addresses += filter(None, [settings.controlAddress(), settings.statusAddress()])
    parsed = [parseAddress(address) for address in addresses]
    return [os.path.abspath(one.path) for one in parsed if isinstance(one, UnixAddress)]
