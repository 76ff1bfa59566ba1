from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from svctree.command.report import (
    checkSettings,
    settingsAsJson,
    settingsAsText,
    summary,
)
from svctree.settings import Settings, SettingsError, optionsOf


def refusal(**keywords: object) -> str:
    origins = {name: f"a.ini:{line}" for line, name in enumerate(keywords, 1)}
    with pytest.raises(SettingsError) as caught:
        checkSettings(Settings(origins=origins, **keywords))
    return str(caught.value)


def test_everySetting() -> None:
    """
    Every option is shown, with its value and where it comes from.
    """
    made = Settings(origins={"workers": "--workers"}, workers="2..4")
    text = settingsAsText(made)
    data = json.loads(settingsAsJson(made))
    for option in optionsOf(Settings):
        assert f"\n{option.name} " in text
        assert option.name in data
    (line,) = [one for one in text.splitlines() if one.startswith("workers ")]
    assert line.split() == ["workers", "=", "2..4", "(--workers)"]
    assert data["workers"] == {"value": [2, 4], "origin": "--workers"}
    assert data["timeout"] == {"value": 30.0, "origin": "default"}


def test_effectiveValues() -> None:
    """
    What follows from other settings is shown as it will be.
    """
    text = settingsAsText(Settings(pidfile="/run/a.pid", detach=True))
    values = {
        line.partition("=")[0].strip(): line.partition("=")[2].split()[0]
        for line in text.splitlines()
        if "=" in line
    }
    assert values["control"] == "unix:/run/a.ctl(600)"
    assert values["errorlog"] == "/dev/null"
    assert int(values["workers"]) >= 1
    assert values["user"] == "none"


def test_listsAndOrigins() -> None:
    """
    The items of a long list stand below each other.
    """
    text = settingsAsText(Settings(listen="80 81"))
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("listen "))
    assert lines[at + 1].strip() == "81"


def test_checkIdentity() -> None:
    """
    A user and a group that do not exist, with their places.
    """
    assert [
        line.partition(";")[0]
        for line in refusal(user="no-such-user", group="no-such-group").splitlines()
    ] == [
        "a.ini:1: user: there is no user 'no-such-user'",
        "a.ini:2: group: there is no group 'no-such-group'",
    ]


def test_checkFolders(tmp_path: Path) -> None:
    """
    Folders that are not there, and files that are folders.
    """
    lines = refusal(
        basedir=f"{tmp_path}/x",
        pidfile=f"{tmp_path}/y/app.pid",
        errorlog=str(tmp_path),
        listen=f"unix:{tmp_path}/z/app.sock",
        pythonpath=f"{tmp_path}/lib",
    ).splitlines()
    assert sorted(lines) == [
        f"a.ini:1: basedir: there is no folder {tmp_path}/x",
        f"a.ini:2: pidfile: there is no folder {tmp_path}/y for {tmp_path}/y/app.pid",
        f"a.ini:3: errorlog: {tmp_path} is a folder, expected a path for a file",
        f"a.ini:4: listen: there is no folder {tmp_path}/z for {tmp_path}/z/app.sock",
        f"a.ini:5: pythonpath: there is no folder {tmp_path}/lib",
    ]
    assert os.listdir(tmp_path) == []


def test_checkFinds(tmp_path: Path) -> None:
    """
    Nothing, when all is well; and nothing is touched.
    """
    made = Settings(pidfile=f"{tmp_path}/a.pid", listen=f"{tmp_path}/a.sock")
    notices = checkSettings(made)
    assert all("root" in one for one in notices)
    assert os.listdir(tmp_path) == []


def test_summary() -> None:
    """
    One sentence says what a start would do.
    """
    assert summary(Settings(workers=1)).endswith("with 1 prefork worker")
    assert summary(Settings(workers="2..8", threads=4)) == (
        "would serve svctree.demo:application over http at tcp:127.0.0.1:8080, with "
        "2 to 8 prefork workers of 4 threads"
    )
    assert "the worker model threaded" in summary(Settings(workermodel="threaded"))
