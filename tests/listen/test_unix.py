"""
Unix sockets in the file system.
"""

from __future__ import annotations

import errno
import fcntl
import grp
import os
import pwd
import socket
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from svctree.listen import (
    AddressInUse,
    BindFailed,
    ListenError,
    NoSuchFolder,
    NotASocket,
    PathTooLong,
    UnknownOwner,
    parseAddress,
    unix,
)
from svctree.listen.bound import Bound
from svctree.listen.plan import resolve
from svctree.listen.unix import PATH_LIMIT, bindUnix
from tests.support.processes import Processes, waitUntil

isRoot = pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux only")


def bind(text: str) -> Bound:
    (bound,) = bindUnix(resolve(parseAddress(text)), 5)
    return bound


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o22)
    yield
    os.umask(before)


def modeOf(path: Path) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


@pytest.mark.parametrize("mask", [0, 0o22, 0o77, 0o777])
@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666, 0o777])
def test_permission(tmp_path: Path, umask: None, mask: int, mode: int) -> None:
    """
    The permission is the one in parentheses under any umask, and the umask stays.
    """
    os.umask(mask)
    bound = bind(f"{tmp_path}/sock({mode:o})")
    assert modeOf(tmp_path / "sock") == mode
    assert os.umask(0) == mask
    bound.close()


def test_withoutPermission(tmp_path: Path, umask: None) -> None:
    """
    Without parentheses the umask decides.
    """
    os.umask(0o27)
    bound = bind(f"{tmp_path}/sock")
    assert modeOf(tmp_path / "sock") == 0o750
    bound.close()


@linux
def test_permissionFromTheFirstInstant(tmp_path: Path, umask: None) -> None:
    """
    Whoever looks sees no other permission at any moment, and files that other
    threads create meanwhile get theirs by the umask of the process.
    """
    path = tmp_path / "sock"
    seen: set[int] = set()
    files: set[int] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            try:
                seen.add(modeOf(path))
            except FileNotFoundError:
                pass
            fd = os.open(tmp_path / "other", os.O_CREAT | os.O_WRONLY, 0o666)
            files.add(stat.S_IMODE(os.fstat(fd).st_mode))
            os.close(fd)
            os.unlink(tmp_path / "other")

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for mask in (0, 0o77) * 100:
            os.umask(mask)
            bind(f"{path}(660)").close()
    finally:
        done.set()
        watcher.join()
    assert seen == {0o660}
    assert files <= {0o644, 0o666, 0o600}


