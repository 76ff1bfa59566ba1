"""
The listener as a service.
"""

from __future__ import annotations

import errno
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.application import service as twistedService
from twisted.internet import defer, protocol, reactor
from twisted.internet.address import UNIXAddress
from twisted.internet.endpoints import clientFromString, connectProtocol
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from svctree import service as treeService
from svctree.interfaces import IListener, IReloadable
from svctree.listen import (
    AddressConflict,
    AddressError,
    AddressInUse,
    AddressNotAvailable,
    BindFailed,
    Holder,
    ListenerService,
    NeedsRestart,
    PrivilegedPort,
    UnknownHost,
    parseAddress,
)
from svctree.listen.bound import kernelBacklog
from svctree.listen.holders import localAddressOf
from svctree.listen.proxied import ProxiedFactory
from svctree.worker.trust import Trust


def started(*addresses: str, **keywords: Any) -> ListenerService:
    service = ListenerService(*addresses, **keywords)
    service.privilegedStartService()
    service.startService()
    return service


def portOf(service: ListenerService) -> int:
    return int(service.sockets()[0].getsockname()[1])


def connect(port: int, host: str = "127.0.0.1") -> None:
    socket.create_connection((host, port), timeout=5).close()


class Echo(protocol.Protocol):
    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data.upper())
        self.transport.loseConnection()


class Collect(protocol.Protocol):
    def __init__(self) -> None:
        self.data = b""
        self.done: defer.Deferred[bytes] = defer.Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Any = None) -> None:
        self.done.callback(self.data)


