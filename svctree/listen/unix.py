"""
Unix sockets: bound with their permission, replaced when stale, removed when ours.

The permission is a matter of the umask at the moment of C{bind}: a C{chmod} after
it would leave a window, and a rename from a private name would leave that name as
the socket's address for everyone who asks. The umask belongs to the whole process,
so the binding is done in a thread that has stopped sharing it (C{unshare(2)} with
C{CLONE_FS}, which needs no privilege). Where that is impossible the process' umask
is changed for the moment of the call.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import grp
import os
import pwd
import socket
import stat
import sys
import threading
import time
from collections.abc import Iterator

from svctree.listen.address import AbstractAddress, Address, UnixAddress
from svctree.listen.bound import Bound
from svctree.listen.errors import (
    AddressInUse,
    BindFailed,
    NoSuchFolder,
    NotASocket,
    NotPermitted,
    PathTooLong,
    UnknownOwner,
)
from svctree.listen.holders import holderOf
from svctree.listen.plan import Endpoint, Want

__all__ = ["PATH_LIMIT", "bindUnix"]

PATH_LIMIT = 107 if sys.platform.startswith("linux") else 103
"""The longest path of a socket, in bytes (C{sun_path} without its final NUL)."""

_CLONE_FS = 0x200
_LOCK_PATIENCE = 2.0
"""Seconds to wait for another process that is about to bind in the same folder."""

_KINDS = (
    (stat.S_ISREG, "a regular file"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def bindUnix(want: Want, backlog: int) -> list[Bound]:
    """
    Bind a unix socket.

    @raise ListenError: it could not be bound; nothing was removed that answers, or
        that is no socket.
    """
    (endpoint,) = want.endpoints
    address = want.address
    if isinstance(address, AbstractAddress):
        return [_bindAbstract(address, endpoint, backlog)]
    assert isinstance(address, UnixAddress)
    path = endpoint.host
    length = len(os.fsencode(path))
    if length > PATH_LIMIT:
        raise PathTooLong(address.render(), length, PATH_LIMIT)
    owner = _owner(address)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    file: _File | None = None
    try:
        sock.setblocking(False)
        with _folderLocked(os.path.dirname(path)):
            _makeWay(address, endpoint)
            _bindWithMode(sock, path, address.mode)
            file = _File(path)
            # Nobody gets in before the owner is right: until now nobody listens.
            file.give(*owner)
            sock.listen(backlog)
    except OSError as error:
        if file is not None:
            file.remove()
        sock.close()
        raise _explain(error, address, endpoint) from error
    except BaseException:
        sock.close()
        raise
    return [Bound(address, endpoint, sock, cleanUp=file.remove, permit=file.permit)]


def _bindAbstract(address: AbstractAddress, endpoint: Endpoint, backlog: int) -> Bound:
    name = os.fsencode(address.name)
    if len(name) > PATH_LIMIT:
        raise PathTooLong(address.render(), len(name), PATH_LIMIT)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.bind(b"\0" + name)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(
                address.render(), holderOf(endpoint), errno.EADDRINUSE
            ) from error
        raise BindFailed(
            address.render(), error.strerror or str(error), error.errno or 0
        ) from error
    return Bound(address, endpoint, sock)


class _File:
    """
    What a bound socket left in the file system: removed, or changed, only if it is
    still the one that was bound.

    The file is kept open without access (C{O_PATH}), so that the number of its inode
    cannot go to another file in the meantime; and so is its folder, which has no path
    any more when the process has changed its root directory.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._name = path
        self._folder: int | None = None
        self._pin = -1
        if hasattr(os, "O_PATH"):
            folder, self._name = os.path.split(path)
            self._folder = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                self._pin = os.open(self._name, flags, dir_fd=self._folder)
            except OSError:
                os.close(self._folder)
                raise
            found = os.fstat(self._pin)
        else:  # macOS and the BSDs
            found = os.lstat(path)
        self._identity = (found.st_dev, found.st_ino)

    def _isOurs(self) -> bool:
        try:
            found = os.lstat(self._name, dir_fd=self._folder)
        except FileNotFoundError:
            return False
        # Without a pin the number may have gone to a file of another kind.
        same = (found.st_dev, found.st_ino) == self._identity
        return same and stat.S_ISSOCK(found.st_mode)

    def _reach(self) -> tuple[str, int | None]:
        """
        @return: a path that leads to this very file, whoever replaces it, and where it
            begins.
        """
        pinned = f"/proc/self/fd/{self._pin}"
        if self._pin >= 0 and os.path.exists(pinned):
            return pinned, None
        return self._name, self._folder

    def give(self, uid: int, gid: int) -> None:
        if (uid, gid) != (-1, -1):
            path, folder = self._reach()
            os.chown(path, uid, gid, dir_fd=folder)

    def permit(self, address: Address) -> None:
        """
        Set the permission and the owner that C{address} names.
        """
        if isinstance(address, UnixAddress) and self._isOurs():
            self.give(*_owner(address))
            if address.mode is not None:
                path, folder = self._reach()
                os.chmod(path, address.mode, dir_fd=folder)

    def remove(self) -> str | None:
        """
        @return: why it could not be removed, or L{None}.
        """
        try:
            if self._isOurs():
                os.unlink(self._name, dir_fd=self._folder)
        except OSError as error:
            return f"the socket {self._path} stays behind: {error.strerror}"
        finally:
            if self._folder is not None:
                os.close(self._pin)
                os.close(self._folder)
                self._pin, self._folder = -1, None
        return None


