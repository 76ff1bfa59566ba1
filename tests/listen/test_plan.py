"""
From addresses to sockets, before anything is bound.
"""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from svctree.listen import UnknownHost, parseAddress
from svctree.listen.plan import plan, resolve

V4, V6 = socket.AF_INET, socket.AF_INET6


def lookUp(host: str) -> list[tuple[int, str]]:
    hosts = {
        "both.example": [(V4, "192.0.2.1"), (V6, "2001:db8::1"), (V4, "192.0.2.1")],
        "home.example": [(V4, "127.0.0.1"), (V6, "::1")],
    }
    if host not in hosts:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return hosts[host]


def planned(*texts: str) -> tuple[list[list[str]], list[str]]:
    wants, overlaps = plan([parseAddress(text) for text in texts], lookUp)
    rendered = [[e.render() for e in want.endpoints] for want in wants]
    return rendered, [str(overlap) for overlap in overlaps]


def test_star() -> None:
    """
    C{*} is one socket for each family of addresses.
    """
    assert planned("*:80") == ([["tcp:0.0.0.0:80", "tcp:[::]:80"]], [])


def test_nameWithSeveralAddresses() -> None:
    """
    A name is every address it resolves to, each once.
    """
    assert planned("both.example:80") == (
        [["tcp:192.0.2.1:80", "tcp:[2001:db8::1]:80"]],
        [],
    )


def test_unknownName() -> None:
    """
    A name that does not resolve is named, with the resolver's reason.
    """
    with pytest.raises(UnknownHost, match=r"'no\.example' .*not known") as caught:
        resolve(parseAddress("no.example:80"), lookUp)
    assert caught.value.host == "no.example"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("127.0.0.1:80", "*:80"),
        ("[::1]:80", "*:80"),
        ("home.example:80", "*:80"),
        ("127.0.0.1:80", "0.0.0.0:80"),
        ("127.0.0.1:80", "home.example:80"),
        ("[::1]:80", "[::]:80"),
    ],
)
def test_inclusion(first: str, second: str) -> None:
    """
    Of two sockets of which one includes the other, the wider is bound, whatever
    their order, with a notice.
    """
    for texts in ([first, second], [second, first]):
        sockets, notices = planned(*texts)
        every = [one for each in sockets for one in each]
        assert len(every) == len(set(every))
        wide, _none = planned(second)
        assert every == wide[0]
        assert notices and all("one socket" in notice for notice in notices)


@pytest.mark.parametrize(
    "texts",
    [
        ("127.0.0.1:80", "127.0.0.1:81"),
        ("127.0.0.1:80", "127.0.0.2:80"),
        ("0.0.0.0:80", "[::]:80"),
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("*:0", "127.0.0.1:0"),
        ("/run/a", "/run/b"),
        ("@a", "a"),
        ("fd:3", "fd:4"),
    ],
)
def test_apart(texts: tuple[str, str]) -> None:
    """
    Addresses that do not meet are bound each; ports that the system chooses never
    meet.
    """
    _sockets, notices = planned(*texts)
    assert notices == []


@pytest.mark.parametrize("text", ["127.0.0.1:80", "/run/a(660)", "@a", "fd:3", "stdin"])
def test_twice(text: str) -> None:
    """
    The same address twice is one socket, and a notice says so.
    """
    sockets, notices = planned(text, text)
    assert [len(each) for each in sockets] == [1, 0]
    assert len(notices) == 1 and "given twice" in notices[0]


def test_permissionCounts() -> None:
    """
    Where one of them names a permission it holds, wherever it stands, and where both
    do, the first; the notice says which.
    """
    for texts, kept in [
        (("/run/a", "/run/a(600)"), "/run/a(600)"),
        (("/run/a(600)", "/run/a"), "/run/a(600)"),
        (("/run/a(600)", "/run/a(660)"), "/run/a(600)"),
    ]:
        wants, (overlap,) = plan([parseAddress(text) for text in texts], lookUp)
        (address,) = [want.address for want in wants if want.endpoints]
        assert address == parseAddress(kept)
        assert str(overlap).endswith(f"one socket, as unix:{kept}")


def test_symbolicLinks(tmp_path: Path) -> None:
    """
    The same path through a symbolic link, to its folder or to itself, is one
    socket: the one without the link.
    """
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "folder").symlink_to(real)
    (tmp_path / "link").symlink_to(real / "sock")
    for other in (tmp_path / "folder" / "sock", tmp_path / "link"):
        for texts in ([real / "sock", other], [other, real / "sock"]):
            sockets, notices = planned(*map(str, texts))
            every = [one for each in sockets for one in each]
            assert every == [f"unix:{real / 'sock'}"]
            assert "is included in" in notices[0]
