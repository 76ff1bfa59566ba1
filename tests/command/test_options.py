from __future__ import annotations

from pathlib import Path

import pytest

from svctree.command import COMMANDS, CommandOptions
from svctree.settings import SettingsError
from svctree.settings.flags import FlagError


def parsed(*arguments: str) -> CommandOptions:
    options = CommandOptions()
    options.parseOptions(arguments)
    return options


def refusal(*arguments: str) -> str:
    with pytest.raises(FlagError) as caught:
        parsed(*arguments)
    return str(caught.value)


def test_anyOrder() -> None:
    """
    Flags may stand before and behind the command.
    """
    for arguments in (
        ["-c", "a.ini", "stop", "--no-wait"],
        ["stop", "--no-wait", "--config", "a.ini"],
    ):
        options = parsed(*arguments)
        assert options.command == "stop"
        assert options.config == "a.ini"
        assert options.noWait


def test_arguments() -> None:
    """
    C{run} and its like take an application, C{scale} a number, the others nothing.
    """
    assert parsed("run", "shop:app").settings.application == "shop:app"
    assert parsed("scale", "4").count == 4
    for wrong in ([], ["x"], ["-3"], ["1", "2"]):
        refusal("scale", *wrong)
    assert refusal("stop", "now") == "stop takes no argument, got 'now'"
    assert "expected one application" in refusal("run", "a:b", "c:d")


def test_unknownCommand() -> None:
    """
    An unknown command is refused with the nearest one; an application without a
    command with the command to serve it; and none at all with what to do.
    """
    assert refusal("strat") == "unknown command strat; did you mean start?"
    assert refusal("shop:app").endswith("to serve it: svctree run shop:app")
    assert refusal("xyzzy").endswith(f"expected one of {', '.join(COMMANDS)}")
    assert refusal().startswith("a command is missing; svctree --help")
    assert (
        refusal("--wrkers", "run") == "unknown flag --wrkers; did you mean --workers?"
    )


def test_settings(tmp_path: Path) -> None:
    """
    The file is read when the settings are asked for; a broken one is salvaged.
    """
    file = tmp_path / "a.ini"
    file.write_text("[svctree]\npidfile = p\ntimeout = soon\n")
    options = parsed("-c", str(file), "stop")
    with pytest.raises(SettingsError, match="timeout: got 'soon'"):
        _ = options.settings
    settings, error = options.salvagedSettings
    assert settings.pidfile == f"{tmp_path}/p"
    assert error is not None
    settings, error = parsed("stop", "--pidfile", "/p").salvagedSettings
    assert (settings.pidfile, error) == ("/p", None)
    with pytest.raises(SettingsError, match="No such file"):
        _ = parsed("-c", "/nowhere/a.ini", "stop").salvagedSettings


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """
    C{--help} has the commands first, then every flag.
    """
    for flag in ("--help", "-h"):
        with pytest.raises(SystemExit) as caught:
            parsed(flag)
        assert not caught.value.code
        text = capsys.readouterr().out
        assert text.startswith("Usage: svctree [options] COMMAND")
        assert text.index("logreopen") < text.index("--pidfile") < text.index("--json")
        assert max(len(line) for line in text.splitlines()) <= 100