class Listening(TestCase):
    """
    Binding, holding and giving up sockets.
    """

    def setUp(self) -> None:
        self.events: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)
        # Trial's own folders are too deep for a socket's path.
        self.folder = Path("/tmp") / f"svctree-{os.getpid()}-{id(self)}"
        self.folder.mkdir()
        self.addCleanup(self.clear)

    def clear(self) -> None:
        for path in self.folder.iterdir():
            path.unlink()
        self.folder.rmdir()

    def start(self, *addresses: str, **keywords: Any) -> ListenerService:
        service = started(*addresses, **keywords)
        self.addCleanup(service.stopService)
        return service

    def logged(self, key: str) -> list[dict[str, Any]]:
        return [event for event in self.events if key in event]

    def test_interface(self) -> None:
        """
        It is what pools look for.
        """
        verifyObject(IListener, ListenerService("127.0.0.1:0", name="local"))

    def test_privilegedPhase(self) -> None:
        """
        Sockets are bound in the privileged phase and gone after the stop.
        """
        service = ListenerService("127.0.0.1:0")
        self.assertEqual(list(service.sockets()), [])
        service.privilegedStartService()
        port = portOf(service)
        connect(port)
        service.startService()
        self.assertEqual(portOf(service), port)
        self.assertEqual(service.urls(), [f"http://127.0.0.1:{port}/"])
        service.stopService()
        self.assertEqual(list(service.sockets()), [])
        self.assertRaises(ConnectionRefusedError, connect, port)

    def test_onlyPrivileged(self) -> None:
        """
        A listener that had only its privileged phase gives its sockets up.
        """
        service = ListenerService("127.0.0.1:0")
        service.privilegedStartService()
        port = portOf(service)
        service.stopService()
        self.assertRaises(ConnectionRefusedError, connect, port)

    def test_restart(self) -> None:
        """
        A stopped listener listens again when it is started.
        """
        service = self.start(f"{self.folder}/sock")
        service.stopService()
        self.assertEqual(list(self.folder.iterdir()), [])
        service.startService()
        self.assertTrue((self.folder / "sock").is_socket())

    def test_sockets(self) -> None:
        """
        Sockets do not block, are not inherited by programs, and what is accepted
        from them sends without delay.
        """
        service = self.start("127.0.0.1:0")
        (sock,) = service.sockets()
        self.assertFalse(sock.getblocking())
        self.assertFalse(sock.get_inheritable())
        with socket.create_connection(sock.getsockname()):
            sock.setblocking(True)
            accepted, _peer = sock.accept()
            with accepted:
                nodelay = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        self.assertTrue(nodelay)

    def test_star(self) -> None:
        """
        C{*} serves IPv4 and IPv6 on one port, also when the system chooses it.
        """
        service = self.start("*:0")
        ports = {sock.getsockname()[1] for sock in service.sockets()}
        self.assertEqual(len(ports), 1)
        connect(ports.pop())
        if socket.has_ipv6:
            connect(portOf(service), "::1")

    def test_withoutIPv6(self) -> None:
        """
        On a host without IPv6, C{*} and names serve IPv4 alone; an IPv6 address is
        refused.
        """
        self.forbid(socket.AF_INET6)
        self.assertEqual(len(self.start("*:0").sockets()), 1)
        self.assertEqual(len(self.start("localhost:0", name="b").sockets()), 1)
        with pytest.raises(BindFailed):
            started("[::1]:0")

    def test_withoutIPv4(self) -> None:
        """
        On a host without IPv4, C{*} serves IPv6 alone.
        """
        if not socket.has_ipv6:
            self.skipTest("no IPv6 here")
        self.forbid(socket.AF_INET)
        (url,) = self.start("*:0").urls()
        self.assertIn("[::1]", url)

    def forbid(self, family: int) -> None:
        real = socket.socket

        def make(wanted: int = -1, *rest: Any, **keywords: Any) -> socket.socket:
            if wanted == family:
                raise OSError(97, "Address family not supported by protocol")
            return real(wanted, *rest, **keywords)

        class Module:
            def __getattr__(self, name: str) -> Any:
                return make if name == "socket" else getattr(socket, name)

        self.patch(sys.modules["svctree.listen.bound"], "socket", Module())

    def test_allOrNothing(self) -> None:
        """
        When one address cannot be bound, none is.
        """
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(AddressInUse):
                started(f"{self.folder}/sock", "127.0.0.1:0", f"127.0.0.1:{port}")
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_overlaps(self) -> None:
        """
        An address within another one is not bound; a notice says so.
        """
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        service = self.start(f"127.0.0.1:{port}", f"0.0.0.0:{port}")
        self.assertEqual(len(service.sockets()), 1)
        (event,) = self.logged("overlap")
        self.assertIn("is included in", str(event["overlap"]))

    def test_backlogCap(self) -> None:
        """
        A backlog beyond the kernel's limit is noticed once; a fitting one is not.
        """
        limit = kernelBacklog()
        if not limit:
            self.skipTest("this kernel does not tell")
        self.start("127.0.0.1:0", "[::1]:0", backlog=limit)
        self.assertEqual(self.logged("limit"), [])
        self.start("127.0.0.1:0", "[::1]:0", name="b", backlog=limit + 1)
        (event,) = self.logged("limit")
        self.assertEqual((event["limit"], event["wanted"]), (limit, limit + 1))

    def test_persistent(self) -> None:
        """
        A listener is kept without its sockets, as Twisted's applications are.
        """
        service = self.start("127.0.0.1:0", f"{self.folder}/a(660)", name="x")
        copy = pickle.loads(pickle.dumps(service))
        self.assertEqual(copy.addresses, service.addresses)
        self.assertEqual(list(copy.sockets()), [])
        self.assertFalse(copy.running)

    def test_describe(self) -> None:
        """
        It describes itself in plain data.
        """
        service = self.start("127.0.0.1:0", name="x", scheme="")
        port = portOf(service)
        self.assertEqual(
            service.describe(),
            {
                "addresses": ["tcp:127.0.0.1:0"],
                "listening": [f"tcp:127.0.0.1:{port}"],
                "adopted": [],
                "urls": [f"tcp:127.0.0.1:{port}"],
                "backlog": 1024,
                "proxyProtocol": False,
            },
        )

    def test_needsAnAddress(self) -> None:
        """
        A listener without an address is a mistake.
        """
        self.assertRaises(ValueError, ListenerService)


