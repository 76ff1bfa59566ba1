"""
Sockets that were there before: systemd's, a parent's, standard input.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from svctree.listen import (
    Address,
    ListenerService,
    NotASocket,
    NotInherited,
    NotListening,
    StandardInput,
    parseAddress,
    standardInput,
)
from svctree.listen.bound import Bound
from svctree.listen.inherit import Inheritance
from svctree.listen.plan import resolve
from svctree.service import MultiService
from tests.support.processes import Processes


@pytest.fixture
def sockets(tmp_path: Path) -> Iterator[dict[str, socket.socket]]:
    """
    What an init system could pass.
    """
    made = {
        "v4": socket.socket(),
        "v6": socket.socket(socket.AF_INET6),
        "unix": socket.socket(socket.AF_UNIX),
        "datagram": socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    }
    made["v4"].bind(("127.0.0.1", 0))
    made["v6"].bind(("::", 0))
    made["unix"].bind(str(tmp_path / "sock"))
    for name in ("v4", "v6", "unix"):
        made[name].listen()
    yield made
    for sock in made.values():
        sock.close()


def passed(sockets: dict[str, socket.socket], *names: str) -> Inheritance:
    """
    Duplicates, since an inheritance owns its descriptors.
    """
    return Inheritance({os.dup(sockets[n].fileno()): n for n in names})


def adopt(inheritance: Inheritance, text: str) -> list[Bound]:
    return inheritance.adopt(resolve(parseAddress(text)))


def end(inheritance: Inheritance, *bounds: Bound) -> None:
    for bound in bounds:
        inheritance.release(bound)
        bound.close()
    inheritance.closeUnclaimed()


def test_environment() -> None:
    """
    LISTEN_FDS counts from descriptor 3, LISTEN_FDNAMES names in order, and both
    count only when LISTEN_PID is this process.
    """
    first, second = os.pipe()
    os.dup2(first, 97)
    os.dup2(second, 98)
    os.close(first)
    os.close(second)
    environ = {"LISTEN_FDS": "3", "LISTEN_PID": "42", "LISTEN_FDNAMES": "a:b:c"}
    assert Inheritance.fromEnvironment(environ, 41, first=97).names == {}
    made = Inheritance.fromEnvironment(environ, 42, first=97)
    # The third is not open.
    assert made.names == {97: "a", 98: "b"}
    assert not os.get_inheritable(97)
    del environ["LISTEN_FDNAMES"]
    assert Inheritance.fromEnvironment(environ, 42, first=97).names == {97: "", 98: ""}
    assert Inheritance.fromEnvironment({}, 42).names == {}
    odd = {"LISTEN_FDS": "-1", "LISTEN_PID": "42"}
    assert Inheritance.fromEnvironment(odd, 42).names == {}
    made.closeUnclaimed()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("systemd:v4", ["v4"]),
        ("systemd:unix", ["unix"]),
        ("systemd:", ["v4", "v6", "unix"]),
        ("systemd:domain=INET6", ["v6"]),
        ("systemd:domain=UNIX:index=2", ["unix"]),
        ("systemd:domain=INET:name=v4", ["v4"]),
        ("systemd:domain=INET:index=0", ["v4"]),
    ],
)
def test_systemd(
    sockets: dict[str, socket.socket], text: str, expected: list[str]
) -> None:
    """
    C{systemd:} adopts what its name, index and domain select, ready for use.
    """
    inheritance = passed(sockets, "v4", "v6", "unix", "datagram")
    bounds = adopt(inheritance, text)
    assert [b.socket.getsockname() for b in bounds] == [
        sockets[name].getsockname() for name in expected
    ]
    for bound in bounds:
        assert bound.adopted
        assert not bound.socket.getblocking()
        assert not bound.socket.get_inheritable()
    end(inheritance, *bounds)


def test_severalOfOneName(sockets: dict[str, socket.socket]) -> None:
    """
    All sockets of one name are adopted: a socket unit may have several streams.
    """
    fds = [os.dup(sockets[name].fileno()) for name in ("v4", "v6")]
    inheritance = Inheritance(dict.fromkeys(fds, "web"))
    bounds = adopt(inheritance, "systemd:web")
    assert len(bounds) == 2
    end(inheritance, *bounds)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("systemd:other", "no passed socket matches"),
        ("systemd:domain=INET6:name=v4", "no passed socket matches"),
        ("systemd:domain=INET:index=7", "no passed socket matches"),
    ],
)
def test_noMatch(sockets: dict[str, socket.socket], text: str, problem: str) -> None:
    """
    When nothing matches, the message lists what there is.
    """
    inheritance = passed(sockets, "v4", "unix")
    with pytest.raises(NotInherited, match=problem) as caught:
        adopt(inheritance, text)
    assert len(caught.value.available) == 2
    assert f"unix (unix:{sockets['unix'].getsockname()})" in str(caught.value)
    end(inheritance)


def test_nothingPassed() -> None:
    """
    Without LISTEN_FDS the message says so.
    """
    with pytest.raises(NotInherited, match=r"LISTEN_FDS.*was given: nothing"):
        adopt(Inheritance({}), "systemd:")


def test_noStream(sockets: dict[str, socket.socket]) -> None:
    """
    A socket that cannot be accepted on is refused when it is asked for by name.
    """
    inheritance = passed(sockets, "datagram")
    with pytest.raises(NotListening) as caught:
        adopt(inheritance, "systemd:datagram")
    assert caught.value.found == "a socket of another type"
    end(inheritance)
    with socket.socket() as silent, pytest.raises(NotListening) as caught:
        adopt(inheritance, f"fd:{silent.fileno()}")
    assert caught.value.found == "a stream socket that does not listen"


def test_descriptor(sockets: dict[str, socket.socket]) -> None:
    """
    C{fd:N} adopts a listening socket, and again after it was closed: a restarted
    listener finds it where it was.
    """
    inheritance = Inheritance({})
    fd = os.dup(sockets["v4"].fileno())
    os.set_inheritable(fd, True)
    for _time in range(2):
        (bound,) = adopt(inheritance, f"fd:{fd}")
        assert bound.socket.getsockname() == sockets["v4"].getsockname()
        assert not os.get_inheritable(fd)
        bound.close()
    os.close(fd)
    with pytest.raises(NotInherited, match=f"descriptor {fd} is not open"):
        adopt(inheritance, f"fd:{fd}")


def test_reserved(sockets: dict[str, socket.socket]) -> None:
    """
    A listener marks its descriptor when it is made: detaching closes what is still
    inheritable.
    """
    fd = os.dup(sockets["v4"].fileno())
    os.set_inheritable(fd, True)
    ListenerService(f"fd:{fd}", "fd:999")
    assert not os.get_inheritable(fd)
    os.close(fd)


def test_claimedOnce(sockets: dict[str, socket.socket]) -> None:
    """
    A passed socket has one listener at a time.
    """
    inheritance = passed(sockets, "v4")
    (bound,) = adopt(inheritance, "systemd:v4")
    with pytest.raises(NotInherited):
        adopt(inheritance, "systemd:")
    inheritance.release(bound)
    (again,) = adopt(inheritance, "systemd:")
    bound.close()
    end(inheritance, again)


def test_failedStart(sockets: dict[str, socket.socket], tmp_path: Path) -> None:
    """
    What was adopted for a start that failed can be adopted by the next.
    """
    inheritance = passed(sockets, "v4")
    (tmp_path / "file").touch()
    listener = ListenerService(
        "systemd:v4", f"unix:{tmp_path}/file", inheritance=inheritance
    )
    for _time in range(2):
        with pytest.raises(NotASocket):
            listener.privilegedStartService()
    (tmp_path / "file").unlink()
    listener.privilegedStartService()
    assert len(listener.sockets()) == 2
    listener.stopService()
    end(inheritance)


def test_plainStart(sockets: dict[str, socket.socket]) -> None:
    """
    Without a privileged phase of the whole tree, what a later listener wants is not
    closed by an earlier one.
    """
    inheritance = passed(sockets, "v4", "unix", "v6")
    tree = MultiService()
    for name in ("v4", "unix"):
        listener = ListenerService(
            f"systemd:{name}", name=name, inheritance=inheritance
        )
        listener.setServiceParent(tree)
    tree.startService()
    assert [len(one.sockets()) for one in tree] == [1, 1]
    assert list(inheritance.names.values()) == ["v4", "unix"]
    tree.stopService()
    end(inheritance)


def test_matchedByAddress(sockets: dict[str, socket.socket], tmp_path: Path) -> None:
    """
    A socket passed for an address that is configured is adopted rather than bound a
    second time; one for IPv4 and IPv6 serves C{*}.
    """
    v4, v6 = sockets["v4"].getsockname()[1], sockets["v6"].getsockname()[1]
    (tmp_path / "link").symlink_to(tmp_path)
    for text, name in [
        (f"127.0.0.1:{v4}", "v4"),
        (f"*:{v6}", "v6"),
        (f"[::]:{v6}", "v6"),
        (f"{tmp_path}/link/sock(660)", "unix"),
    ]:
        inheritance = passed(sockets, "v4", "v6", "unix", "datagram")
        bounds, left = inheritance.matching(resolve(parseAddress(text)))
        assert [b.socket.getsockname() for b in bounds] == [sockets[name].getsockname()]
        assert left.endpoints == ()
        assert len(inheritance.closeUnclaimed()) == 3
        end(inheritance, *bounds)


def test_notMatchedByAddress(sockets: dict[str, socket.socket]) -> None:
    """
    Another address is left to be bound.
    """
    inheritance = passed(sockets, "v4", "unix")
    want = resolve(parseAddress("127.0.0.1:1"))
    assert inheritance.matching(want) == ([], want)
    end(inheritance)


def test_closeUnclaimed(sockets: dict[str, socket.socket]) -> None:
    """
    What nobody adopted is closed, and named by number, name and address.
    """
    inheritance = passed(sockets, "v4", "unix")
    (v4, unix) = inheritance.names
    (bound,) = adopt(inheritance, "systemd:v4")
    (closed,) = inheritance.closeUnclaimed()
    assert closed == f"fd:{unix} unix (unix:{sockets['unix'].getsockname()})"
    with pytest.raises(OSError):
        os.fstat(unix)
    os.fstat(v4)
    assert inheritance.closeUnclaimed() == []
    end(inheritance, bound)


def test_standardInput(sockets: dict[str, socket.socket], tmp_path: Path) -> None:
    """
    A listening socket, a connected one, and everything else are told apart.
    """
    ours, theirs = socket.socketpair()
    read, write = os.pipe()
    kinds = {
        sockets["v4"].fileno(): StandardInput.LISTENING,
        sockets["unix"].fileno(): StandardInput.LISTENING,
        ours.fileno(): StandardInput.CONNECTED,
        sockets["datagram"].fileno(): StandardInput.OTHER,
        read: StandardInput.OTHER,
    }
    with socket.socket() as client:
        client.connect(sockets["v4"].getsockname())
        accepted, _peer = sockets["v4"].accept()
        kinds[accepted.fileno()] = StandardInput.CONNECTED
        with open(os.devnull) as null, socket.socket() as fresh:
            kinds[null.fileno()] = StandardInput.OTHER
            kinds[fresh.fileno()] = StandardInput.OTHER
            for fd, kind in kinds.items():
                assert standardInput(fd) is kind
        accepted.close()
    for fd in (read, write):
        os.close(fd)
    ours.close()
    theirs.close()
    assert standardInput(read) is StandardInput.CLOSED


STDIN = """
from svctree.listen import ListenError, ListenerService
service = ListenerService("stdin")
try:
    service.privilegedStartService()