@contextlib.contextmanager
def _folderLocked(folder: str) -> Iterator[None]:
    """
    Keep two processes that find the same stale socket from replacing each other's.

    The lock is advice between servers of this kind, so somebody who sits on it only
    delays the binding; and a folder that may not be read goes without.
    """
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        yield
        return
    try:
        deadline = time.monotonic() + _LOCK_PATIENCE
        while time.monotonic() < deadline:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EINTR):
                    break  # a file system without locks
            time.sleep(0.01)
        yield
    finally:
        os.close(fd)


def _makeWay(address: UnixAddress, endpoint: Endpoint) -> None:
    """
    Remove a socket that nobody listens on.
    """
    path = endpoint.host
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        kind = next((name for test, name in _KINDS if test(found.st_mode)), "a file")
        raise NotASocket(address.render(), path, kind)
    if _answers(address, path):
        raise AddressInUse(address.render(), holderOf(endpoint), errno.EADDRINUSE)
    again = os.lstat(path)
    if (again.st_dev, again.st_ino) == (found.st_dev, found.st_ino):
        try:
            os.unlink(path)
        except PermissionError as error:
            raise NotPermitted(
                address.render(),
                path,
                f"nobody listens on {path}, and this user may not remove it; remove it",
                error.errno or 0,
            ) from error


def _answers(address: UnixAddress, path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except BlockingIOError:
            pass  # its queue is full
        except OSError as error:
            if error.errno == errno.EPROTOTYPE:
                return True  # a socket of another type, and alive
            if error.errno not in (errno.EACCES, errno.EPERM):
                raise
            raise NotPermitted(
                address.render(),
                path,
                f"{path} exists, and whether somebody answers there may not be asked "
                "(permission denied); remove it or choose another path",
                error.errno,
            ) from error
    return True


def _bindWithMode(sock: socket.socket, path: str, mode: int | None) -> None:
    if mode is None:
        sock.bind(path)
        return
    mask = ~mode & 0o777
    failures: list[BaseException] = []

    def bindAlone() -> None:
        try:
            if _unshareUmask():
                os.umask(mask)
                sock.bind(path)
            else:
                failures.append(NotImplementedError())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=bindAlone, name="bind")
    thread.start()
    thread.join()
    if not failures:
        return
    if not isinstance(failures[0], NotImplementedError):
        raise failures[0]
    before = os.umask(mask)
    try:
        sock.bind(path)
    finally:
        os.umask(before)


def _unshareUmask() -> bool:
    """
    Give the calling thread an umask (and working directory) of its own.

    @return: whether the system does that.
    """
    try:
        unshare = ctypes.CDLL(None, use_errno=True).unshare
    except (OSError, AttributeError):
        return False
    return bool(unshare(_CLONE_FS) == 0)


def _owner(address: UnixAddress) -> tuple[int, int]:
    """
    @return: user and group id, -1 for each that is to stay as it is.
    """
    uid = gid = -1
    if address.owner is not None:
        try:
            uid = (
                int(address.owner)
                if address.owner.isdigit()
                else pwd.getpwnam(address.owner).pw_uid
            )
        except KeyError:
            raise UnknownOwner(address.render(), "user", address.owner) from None
    if address.group is not None:
        try:
            gid = (
                int(address.group)
                if address.group.isdigit()
                else grp.getgrnam(address.group).gr_gid
            )
        except KeyError:
            raise UnknownOwner(address.render(), "group", address.group) from None
    return uid, gid


def _explain(error: OSError, address: UnixAddress, endpoint: Endpoint) -> BindFailed:
    code = error.errno or 0
    shown = address.render()
    folder = os.path.dirname(endpoint.host)
    if code in (errno.ENOENT, errno.ENOTDIR):
        return NoSuchFolder(shown, folder, code)
    if code == errno.EADDRINUSE:
        return AddressInUse(shown, holderOf(endpoint), code)
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        if error.filename is not None and (address.owner or address.group):
            need = "only root may give it to another user or to a foreign group"
        else:
            need = f"the folder {folder} must be writable for this user"
        return NotPermitted(shown, folder, need, code)
    return BindFailed(shown, os.strerror(code) if code else str(error), code)