def test_umaskThatCannotBeUnshared(
    tmp_path: Path, umask: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Where the system does not let a thread have its own umask, the permission is
    the same, by the umask of the process.
    """
    monkeypatch.setattr("svctree.listen.unix._unshareUmask", lambda: False)
    os.umask(0o77)
    bound = bind(f"{tmp_path}/sock(666)")
    assert modeOf(tmp_path / "sock") == 0o666
    assert os.umask(0) == 0o77
    bound.close()


def test_removed(tmp_path: Path) -> None:
    """
    The path is gone after the end.
    """
    bound = bind(f"{tmp_path}/sock")
    assert bound.close() is None
    assert os.listdir(tmp_path) == []


def test_removedOnlyIfOurs(tmp_path: Path) -> None:
    """
    A socket that somebody else has put at the path meanwhile stays, even where the
    file system would have given it the same inode number.
    """
    path = tmp_path / "sock"
    bound = bind(f"{path}")
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        assert bound.close() is None
        assert path.is_socket()


# Binds, enters another root, and lets go.
CHROOTED = """
import os, sys
from svctree.listen import parseAddress
from svctree.listen.plan import resolve
from svctree.listen.unix import bindUnix

path, root, what = sys.argv[1:]
(bound,) = bindUnix(resolve(parseAddress(f"unix:{path}(600)")), 5)
os.chroot(root)
os.chdir("/")
if what == "permit":
    print(bound.adjust(parseAddress(f"unix:{path}(660)"), 5))
    os._exit(0)
sys.stdin.readline()
print(bound.close())
"""


@isRoot
@linux
def test_chroot(processes: Processes, tmp_path: Path) -> None:
    """
    Behind another root directory the path is still removed, and changed, if it is
    ours; what has taken its place stays, inside as well as outside.
    """
    root = tmp_path / "root"
    (root / tmp_path.relative_to("/")).mkdir(parents=True)
    path = tmp_path / "socket"
    inside = root / path.relative_to("/")
    inside.write_text("another's")

    def run(what: str) -> str:
        read, write = os.pipe()
        program = [sys.executable, "-c", CHROOTED, str(path), str(root), what]
        running = processes.start(program, stdin=read)
        os.close(read)
        if what == "replaced":
            waitUntil(path.exists, "the socket")
            waitUntil(lambda: os.readlink(f"/proc/{running.pid}/root") == str(root), "")
            path.unlink()
            path.write_text("another's")
        os.close(write)
        assert running.wait() == 0, running.output
        return running.output

    assert run("permit") == "None\n"
    assert modeOf(path) == 0o660
    assert run("remove") == "None\n"
    assert not path.exists()
    assert run("replaced") == "None\n"
    assert path.read_text() == inside.read_text() == "another's"


def test_folderGone(tmp_path: Path) -> None:
    """
    A path that is gone already is no complaint.
    """
    (tmp_path / "run").mkdir()
    bound = bind(f"{tmp_path}/run/sock")
    (tmp_path / "run" / "sock").unlink()
    (tmp_path / "run").rmdir()
    assert bound.close() is None


def test_stale(tmp_path: Path) -> None:
    """
    A socket on which nobody listens is replaced.
    """
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    before = os.lstat(path).st_ino
    bound = bind(f"{path}(600)")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    assert modeOf(path) == 0o600
    assert before  # the number may be the same: the file is not
    bound.close()


@pytest.mark.parametrize("backlog", [1, 0])
def test_live(tmp_path: Path, backlog: int) -> None:
    """
    A socket at which somebody answers is refused, with who it is, and left alone;
    also when that one is too busy to accept.
    """
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as live, socket.socket(socket.AF_UNIX) as filler:
        live.bind(str(path))
        live.listen(backlog)
        filler.connect(str(path))
        with pytest.raises(AddressInUse) as caught:
            bind(f"{path}")
        assert path.is_socket()
    if sys.platform.startswith("linux"):
        assert caught.value.holder is not None
        assert caught.value.holder.pid == os.getpid()
        assert f"this process itself ({os.getpid()})" in str(caught.value)
    assert "already listens there" in str(caught.value)


def test_liveOfAnotherType(tmp_path: Path) -> None:
    """
    A datagram socket in use is refused and left alone.
    """
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as live:
        live.bind(str(path))
        with pytest.raises(AddressInUse):
            bind(f"{path}")
        assert path.is_socket()


def test_noSocket(tmp_path: Path) -> None:
    """
    What is no socket is refused by its kind and never removed; a symbolic link is
    not followed.
    """
    (tmp_path / "file").write_text("precious")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe")
    kinds = {
        "file": "a regular file",
        "folder": "a folder",
        "link": "a symbolic link",
        "dangling": "a symbolic link",
        "pipe": "a named pipe",
    }
    for name, kind in kinds.items():
        with pytest.raises(NotASocket) as caught:
            bind(f"{tmp_path}/{name}")
        assert caught.value.found == kind
        assert kind in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == sorted(kinds)
    assert (tmp_path / "file").read_text() == "precious"


def test_tooLong(tmp_path: Path) -> None:
    """
    A path beyond the system's limit is refused with both lengths; one at the limit
    works.
    """
    longest = f"{tmp_path}/" + "x" * (PATH_LIMIT - len(f"{tmp_path}/"))
    bind(longest).close()
    with pytest.raises(PathTooLong) as caught:
        bind(f"{longest}y")
    assert (caught.value.length, caught.value.limit) == (PATH_LIMIT + 1, PATH_LIMIT)
    assert f"{PATH_LIMIT + 1} bytes" in str(caught.value)
    assert f"limit is {PATH_LIMIT};" in str(caught.value)


def test_noFolder(tmp_path: Path) -> None:
    """
    A missing folder is named.
    """
    with pytest.raises(NoSuchFolder, match=f"no folder {tmp_path}/run; create it"):
        bind(f"{tmp_path}/run/sock")


@linux
def test_abstract() -> None:
    """
    An abstract name needs no file; taken, it is refused with its holder.
    """
    name = f"@svctree-test-{os.getpid()}"
    bound = bind(f"unix:{name}")
    assert bound.render() == f"unix:{name}"
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + name[1:])
    with pytest.raises(AddressInUse, match="this process itself"):
        bind(f"unix:{name}")
    with pytest.raises(PathTooLong):
        bind("unix:@" + "x" * 108)
    bound.close()


def test_withoutPins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where the system cannot hold a file without opening it, a file that somebody else
    has put there is still told from ours.
    """
    monkeypatch.delattr(os, "O_PATH", raising=False)
    bound = bind(f"{tmp_path}/sock(600)")
    (tmp_path / "sock").unlink()
    (tmp_path / "sock").touch()
    bound.close()
    assert (tmp_path / "sock").exists()
    bind(f"{tmp_path}/new").close()
    assert not (tmp_path / "new").exists()


def test_withoutUnshare(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Systems without C{unshare} are told by its absence.
    """

    def load(*_: object, **__: object) -> object:
        raise OSError

    monkeypatch.setattr("svctree.listen.unix.ctypes.CDLL", load)
    assert not unix._unshareUmask()


def test_folderInUse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Somebody who sits on the lock of the folder delays the binding, no more.
    """
    monkeypatch.setattr("svctree.listen.unix._LOCK_PATIENCE", 0.05)
    fd = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    bind(f"{tmp_path}/sock").close()
    os.close(fd)


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (errno.EACCES, "sock", "must be writable"),
        (errno.EROFS, "sock", "must be writable"),
        (errno.EADDRINUSE, "sock", "already listens there"),
        (errno.ENOTDIR, "sock", "there is no folder"),
        (errno.EIO, "sock", os.strerror(errno.EIO)),
    ],
)
def test_refusedBySystem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, text: str, expected: str
) -> None:
    """
    What the system says is told in words, and leaves nothing.
    """

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("svctree.listen.unix._bindWithMode", refuse)
    with pytest.raises(BindFailed, match=expected) as caught:
        bind(f"{tmp_path}/{text}")
    assert caught.value.errno == code
    assert os.listdir(tmp_path) == []