except ListenError as error:
    print(type(error).__name__, error)
else:
    (sock,) = service.sockets()
    print("listening", *service.urls(), sock.get_inheritable())
"""


@pytest.mark.parametrize("kind", ["v4", "connected", "file"])
def test_stdin(
    processes: Processes, sockets: dict[str, socket.socket], kind: str
) -> None:
    """
    C{stdin} serves on descriptor 0 when that listens; otherwise it says what
    descriptor 0 is and which worker model serves that.
    """
    ours, theirs = socket.socketpair()
    stdin = {"v4": sockets["v4"], "connected": theirs}.get(kind)
    child = processes.start(
        [sys.executable, "-c", STDIN],
        stdin=stdin.fileno() if stdin is not None else -3,
    )
    if kind == "v4":
        port = sockets["v4"].getsockname()[1]
        child.waitFor(f"listening http://127.0.0.1:{port}/ False")
    else:
        what = {"connected": "a connected socket", "file": "no stream socket"}[kind]
        child.waitFor(f"NotListening cannot listen on stdin: descriptor 0 is {what}")
        child.waitFor("workermodel = once")
    assert child.wait() == 0
    ours.close()
    theirs.close()


# As systemd does: the descriptors from 3 on, and the pid of the process itself. It
# also has to survive that Twisted's endpoints empty the environment when loaded.
ACTIVATED = """
import os, sys
fds = [int(fd) for fd in sys.argv[1].split(",")]
for fd in fds:
    os.dup2(fd, 50 + fds.index(fd))