class Describing(TestCase):
    """
    Listeners as plain data.
    """

    def test_settings(self) -> None:
        """
        The keywords that it gives make an equal listener.
        """
        factory = protocol.Factory.forProtocol(Echo)
        for listener in (
            ListenerService(
                "*:80", "/run/a(660,www:web)", "@x", backlog=7, scheme="scgi"
            ),
            ListenerService(
                "fd:999", factory=factory, proxyProtocol=True, forwardedAllow=["unix"]
            ),
        ):
            settings = listener.settings()
            again = ListenerService(**settings)  # type: ignore[arg-type]
            self.assertEqual(again.settings(), settings)
            self.assertEqual(again.addresses, listener.addresses)

    def test_urls(self) -> None:
        """
        What a person can click: the unspecified address, the usual port and a unix
        socket have their own spellings.
        """
        listener = started("0.0.0.0:0", "[::]:0", "@svctree-urls", scheme="http")
        v4, v6, _unix = (s.getsockname()[1] for s in listener.sockets())
        self.assertEqual(
            list(listener.urls()),
            [f"http://127.0.0.1:{v4}/", f"http://[::1]:{v6}/", "unix:@svctree-urls"],
        )
        listener.stopService()

    def test_holders(self) -> None:
        """
        A holder is told as far as it is known.
        """
        self.assertEqual(str(Holder(1, "init", 0)), "process 1 (init)")
        self.assertEqual(
            str(Holder(os.getpid(), "x", 0)).split("(")[0], "this process itself "
        )
        self.assertEqual(str(Holder(0, "", 33)), "a process of user id 33")
        self.assertEqual(str(Holder(0, "", -1)), "another process")


class Reloading(TestCase):
    """
    Asking anew where to listen.
    """

    def setUp(self) -> None:
        self.wanted: list[str] = ["127.0.0.1:0"]
        self.error: Exception | None = None

    def reread(self) -> list[str]:
        if self.error is not None:
            raise self.error
        return self.wanted

    async def test_reload(self) -> None:
        """
        Only a listener that can ask is one that can be reloaded; what is the same
        stays, what is new is bound.
        """
        self.assertFalse(IReloadable.providedBy(ListenerService("@x")))
        listener = started("127.0.0.1:0", reread=self.reread)
        self.assertTrue(IReloadable.providedBy(listener))
        before = list(listener.sockets())
        await listener.reload()
        self.assertEqual(list(listener.sockets()), before)
        self.wanted = ["[::1]:0"]
        await listener.reload()
        (url,) = listener.urls()
        self.assertIn("[::1]", url)
        await listener.stopService()

    async def test_unreadable(self) -> None:
        """
        What cannot be read any more leaves the addresses; what is wrong is an error.
        """
        listener = started("127.0.0.1:0", reread=self.reread)
        before = list(listener.sockets())
        self.error = PermissionError(13, "Permission denied", "app.ini")
        await listener.reload()
        self.error = None
        self.wanted = ["nonsense:"]
        with pytest.raises(AddressError):
            await listener.reload()
        self.assertEqual(list(listener.sockets()), before)
        copy = pickle.loads(pickle.dumps(listener))
        await copy.reload()
        await listener.stopService()


