"""
The grammar of addresses.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.endpoints import _parse  # type: ignore[attr-defined]

from svctree.listen import (
    AbstractAddress,
    Address,
    AddressError,
    DescriptorAddress,
    StdinAddress,
    SystemdAddress,
    TCPAddress,
    UnixAddress,
    parseAddress,
)

FORMS: list[tuple[str, Address]] = [
    ("tcp:example.org:80", TCPAddress("example.org", 80)),
    ("example.org:80", TCPAddress("example.org", 80)),
    ("tcp:127.0.0.1:80", TCPAddress("127.0.0.1", 80)),
    ("tcp:8080", TCPAddress("*", 8080)),
    ("8080", TCPAddress("*", 8080)),
    ("*:80", TCPAddress("*", 80)),
    ("tcp:*:0", TCPAddress("*", 0)),
    ("[::1]:80", TCPAddress("::1", 80)),
    ("tcp:[fe80::1%eth0]:80", TCPAddress("fe80::1%eth0", 80)),
    ("unix:app.sock", UnixAddress("app.sock")),
    ("app.sock", UnixAddress("app.sock")),
    ("run/app.sock(660)", UnixAddress("run/app.sock", 0o660)),
    ("/run/a:b", UnixAddress("/run/a:b")),
    ("unix:/run/x(0600,www-data:web)", UnixAddress("/run/x", 0o600, "www-data", "web")),
    ("unix:/run/x(600,www)", UnixAddress("/run/x", 0o600, "www")),
    ("unix:/run/x(,:web)", UnixAddress("/run/x", None, None, "web")),
    ("unix:/run/x(1)()", UnixAddress("/run/x(1)")),
    ("unix:@name", AbstractAddress("name")),
    ("@name:mode=1", AbstractAddress("name:mode=1")),
    ("stdin", StdinAddress()),
    ("fd:7", DescriptorAddress(7)),
    ("systemd:", SystemdAddress()),
    ("systemd:web", SystemdAddress("web")),
]

TWISTED: list[tuple[str, Address]] = [
    ("tcp:8080:interface=127.0.0.1", TCPAddress("127.0.0.1", 8080)),
    ("tcp:port=8080", TCPAddress("*", 8080)),
    (r"tcp:8080:interface=\:\:1:backlog=7", TCPAddress("::1", 8080, 7)),
    (r"tcp6:8080:interface=\:\:1", TCPAddress("::1", 8080)),
    ("tcp6:8080", TCPAddress("::", 8080)),
    ("unix:/run/x:mode=660", UnixAddress("/run/x", 0o660)),
    ("unix:address=/run/x:lockfile=0", UnixAddress("/run/x")),
    (r"unix:/run/a\:b:mode=600:backlog=9", UnixAddress("/run/a:b", 0o600, backlog=9)),
    ("systemd:domain=INET:index=0", SystemdAddress(index=0, domain="INET")),
    ("systemd:domain=UNIX:name=web", SystemdAddress("web", domain="UNIX")),
]

BAD: list[tuple[str, str]] = [
    ("", "empty"),
    (" 8080", "white space"),
    ("localhost", "localhost:8080"),
    ("127.0.0.1", "the port is missing"),
    ("tcp:host", "the port is missing"),
    ("tcp:", "the port is missing, as in tcp:8080"),
    ("[::1]", "the port is missing, as in [::1]:8080"),
    ("unix:(660)", "the path is missing, as in app.sock(660)"),
    (":80", "the host is missing"),
    ("::1:80", "in brackets, as in [::1]:80"),
    ("[nothing]:80", "no IPv6 address"),
    ("[:::]:80", "no IP address"),
    ("127.1:80", "no IP address"),
    ("host:http", "'http' is not a port"),
    ("host:+80", "digits only"),
    ("host:65536", "between 0 and 65535"),
    ("ho st:80", "no host"),
    ("unix:", "no path"),
    ("/run/x(rw)", "no octal permission"),
    ("/run/x(888)", "no octal permission"),
    ("/run/x(1777)", "between 0 and 777"),
    ("/run/x(600,)", "neither owner nor group"),
    ("/run/\nx", "no path"),
    ("@", "no abstract name"),
    ("fd:x", "not a descriptor"),
    ("fd:-1", "not a descriptor"),
    ("ssl:443:privateKey=x", "does not name a listening stream socket"),
    ("haproxy:tcp:80", "does not name a listening stream socket"),
    ("tcp:80:interface=a:inter=b", "no argument 'inter'"),
    ("tcp:80:port=80:interface=a", "given twice"),
    ("unix:/x:mode=9", "no octal permission"),
    ("unix:/x:backlog=0", "not positive"),
    ("systemd:domain=INET7:index=0", "none of INET"),
]


@pytest.mark.parametrize(("text", "expected"), FORMS + TWISTED)
def test_forms(text: str, expected: Address) -> None:
    """
    Every form of SETTINGS, with and without its prefix, and Twisted's descriptions.
    """
    assert parseAddress(text) == expected
    assert parseAddress(expected.render()) == expected


@pytest.mark.parametrize(("text", "problem"), BAD)
def test_refused(text: str, problem: str) -> None:
    """
    What is no address is refused in one line that names the text, what is wrong
    with it, and the grammar.
    """
    with pytest.raises(AddressError) as caught:
        parseAddress(text)
    message = str(caught.value)
    assert problem in message
    assert repr(text) in message
    assert "[tcp:]host:port" in message and "systemd:name" in message
    assert "\n" not in message
    assert caught.value.text == text
    assert caught.value.exitStatus == 78


labels = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=12)
hosts = st.one_of(
    st.just("*"),
    st.ip_addresses().map(str),
    labels.map(lambda label: f"h{label}x.example"),
)
backlogs = st.none() | st.integers(1, 65535)
paths = st.text(
    st.characters(exclude_categories=("Cc", "Cs"), exclude_characters=" \x7f"),
    min_size=1,
).filter(lambda path: not path.startswith("@"))
# As people write them, and with everything that means something to a grammar.
nastyPaths = st.text("ab/()=:\\@,0146", min_size=1).filter(
    lambda path: not path.startswith("@")
)
names = st.none() | labels
addresses: st.SearchStrategy[Address] = st.one_of(
    st.builds(TCPAddress, hosts, st.integers(0, 65535), backlogs),
    st.builds(
        UnixAddress,
        paths.filter(lambda path: path == path.strip())
        | nastyPaths
        | nastyPaths.map("/run/x:mode=".__add__),
        st.none() | st.integers(0, 0o777),
        names,
        names,
        backlogs,
    ),
    st.builds(AbstractAddress, nastyPaths | labels),
    st.just(StdinAddress()),
    st.builds(DescriptorAddress, st.integers(0, 999)),
    st.builds(
        SystemdAddress,
        names,
        st.none() | st.integers(0, 99),
        st.sampled_from([None, "INET", "INET6", "UNIX"]),
    ),
)


@given(addresses)
def test_roundTrip(address: Address) -> None:
    """
    What C{render} writes, L{parseAddress} reads.
    """
    assert parseAddress(address.render()) == address


@given(st.text())
def test_anyText(text: str) -> None:
    """
    Any text at all is an address or an L{AddressError}, and an address is written
    in a form that reads the same.
    """
    try:
        address = parseAddress(text)
    except AddressError:
        return
    assert parseAddress(address.render()) == address


@pytest.mark.parametrize("text", [text for text, _expected in TWISTED])
def test_twistedAgrees(text: str) -> None:
    """
    The descriptions tested here are such that Twisted splits them the same way.
    """
    (_prefix, *positional), keywords = _parse(text)
    address = parseAddress(text)
    given = [*positional, *keywords.values()]
    assert all(value for value in given)
    if isinstance(address, TCPAddress):
        assert str(address.port) in given
    if isinstance(address, UnixAddress):
        assert address.path in given
