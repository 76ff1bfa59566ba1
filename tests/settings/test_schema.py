from __future__ import annotations

import json
import subprocess
import sys

import attrs
import pytest

from svctree.settings import (
    PoolSettings,
    Settings,
    SettingsError,
    addNames,
    optionsOf,
)


def refusal(**keywords: object) -> str:
    with pytest.raises(SettingsError) as caught:
        PoolSettings(**keywords)
    return str(caught.value)


def test_poolSettingsTravel() -> None:
    """
    The settings of a pool are the same after a passage through JSON.
    """
    made = PoolSettings(
        application="shop.wsgi:app",
        workers="2..8",
        env={"A": "b"},
        pythonpath=["/srv"],
        maxMemory="200m",
        maxRequestsJitter="5%",
    )
    again = PoolSettings(**json.loads(json.dumps(attrs.asdict(made))))
    assert again == made


def test_nativeAndTextAlike() -> None:
    """
    A keyword takes a native value, or text as it stands in the file.
    """
    assert PoolSettings(timeout="1m", workers=2, preload=False) == PoolSettings(
        timeout=60, workers="2", preload="off"
    )


def test_everythingAtOnce() -> None:
    """
    All problems are reported together, each with its keyword, what was expected, and
    the nearest name.
    """
    assert refusal(maxRequest=3, timeout="thirty", protocol="htp").splitlines() == [
        "keyword maxRequest: unknown option; did you mean maxRequests?",
        "keyword timeout: got 'thirty', expected a time: seconds, or a number with "
        "ms, s, m or h, such as 30s",
        "keyword protocol: got 'htp', expected one of http, scgi, fastcgi, uwsgi, "
        "cgi; did you mean http?",
    ]


def test_contradiction() -> None:
    """
    Options that are each right but do not fit together are refused.
    """
    assert "minspare (9) is more than maxspare (4)" in refusal(minspare=9)


def test_addedNames() -> None:
    """
    A name that a third party has added is taken; the message for an unknown one has
    it too.
    """
    names: list[str] = []
    addNames("protocol", lambda: names)
    assert "gopher" not in refusal(protocol="gophr").partition("expected")[2]
    names.append("gopher")
    try:
        assert PoolSettings(protocol="gopher").protocol == "gopher"
        assert refusal(protocol="gophr").endswith("gopher; did you mean gopher?")
    finally:
        names.clear()


def test_evolve() -> None:
    """
    L{attrs.evolve} checks like the constructor, and origins stay.
    """
    made = Settings(origins={"timeout": "--timeout"}, timeout=3)
    assert attrs.evolve(made, timeout="5s").timeout == 5.0
    assert attrs.evolve(made, backlog=9).origins == {"timeout": "--timeout"}
    with pytest.raises(SettingsError):
        attrs.evolve(made, timeout=-1)


def test_settingsHoldAll() -> None:
    """
    Every option of a pool is one of L{Settings}, and L{Settings.pool} copies them.
    """
    names = {one.name for one in optionsOf(Settings)}
    assert {one.name for one in optionsOf(PoolSettings)} < names
    assert Settings(threads=3, serverName="").pool() == PoolSettings(
        threads=3, serverName=""
    )


def test_names() -> None:
    """
    One option, one name, in the spelling of each door.
    """
    found = {one.keyword: one for one in optionsOf(Settings)}
    assert found["limitRequestFieldSize"].name == "limit-request-field-size"
    assert found["maxRequests"].variable == "SVCTREE_MAX_REQUESTS"


def test_everyDefaultIsAValue() -> None:
    """
    Each default that is not "unset" can be written as text and read again.
    """
    for option in optionsOf(Settings):
        if not option.isUnset(option.default):
            text = option.render(option.default)
            assert option.kind.fromText(text) == option.default, option.name


def test_derived() -> None:
    """
    What follows from other options: control beside the pidfile, the error log of a
    detached daemon.
    """
    assert Settings().controlAddress() is None
    assert Settings(pidfile="/run/a.pid").controlAddress() == "unix:/run/a.ctl(600)"
    assert Settings(pidfile="/run/a.pid", control="none").controlAddress() is None
    assert Settings(control="unix:/x").controlAddress() == "unix:/x"
    assert Settings().errorlogPath() is None
    assert Settings(detach=True).errorlogPath() == "/dev/null"
    assert Settings(detach=True, errorlog="/log").errorlogPath() == "/log"
    assert Settings(detach=True, errorlog="-").errorlogPath() is None
    assert Settings(status="none").statusAddress() is None


def test_detachedStandardInput() -> None:
    """
    A daemon in the background has no standard input to listen on.
    """
    with pytest.raises(SettingsError, match="stdin needs detach = no"):
        Settings(detach=True, listen="stdin")


def test_withoutTwisted() -> None:
    """
    The settings load without Twisted.
    """
    code = (
        "import sys, svctree.settings;"
        "print([name for name in sys.modules if name.startswith('twisted')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_proxyProtocolTrustsSomebody() -> None:
    """
    PROXY headers that nobody may send are a contradiction.
    """
    with pytest.raises(SettingsError, match="needs forwarded-allow"):
        PoolSettings(proxyProtocol=True)
    PoolSettings(proxyProtocol=True, forwardedAllow=["unix"])