class InTheTree(TestCase):
    """
    A listener under both kinds of containers.
    """

    def test_parents(self) -> None:
        """
        It works in Twisted's containers and in svctree's, and under both
        Applications.
        """
        for module in (twistedService, treeService):
            application = module.Application("test")
            parent = module.MultiService()
            parent.setServiceParent(module.IServiceCollection(application))
            listener = ListenerService("127.0.0.1:0", name="http")
            listener.setServiceParent(parent)
            self.assertIs(parent.getServiceNamed("http"), listener)
            top = module.IService(application)
            top.privilegedStartService()
            connect(portOf(listener))
            top.startService()
            port = portOf(listener)
            self.successResultOf(defer.maybeDeferred(top.stopService))
            self.assertRaises(ConnectionRefusedError, connect, port)

    def test_conflict(self) -> None:
        """
        Two listeners of one tree that want the same connections are refused before
        anything is bound: their pools would take each other's.
        """
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        outer, inner = treeService.MultiService(), treeService.MultiService()
        ListenerService(f"*:{port}", name="a").setServiceParent(outer)
        inner.setServiceParent(outer)
        ListenerService(f"127.0.0.1:{port}", name="b").setServiceParent(inner)
        with pytest.raises(AddressConflict) as caught:
            outer.privilegedStartService()
        self.assertEqual(set(caught.value.listeners), {"a", "b"})
        self.assertRaises(ConnectionRefusedError, connect, port)

    def test_conflictOfOthers(self) -> None:
        """
        The first listener of a tree already finds a conflict of the later ones.
        """
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        tree = treeService.MultiService()
        first = ListenerService("127.0.0.1:0", name="first")
        first.setServiceParent(tree)
        for name in ("b", "c"):
            ListenerService(f"127.0.0.1:{port}", name=name).setServiceParent(tree)
        self.assertRaises(AddressConflict, first.privilegedStartService)
        self.assertEqual(list(first.sockets()), [])


