"""
C{twistd svctree}: the plugin's options and its service.

twistd itself goes into the background, drops privileges and writes the log; the
options for these are its own.
"""

from __future__ import annotations

from svctree.assemble import addSignals, makeTree
from svctree.service import MultiService
from svctree.settings.usageflags import SettingsOptions

__all__ = ["Options", "makeService"]


class Options(SettingsOptions):
    """
    Every option of the settings but those that are twistd's business.
    """

    longdesc = (
        "Serve a WSGI application from a supervised pool of workers. Without an "
        "application, a small embedded one is served on http://127.0.0.1:8080/."
    )
    notHere = {
        "detach": "twistd goes into the background by itself unless it is given -n",
        "pidfile": "use 'twistd --pidfile=FILE svctree ...'",
        "errorlog": "use 'twistd --logfile=FILE svctree ...'",
        "basedir": "use 'twistd --rundir=DIR svctree ...'",
        "umask": "use 'twistd --umask=MASK svctree ...'",
        "user": "use 'twistd --uid=USER svctree ...'",
        "group": "use 'twistd --gid=GROUP svctree ...'",
        "chroot": "use 'twistd --chroot=DIR svctree ...'",
        "mode": "",
        "control": "use the command svctree with a configuration file",
        "status": "use the command svctree with a configuration file",
        "stop-timeout": "use graceful-timeout",
        "loglevel": "use 'twistd --logger=...'",
    }


def makeService(options: SettingsOptions) -> MultiService:
    """
    @return: the tree for the parsed options.
    """
    tree = makeTree(options.settings)
    addSignals(tree)
    return tree
