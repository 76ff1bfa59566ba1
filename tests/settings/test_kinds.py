from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svctree.settings import BadValue, kinds


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (kinds.Boolean(), "yes", True),
        (kinds.Boolean(), "On", True),
        (kinds.Boolean(), "0", False),
        (kinds.Size(), "64k", 65536),
        (kinds.Size(), "1G", 1 << 30),
        (kinds.Size(), "8190", 8190),
        (kinds.Seconds(), "30", 30.0),
        (kinds.Seconds(), "1.5s", 1.5),
        (kinds.Seconds(), "250ms", 0.25),
        (kinds.Seconds(), "2m", 120.0),
        (kinds.Seconds(), "1h", 3600.0),
        (kinds.Percent(), "10%", 10.0),
        (kinds.Percent(), "2.5", 2.5),
        (kinds.Umask(), "022", 0o22),
        (kinds.Umask(), "0", 0),
        (kinds.Umask(), "Inherit", None),
        (kinds.Identity("user"), "33", 33),
        (kinds.Identity("user"), "www-data", "www-data"),
        (kinds.WorkerRange(), "4", (4, 4)),
        (kinds.WorkerRange(), "2..8", (2, 8)),
        (kinds.Mount(), "/app/", "/app"),
        (kinds.Mount(), "/", ""),
        (kinds.Mount(), "", ""),
        (kinds.Paths(), "a b\nc", ("a", "b", "c")),
        (kinds.Assignments(), "A=1\nB = two words", {"A": "1", "B": "two words"}),
        (kinds.ImportName(), "shop.wsgi:app", "shop.wsgi:app"),
        (kinds.ImportName(), "shop:make()", "shop:make()"),
        (kinds.ImportName(), "shop.app", "shop.app"),
        (kinds.Peers(), "none", ()),
        (kinds.Peers(), "10.0.0.1, unix", ("10.0.0.1/32", "unix")),
        (kinds.Peers(), "10.1.2.3/8 ::1", ("10.0.0.0/8", "::1/128")),
        (kinds.Choice("info", "warn", aliases={"warning": "warn"}), "warning", "warn"),
    ],
)
def test_read(kind: kinds.Kind[object], text: str, value: object) -> None:
    """
    Text becomes the value; the value stays itself.
    """
    assert kind.fromText(text) == value
    assert kind.fromValue(value) == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (kinds.Text(), "a\nb"),
        (kinds.Boolean(), "maybe"),
        (kinds.Boolean(), 1),
        (kinds.Integer(), "-1"),
        (kinds.Integer(), "1_000"),
        (kinds.Integer(), "\u0663"),
        (kinds.Integer(), True),
        (kinds.Integer(1), 0),
        (kinds.Size(), "64kb"),
        (kinds.Size(), "1.5g"),
        (kinds.Seconds(), "nan"),
        (kinds.Seconds(), float("inf")),
        (kinds.Seconds(), "-1"),
        (kinds.Seconds(), "5 days"),
        (kinds.Percent(), "101%"),
        (kinds.Umask(), "999"),
        (kinds.Umask(), "1777"),
        (kinds.Identity("user"), "a b"),
        (kinds.Identity("user"), -1),
        (kinds.WorkerRange(), "0"),
        (kinds.WorkerRange(), "8..2"),
        (kinds.WorkerRange(), (1, 2, 3)),
        (kinds.Mount(), "app"),
        (kinds.Mount(), "/a b"),
        (kinds.Path(), ""),
        (kinds.Path(), "-"),
        (kinds.Path(), "a\0b"),
        (kinds.Paths(), [1]),
        (kinds.Assignments(), "no assignment"),
        (kinds.Assignments(), {"A": 1}),
        (kinds.Assignments(), "9A=b"),
        (kinds.ImportName(), "shop"),
        (kinds.ImportName(), "shop/wsgi.py:app"),
        (kinds.ImportNames(), "a:b c"),
        (kinds.Peers(), "*"),
        (kinds.Peers(), "10.0.0.0/33"),
        (kinds.Address(), "localhost"),
        (kinds.Address(local=True), "127.0.0.1:80"),
        (kinds.Addresses(), "80 [::1]"),
        (kinds.Choice("a"), "b"),
    ],
)
def test_refuse(kind: kinds.Kind[object], value: object) -> None:
    """
    Anything else is refused, and the message says what is expected.
    """
    with pytest.raises(BadValue, match="expected"):
        kind.fromValue(value)


@pytest.mark.parametrize(
    ("address", "anchored"),
    [
        ("run/app.sock(660)", "unix:/srv/run/app.sock(660)"),
        ("unix:run/app.sock", "unix:/srv/run/app.sock"),
        ("unix:../app.sock", "unix:/app.sock"),
        ("unix:/run/app.sock", "unix:/run/app.sock"),
        ("./a:b", "unix:/srv/a:b"),
        ("app.sock", "unix:/srv/app.sock"),
        ("unix:run/x:mode=660", "unix:/srv/run/x(660)"),
        ("unix:@app", "unix:@app"),
        ("localhost:80", "localhost:80"),
        ("tcp:8080:interface=127.0.0.1", "tcp:8080:interface=127.0.0.1"),
        ("[::1]:80", "[::1]:80"),
        ("*:80", "*:80"),
        ("8080", "8080"),
        ("stdin", "stdin"),
        ("fd:3", "fd:3"),
        ("systemd:", "systemd:"),
    ],
)
def test_anchorAddress(address: str, anchored: str) -> None:
    """
    Only the path of a unix socket is a path.
    """
    assert kinds.anchorAddress(address, "/srv") == anchored


def test_anchoredPaths() -> None:
    """
    Relative paths start at the folder; C{-} stays where it means a stream.
    """
    assert kinds.Path().anchored("run/a", "/srv") == "/srv/run/a"
    assert kinds.Path("standard output").anchored("-", "/srv") == "-"
    assert kinds.Paths().anchored(("a", "/b"), "/srv") == ("/srv/a", "/b")
    assert kinds.Address().anchored("none", "/srv") == "none"


@given(st.integers(0, 1 << 40))
def test_sizeRoundTrip(size: int) -> None:
    """
    A size survives being written down.
    """
    kind = kinds.Size()
    assert kind.fromText(kind.toText(size)) == size


@given(st.integers(0, 10**9))
def test_secondsRoundTrip(milliseconds: int) -> None:
    """
    A time survives being written down, to the microsecond.
    """
    kind = kinds.Seconds()
    seconds = milliseconds / 1000
    assert kind.fromText(kind.toText(seconds)) == pytest.approx(seconds)


@given(st.dictionaries(st.from_regex(r"[A-Z_]{1,5}", fullmatch=True), st.just("x y")))
def test_assignmentsRoundTrip(assignments: dict[str, str]) -> None:
    """
    Assignments survive being written down.
    """
    kind = kinds.Assignments()
    assert kind.fromText(kind.toText(assignments)) == assignments