for index in range(len(fds)):
    os.dup2(50 + index, 3 + index)
env = {**os.environ, "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(fds)),
       "LISTEN_FDNAMES": sys.argv[2]}
os.execve(sys.executable, [sys.executable, "-c", '''
import os, sys
import twisted.internet.endpoints
from twisted.python import log
log.startLogging(sys.stdout, setStdout=False)
from svctree.listen import ListenerService
from svctree.service import MultiService
assert "LISTEN_FDS" not in os.environ
parent = MultiService()
ListenerService("systemd:web", name="http").setServiceParent(parent)
ListenerService(os.environ["PATHNAME"], name="local").setServiceParent(parent)
if os.fork():  # as detaching does
    sys.exit(os.wait()[1])
parent.privilegedStartService()
parent.startService()
print("serving", *[u for s in parent for u in s.urls()])
'''], env)
"""


def test_activation(processes: Processes, sockets: dict[str, socket.socket]) -> None:
    """
    A tree that was started by systemd, and has detached, adopts its sockets by name
    and by address, and closes what nobody wants with a warning.
    """
    names = ("v4", "unix", "v6")
    fds = [sockets[name].fileno() for name in names]
    path = sockets["unix"].getsockname()
    child = processes.start(
        [sys.executable, "-c", ACTIVATED, ",".join(map(str, fds)), "web:local:spare"],
        passFds=fds,
        env={"PATHNAME": path},
    )
    port, spare = sockets["v4"].getsockname()[1], sockets["v6"].getsockname()[1]
    child.waitFor(rf"serving http://127.0.0.1:{port}/ unix:{path}")
    child.waitFor(rf"closed fd:5 spare \(tcp:\[::\]:{spare}\): .*no address names it")
    assert child.wait() == 0
    # It was adopted, so it is not ours to remove.
    assert os.path.exists(path)


def test_addressesAreValues() -> None:
    """
    Other addresses are not for adopting.
    """
    addresses: list[Address] = [parseAddress("stdin"), parseAddress("fd:3")]
    assert [resolve(a).endpoints[0].family for a in addresses] == [-1, -1]
