"""
Becoming a user whom no password database knows.

C{twistd} asks the database for the groups of the user it becomes, and dies when there
is no such user: in a container there often is none. So it is done here, right after
the privileged phase, and C{twistd} is left with nothing to do.
"""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from twisted.logger import Logger

_log = Logger()


def hasPasswd(uid: int) -> bool:
    """
    @return: whether a password database knows C{uid}.
    """
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def runnerConfig() -> Mapping[str, Any]:
    """
    @return: the options of the C{twistd} that is starting us; empty if none is.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "startApplication":
            config = getattr(frame.f_locals.get("self"), "config", None)
            if config is not None:
                return config  # type: ignore[no-any-return]
        frame = frame.f_back
    return {}


def shedUnknown(process: Any, config: Mapping[str, Any]) -> Callable[[], None]:
    """
    Become the user of C{process}, if we are root and the user is one that C{twistd}
    cannot become.

    @param process: an C{IProcess} provider. Its C{uid} and C{gid} are L{None}
        afterwards, so that the runner does not try.
    @param config: the runner's options, which are stronger.
    @return: call it when the runner is through: it puts C{uid} and C{gid} back.
    """
    uid, gid = process.uid, process.gid
    wanted = config.get("uid") is None and uid is not None and not hasPasswd(uid)
    if not wanted or os.geteuid() != 0:
        return lambda: None
    if config.get("gid") is not None:
        gid = config["gid"]
    os.setgroups([gid])
    if config.get("euid"):
        os.setegid(gid)
        os.seteuid(uid)
    else:
        os.setgid(gid)
        os.setuid(uid)
    _log.info("set uid/gid {uid}/{gid}", uid=uid, gid=gid)
    before = process.uid, process.gid
    process.uid = process.gid = None

    def restore() -> None:
        process.uid, process.gid = before

    return restore


__all__ = ["hasPasswd", "runnerConfig", "shedUnknown"]