class Refusals(TestCase):
    """
    What the system refuses, in words.
    """

    def refusal(self, address: str) -> BindFailed:
        with pytest.raises(BindFailed) as caught:
            started(address)
        self.assertNotIn("\n", str(caught.value))
        self.assertEqual(caught.value.exitStatus, 1)
        return caught.value

    def test_inUse(self) -> None:
        """
        A port in use is named with the process that holds it.
        """
        code = (
            "import socket, sys\n"
            "s = socket.create_server(('127.0.0.1', 0))\n"
            "print(s.getsockname()[1], flush=True)\n"
            "sys.stdin.read()\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            port = int(child.stdout.readline())
            for host in ("127.0.0.1", "0.0.0.0"):
                error = self.refusal(f"{host}:{port}")
                assert isinstance(error, AddressInUse)
                self.assertEqual(error.address, f"tcp:{host}:{port}")
                if sys.platform.startswith("linux"):
                    assert error.holder is not None
                    self.assertEqual(error.holder.pid, child.pid)
                    self.assertIn(f"process {child.pid} (python", str(error))
            child.communicate(b"")

    def test_holderThatCannotBeRead(self) -> None:
        """
        Where only its user is known, that is said.
        """
        self.patch(sys.modules["svctree.listen.holders"], "_ownerOf", lambda inode: 0)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            error = self.refusal(f"127.0.0.1:{taken.getsockname()[1]}")
        if sys.platform.startswith("linux"):
            self.assertIn(f"a process of user id {os.getuid()} already", str(error))

    def test_noProc(self) -> None:
        """
        Without C{/proc} the message is the same but for the holder.
        """
        self.patch(sys.modules["svctree.listen.holders"], "_lines", lambda path: [])
        with socket.create_server(("127.0.0.1", 0)) as taken:
            error = self.refusal(f"127.0.0.1:{taken.getsockname()[1]}")
        self.assertIn("another process already listens there", str(error))

    def test_notOurs(self) -> None:
        """
        An address of another machine.
        """
        error = self.refusal("192.0.2.1:80")
        self.assertIsInstance(error, AddressNotAvailable)
        self.assertIn("tcp:192.0.2.1:80: this machine has no such", str(error))

    def test_unknownInterface(self) -> None:
        """
        A link-local address on an interface that is not there.
        """
        self.assertIn("nosuch", str(self.refusal("[fe80::1%nosuch]:80")))

    def test_noRight(self) -> None:
        """
        What the system says to an unprivileged process, whoever runs this test.
        """
        self.patch(
            sys.modules["svctree.listen.bound"],
            "_sockaddr",
            self.raiser(PermissionError(errno.EACCES, "Permission denied")),
        )
        error = self.refusal("127.0.0.1:80")
        assert isinstance(error, PrivilegedPort)
        self.assertEqual(error.port, 80)
        self.assertIn(f"a port from {error.firstFree} on", str(error))

    def test_anythingElse(self) -> None:
        """
        Other errors are told in the system's words.
        """
        self.patch(
            sys.modules["svctree.listen.bound"],
            "_sockaddr",
            self.raiser(OSError(errno.ENOBUFS, "x")),
        )
        self.assertIn(os.strerror(errno.ENOBUFS), str(self.refusal("127.0.0.1:80")))

    @staticmethod
    def raiser(error: Exception) -> Callable[..., Any]:
        def fail(*_: object) -> Any:
            raise error

        return fail

    def test_unknownHost(self) -> None:
        """
        A name that nobody knows.
        """
        self.assertIsInstance(self.refusal("nosuchhost.invalid:80"), UnknownHost)

    def test_privileged(self) -> None:
        """
        A low port without the right to it: the message says four ways out.
        """
        code = (
            "import os\n"
            "from svctree.listen import BindFailed, ListenerService\n"
            "service = ListenerService('127.0.0.1:81')\n"
            "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
            "try: service.privilegedStartService()\n"
            "except BindFailed as error:\n"
            "    print(type(error).__name__, error.port, error.firstFree)\n"
            "    print(error)\n"
            "else: print('allowed')\n"
        )
        output = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        if output == "allowed\n":
            self.skipTest("everybody may bind port 81 here")
        kind, _newline, message = output.strip().partition("\n")
        self.assertRegex(kind, f"^{PrivilegedPort.__name__} 81 [0-9]+$")
        for way in ("start as root", "CAP_NET_BIND_SERVICE", "systemd", "a port from"):
            self.assertIn(way, message)

    def test_tableOfTheKernel(self) -> None:
        """
        The addresses of C{/proc/net/tcp} and C{tcp6} are read as the kernel writes
        them, in words of the machine's order.
        """
        if sys.byteorder == "big":
            self.skipTest("the samples are from a little-endian machine")
        self.assertEqual(
            localAddressOf("0100007F:1F90"), (socket.AF_INET, "127.0.0.1", 8080)
        )
        self.assertEqual(
            localAddressOf("B80D01200000000000000000 01000000:0050".replace(" ", "")),
            (socket.AF_INET6, "2001:db8::1", 80),
        )


class Serving(TestCase):
    """
    A listener that serves a Twisted factory itself.
    """

    async def ask(self, endpoint: str) -> bytes:
        client = Collect()
        await connectProtocol(clientFromString(reactor, endpoint), client)
        assert client.transport is not None
        client.transport.write(b"hello")
        return await client.done

    async def test_factory(self) -> None:
        """
        An ordinary protocol factory is served over TCP and a unix socket until the
        stop, which leaves nothing.
        """
        factory = protocol.Factory.forProtocol(Echo)
        path = f"/tmp/svctree-{os.getpid()}-{id(self)}"
        parent = treeService.MultiService()
        listener = ListenerService("127.0.0.1:0", f"{path}(600)", factory=factory)
        listener.setServiceParent(parent)
        parent.privilegedStartService()
        parent.startService()
        port = portOf(listener)
        self.assertEqual(listener.urls()[0], f"tcp:127.0.0.1:{port}")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        for endpoint in (f"tcp:127.0.0.1:{port}", f"unix:{path}"):
            self.assertEqual(await self.ask(endpoint), b"HELLO")
        await parent.stopService()
        self.assertFalse(os.path.exists(path))
        self.assertRaises(ConnectionRefusedError, connect, port)
        self.assertEqual(factory.numPorts, 0)

    async def test_rebind(self) -> None:
        """
        After a change the new address is served and the old one refused.
        """
        factory = protocol.Factory.forProtocol(Echo)
        listener = started("127.0.0.1:0", factory=factory)
        old = portOf(listener)
        await listener.rebind(["127.0.0.1:0", "[::1]:0"])
        # The first address has not changed, so neither has its socket.
        self.assertEqual(portOf(listener), old)
        await listener.rebind(["[::1]:0"])
        self.assertRaises(ConnectionRefusedError, connect, old)
        port = portOf(listener)
        self.assertEqual(
            await self.ask(f"tcp:[\\:\\:1]:{port}".replace("[", "").replace("]", "")),
            b"HELLO",
        )
        await listener.stopService()


class Who(protocol.Protocol):
    """
    Says who is connected, at once and to whatever it is told.
    """

    def connectionMade(self) -> None:
        assert self.transport is not None
        peer, host = self.transport.getPeer(), self.transport.getHost()
        self.transport.write(f"{peer!r} {host!r}\n".encode())

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data.upper())
        self.transport.loseConnection()


