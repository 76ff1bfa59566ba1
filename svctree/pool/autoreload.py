"""
Reload when the application's files change; for development.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger

from svctree.pool.errors import PoolError

if TYPE_CHECKING:
    from svctree.pool.service import PoolService
    from svctree.pool.shared import Shared

__all__ = ["Autoreload", "foldersToWatch"]

_log = Logger("svctree.pool")

# Changes that come together (a checkout, an editor's temporary files) are one.
_DEBOUNCE = 50
_POLL = 500

# A tree with more folders than this is hardly an application's source.
_MOST_FOLDERS = 2000
_NOT_SOURCE = {"node_modules", "__pycache__", "site-packages"}


class Autoreload:
    """
    Watches from a thread and reloads in the reactor.

    Without the option C{autoreload} it does nothing.
    """

    def __init__(self, pool: PoolService, shared: Shared) -> None:
        self._pool = pool
        self._shared = shared
        self._folders: list[str] = []
        self._ended = False
        # Ends the thread that watches.
        self._stop = threading.Event()

    def start(self) -> None:
        """
        Begin to watch, where that was asked for and C{watchfiles} is installed.
        """
        if not self._shared.settings.autoreload:
            return
        try:
            import watchfiles  # noqa: F401
        except ImportError:
            _log.warn(
                "{pool}: autoreload needs watchfiles: pip install 'svctree[reload]'",
                pool=self._shared.name,
            )
            return
        self._follow()

    def stop(self) -> None:
        self._ended = True
        self._stop.set()

    def _follow(self) -> None:
        """
        Watch the folders of the generation that serves; a new one may have others.
        """
        succession = self._pool.succession
        if self._ended or succession is None or succession.current is None:
            return
        folders = foldersToWatch(succession.current.files, self._shared.path)
        if folders == self._folders:
            return
        self._folders = folders
        # The one before goes on until it sees this, so that no change is missed.
        self._stop.set()
        self._stop = threading.Event()
        threading.Thread(
            target=self._watch, args=(folders, self._stop), daemon=True
        ).start()

    def _watch(self, folders: list[str], stop: threading.Event) -> None:
        import watchfiles

        changes = watchfiles.watch(
            *folders,
            watch_filter=watchfiles.PythonFilter(),
            debounce=_DEBOUNCE * 10,
            step=_DEBOUNCE,
            rust_timeout=_POLL,
            stop_event=stop,
            recursive=False,
            raise_interrupt=False,
        )
        for found in changes:
            paths = sorted(path for _, path in found)
            self._shared.reactor.callFromThread(self._reload, paths)

    def _reload(self, paths: list[str]) -> None:
        if self._ended:
            return
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        _log.info(
            "{pool}: {path}{more} changed, reloading",
            pool=self._shared.name,
            path=paths[0],
            more=more,
        )
        d = maybeDeferred(self._pool.reload)
        # The pool has logged it, with the traceback.
        d.addErrback(lambda failure: failure.trap(PoolError) and None)
        d.addCallback(lambda _: self._follow())


def foldersToWatch(files: Iterable[str], path: Iterable[str]) -> list[str]:
    """
    @param files: what the application imported when it was loaded.
    @param path: folders of its own on C{sys.path}; what is imported only later comes
        from there.
    @return: the folders that have source of the application, without those of Python
        itself.
    """
    library = sysconfig.get_paths()["stdlib"]
    installed = (sys.prefix, sys.base_prefix)
    folders = {
        os.path.dirname(os.path.abspath(file))
        for file in files
        if not file.startswith(library)
    }
    for root in path:
        # An application that lives in the environment was imported, and is above.
        if os.path.abspath(root) not in installed:
            folders.update(_sourceFolders(os.path.abspath(root)))
    return sorted(folder for folder in folders if os.path.isdir(folder))


def _sourceFolders(root: str) -> Iterator[str]:
    for count, (folder, names, files) in enumerate(os.walk(root)):
        names[:] = [
            name
            for name in names
            if name not in _NOT_SOURCE
            and not name.startswith(".")
            and not os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))
        ]
        if count >= _MOST_FOLDERS:
            return
        if folder == root or any(file.endswith(".py") for file in files):
            yield folder
