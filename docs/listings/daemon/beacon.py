"""
A daemon that is no web server: every second it writes the time into a file.

Usage: beacon.py FOLDER start|stop|status
"""

import signal
import sys
import time
from pathlib import Path

from svctree.control import ControlClient, ControlService
from svctree.process import DaemonService, PidFile, Runner
from svctree.service import MultiService


def start(folder: Path) -> int:
    from twisted.application.internet import TimerService

    beacon = folder / "beacon"
    tree = MultiService()
    daemon = DaemonService(
        pidfile=folder / "beacon.pid",
        errorlog=str(folder / "beacon.log"),
    )
    # First: it locks the pidfile before anything else happens, and gives root's
    # rights away (user=, group=) before anything is spawned.
    daemon.setServiceParent(tree)
    TimerService(1, lambda: beacon.write_text(time.ctime())).setServiceParent(tree)
    ControlService(f"unix:{folder}/beacon.ctl(600)").setServiceParent(tree)
    return Runner(tree, daemon, detach=True, basedir="/", umask=0o022).run()


def stop(folder: Path) -> int:
    holder = PidFile(folder / "beacon.pid").holder()
    if holder is not None:
        with holder:
            holder.signal(signal.SIGTERM, signal.SIGCONT)
            return 0 if holder.wait(10) else 1
    return 0


def status(folder: Path) -> int:
    print(ControlClient(f"{folder}/beacon.ctl").status()["state"])
    return 0


if __name__ == "__main__":
    commands = {"start": start, "stop": stop, "status": status}
    sys.exit(commands[sys.argv[2]](Path(sys.argv[1]).resolve()))