class Proxied(TestCase):
    """
    A factory behind a proxy that speaks PROXY.
    """

    def setUp(self) -> None:
        self.factory = protocol.Factory.forProtocol(Who)

    async def ask(self, port: int, pieces: list[bytes]) -> bytes:
        client = Collect()
        await connectProtocol(
            clientFromString(reactor, f"tcp:127.0.0.1:{port}"), client
        )
        for piece in pieces:
            assert client.transport is not None
            client.transport.write(piece)
            await deferLater(reactor, 0, lambda: None)
        return await client.done

    async def test_header(self) -> None:
        """
        The protocol of a trusted peer begins after the header, and sees the client's
        address; in whatever pieces the header arrives.
        """
        listener = started(
            "127.0.0.1:0",
            factory=self.factory,
            proxyProtocol=True,
            forwardedAllow=["127.0.0.1"],
        )
        header = b"PROXY TCP4 192.0.2.7 198.51.100.2 1234 443\r\n"
        port = portOf(listener)
        for pieces in (
            [header + b"hello"],
            [header, b"hello"],
            [bytes([byte]) for byte in header] + [b"hello"],
        ):
            answer = await self.ask(port, pieces)
            self.assertEqual(
                answer,
                b"IPv4Address(type='TCP', host='192.0.2.7', port=1234) "
                b"IPv4Address(type='TCP', host='198.51.100.2', port=443)\nHELLO",
            )
        answer = await self.ask(port, [b"PROXY UNKNOWN\r\nhello"])
        self.assertIn(b"host='127.0.0.1'", answer)
        self.assertEqual(await self.ask(port, [b"hello"]), b"")
        await listener.stopService()

    async def test_others(self) -> None:
        """
        Other peers are served as they are.
        """
        listener = started(
            "127.0.0.1:0",
            factory=self.factory,
            proxyProtocol=True,
            forwardedAllow=["192.0.2.0/24", "unix"],
        )
        answer = await self.ask(portOf(listener), [b"hello"])
        self.assertIn(b"host='127.0.0.1'", answer)
        self.assertTrue(answer.endswith(b"HELLO"))
        await listener.stopService()

    def test_timeout(self) -> None:
        """
        A header that does not come ends the connection.
        """
        clock = Clock()
        proxied = ProxiedFactory(self.factory, Trust(["unix"]), clock)
        greeting = proxied.buildProtocol(UNIXAddress("/run/x"))
        assert greeting is not None
        transport = StringTransport()
        greeting.makeConnection(transport)
        greeting.dataReceived(b"PROXY ")
        clock.advance(9.9)
        self.assertFalse(transport.disconnecting or transport.disconnected)
        clock.advance(0.2)
        self.assertTrue(transport.disconnected or transport.disconnecting)

    def test_nobodyTrusted(self) -> None:
        """
        To expect headers from nobody is a mistake.
        """
        self.assertRaises(
            ValueError, ListenerService, "@x", factory=self.factory, proxyProtocol=True
        )


