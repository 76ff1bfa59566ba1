from __future__ import annotations

import copy
from pathlib import Path

import pytest

from svctree.settings import SettingsError, readConfiguration

TEXT = """\
[wtf]
protocol = http
detach = no
listen = 80
pidfile = p
workermodel = prefork
umask = 022
max-requests = 7
[app]
colour = blue
"""


def test_mannerOfTheSeed(tmp_path: Path) -> None:
    """
    C{config.ROOT}, C{config.wtf(name, default)}, C{name in config.wtf},
    C{config.wtf.name}, and the same under C{config.svctree}.
    """
    path = tmp_path / "app.ini"
    path.write_text(TEXT)
    config = readConfiguration(str(path))
    assert str(tmp_path) == config.ROOT
    for section in (config.wtf, config.svctree):
        assert section("mode", "daemon") == "daemon"
        assert section("mode") is None
        assert section("umask", "0") == "022"
        assert "umask" in section
        assert "user" not in section
        assert section.umask == section["umask"] == "022"
        assert section.max_requests == "7"
        assert len(section) == len(list(section)) == 7
    assert config.app.colour == "blue"
    assert "app" in config
    assert config.settings(environ={}).umask == 0o22
    assert copy.copy(config).ROOT == config.ROOT


def test_missing(tmp_path: Path) -> None:
    """
    What is not there is an C{AttributeError} that names the nearest.
    """
    path = tmp_path / "app.ini"
    path.write_text(TEXT)
    config = readConfiguration(str(path))
    with pytest.raises(AttributeError, match="did you mean umask"):
        _ = config.wtf.umsk
    with pytest.raises(AttributeError, match=r"no section \[other\]"):
        _ = config.other


def test_broken(tmp_path: Path) -> None:
    """
    A file that is not understood is refused at once.
    """
    path = tmp_path / "app.ini"
    path.write_text("what\n")
    with pytest.raises(SettingsError, match="expected option = value"):
        readConfiguration(str(path))