def test_changedPermission(tmp_path: Path) -> None:
    """
    A permission that cannot be changed is a complaint, and one of a file that is not
    ours any more is left alone.
    """
    bound = bind(f"{tmp_path}/sock(600)")
    complaint = bound.adjust(parseAddress(f"{tmp_path}/sock(600,nosuchuser)"), 5)
    assert complaint is not None and "nosuchuser" in complaint
    (tmp_path / "sock").unlink()
    (tmp_path / "sock").touch(0o644)
    assert bound.adjust(parseAddress(f"{tmp_path}/sock(666)"), 5) is None
    assert modeOf(tmp_path / "sock") == 0o644
    bound.close()
    assert (tmp_path / "sock").exists()


def test_closeOnExec(tmp_path: Path) -> None:
    """
    The socket and everything that belongs to it is closed in a program that this
    process starts.
    """
    before = set(os.listdir("/dev/fd"))
    bound = bind(f"{tmp_path}/sock")
    for fd in {int(fd) for fd in set(os.listdir("/dev/fd")) - before}:
        try:
            assert not os.get_inheritable(fd)
        except OSError:
            pass  # the listing's own descriptor
    assert not bound.socket.get_inheritable()
    assert not bound.socket.getblocking()
    bound.close()


def test_noLeaks(tmp_path: Path) -> None:
    """
    Neither success nor any failure leaves a descriptor behind.
    """
    (tmp_path / "file").touch()
    before = len(os.listdir("/dev/fd"))
    bound = bind(f"{tmp_path}/live")
    for name in ("live", "file", "none/sock", "x" * 200, "new(600,nosuchuser)"):
        with pytest.raises(ListenError):
            bind(f"{tmp_path}/{name}")
    bound.close()
    assert len(os.listdir("/dev/fd")) == before


@isRoot
def test_owner(tmp_path: Path, umask: None) -> None:
    """
    Owner and group are set, by name or number.
    """
    nobody = pwd.getpwnam("nobody")
    group = grp.getgrgid(nobody.pw_gid).gr_name
    texts = (f"(660,nobody:{group})", f"(660,{nobody.pw_uid}:{nobody.pw_gid})")
    for text in texts:
        bound = bind(f"{tmp_path}/sock{text}")
        found = os.stat(tmp_path / "sock")
        assert (found.st_uid, found.st_gid) == (nobody.pw_uid, nobody.pw_gid)
        assert stat.S_IMODE(found.st_mode) == 0o660
        bound.close()


def test_unknownOwner(tmp_path: Path) -> None:
    """
    Owners that do not exist are refused before anything is bound.
    """
    for text in ("(660,nosuchuser)", "(660,:nosuchgroup)"):
        with pytest.raises(UnknownOwner, match=r"there is no (user|group) 'nosuch"):
            bind(f"{tmp_path}/sock{text}")
    assert os.listdir(tmp_path) == []


# It becomes nobody after it has been loaded: the interpreter may be in a folder that
# only root can read.
UNPRIVILEGED = """
import os, sys
import tempfile
from svctree.listen import ListenError, parseAddress
from svctree.listen.plan import resolve
from svctree.listen.unix import bindUnix
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
try:
    (bound,) = bindUnix(resolve(parseAddress(sys.argv[1])), 5)
except ListenError as error:
    print(type(error).__name__, error)
else:
    print("bound", oct(os.stat(bound.endpoint.host).st_mode))
    print("complaint", bound.close())
"""


@isRoot
@pytest.mark.parametrize(
    ("mode", "text", "expected"),
    [
        (0o777, "sock(666)", "bound 0o140666"),
        (0o777, "sock(600,root)", "NotPermitted .*only root may give it"),
        (0o755, "sock(666)", "NotPermitted .*must be writable"),
        (0o777, "roots", "NotPermitted .*permission denied"),
        (0o1777, "file", "NotASocket .*a regular file"),
    ],
)
def test_unprivileged(
    processes: Processes, mode: int, text: str, expected: str
) -> None:
    """
    Without privileges the permission is as exact, and what is not permitted is said
    in one line.
    """
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, mode)
        (Path(folder) / "file").touch()
        roots = bind(f"{folder}/roots(600)")
        try:
            child = processes.start(
                [sys.executable, "-c", UNPRIVILEGED, f"{folder}/{text}"]
            )
            child.waitFor(expected)
            assert child.wait() == 0
            assert sorted(os.listdir(folder)) == ["file", "roots"]
        finally:
            roots.close()