class Rebinding(TestCase):
    """
    Another set of addresses while it runs.
    """

    async def test_newBeforeOld(self) -> None:
        """
        Observers see the new sockets while the old ones still listen; these are
        closed when the observers are done.
        """
        listener = started("127.0.0.1:0")
        old = portOf(listener)
        waiting: defer.Deferred[None] = defer.Deferred()
        seen: list[int] = []

        def observer(changed: ListenerService) -> defer.Deferred[None]:
            seen.append(portOf(changed))
            return waiting

        listener.watch(observer)
        done = listener.rebind(["[::1]:0"])
        (new,) = seen
        connect(old)
        connect(new, "::1")
        self.assertNoResult(done)
        waiting.callback(None)
        await done
        self.assertRaises(ConnectionRefusedError, connect, old)
        connect(new, "::1")
        listener.unwatch(observer)
        await listener.stopService()

    async def test_observerFails(self) -> None:
        """
        When an observer fails, the old addresses are served on.
        """
        listener = started("127.0.0.1:0")
        old, addresses = portOf(listener), listener.addresses
        ports: list[int] = []

        def observer(changed: ListenerService) -> None:
            ports.append(portOf(changed))
            raise RuntimeError("the new workers do not boot")

        listener.watch(observer)
        with pytest.raises(RuntimeError, match="do not boot"):
            await listener.rebind(["[::1]:0"])
        self.assertEqual(portOf(listener), old)
        self.assertEqual(listener.addresses, addresses)
        connect(old)
        self.assertRaises(ConnectionRefusedError, connect, ports[0], "::1")
        await listener.stopService()

    async def test_stoppedMeanwhile(self) -> None:
        """
        A stop during a change leaves nothing open, however the change ends.
        """
        for end in (lambda d: d.callback(None), lambda d: d.errback(ValueError())):
            listener = started("127.0.0.1:0")
            ports = [portOf(listener)]
            waiting: defer.Deferred[None] = defer.Deferred()
            listener.watch(lambda changed, waiting=waiting: waiting)  # type: ignore[misc]
            done = listener.rebind(["127.0.0.1:0", "127.0.0.2:0"])
            # The first has stayed.
            self.assertEqual(portOf(listener), ports[0])
            ports += [s.getsockname()[1] for s in listener.sockets()[1:]]
            listener.stopService()
            end(waiting)
            done.addErrback(lambda failure: failure.trap(ValueError))
            await done
            self.assertRaises(ConnectionRefusedError, connect, ports[0])
            self.assertRaises(ConnectionRefusedError, connect, ports[1], "127.0.0.2")

    async def test_wider(self) -> None:
        """
        An address that includes an open one cannot be bound before that is closed:
        the change is refused with that reason, and what was stays.
        """
        listener = started("127.0.0.1:0")
        port = portOf(listener)
        # As configured by number, so that the two meet.
        await listener.stopService()
        listener = started(f"127.0.0.1:{port}")
        with pytest.raises(NeedsRestart, match="restart to change") as caught:
            await listener.rebind([f"*:{port}"])
        self.assertEqual(caught.value.other, f"tcp:127.0.0.1:{port}")
        connect(port)
        await listener.stopService()

    async def test_newCannotBeBound(self) -> None:
        """
        When a new address cannot be bound, nothing changes.
        """
        listener = started("127.0.0.1:0")
        old = portOf(listener)
        taken = started("127.0.0.1:0", name="other")
        with pytest.raises(AddressInUse):
            await listener.rebind([f"127.0.0.1:{portOf(taken)}"])
        await taken.stopService()
        self.assertEqual(portOf(listener), old)
        connect(old)
        await listener.stopService()

    async def test_samePathOtherPermission(self) -> None:
        """
        A unix socket that stays where it is keeps its socket and gets its new
        permission.
        """
        path = f"/tmp/svctree-{os.getpid()}-{id(self)}"
        listener = started(f"{path}(600)")
        (before,) = listener.sockets()
        await listener.rebind([f"unix:{path}(666)"])
        self.assertEqual(list(listener.sockets()), [before])
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o666)
        self.assertEqual(listener.addresses, (parseAddress(f"{path}(666)"),))
        await listener.stopService()
        self.assertFalse(os.path.exists(path))

    async def test_beforeTheStart(self) -> None:
        """
        A listener that is not up only takes note.
        """
        listener = ListenerService("127.0.0.1:1")
        await listener.rebind(["127.0.0.1:0"])
        self.assertEqual(list(listener.sockets()), [])
        listener.startService()
        connect(portOf(listener))
        await listener.stopService()
