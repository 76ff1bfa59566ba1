from __future__ import annotations

import os
from pathlib import Path

import pytest
from twisted.python import usage

from svctree.settings import Settings, optionsOf
from svctree.settings.usageflags import SettingsOptions


class Options(SettingsOptions):
    notHere = {"pidfile": "twistd has its own: twistd --pidfile=FILE svctree"}
    optParameters = [["colour", "c", "blue", "of the shed"]]


def parsed(*arguments: str) -> Options:
    options = Options()
    options.parseOptions(arguments)
    return options


def refusal(*arguments: str) -> str:
    with pytest.raises(usage.UsageError) as caught:
        parsed(*arguments)
    return str(caught.value)


def test_flags() -> None:
    """
    Flags become settings, with their origin; relative paths start at the working
    directory; the application is the argument, anywhere.
    """
    options = parsed("--listen", "80", "shop:app", "--listen=x.sock", "--workers=2..4")
    settings = options.settings
    assert settings.listen == ("80", "unix:" + os.path.abspath("x.sock"))
    assert settings.workers == (2, 4)
    assert settings.application == "shop:app"
    assert settings.origins["workers"] == "--workers"
    assert options["workers"] == "2..4"


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--no-preload", False),
        ("--preload=no", False),
        ("--preload=on", True),
        ("--preload", True),
    ],
)
def test_booleans(flag: str, value: bool) -> None:
    """
    A boolean option is a flag, its opposite has C{no-}, and C{=} is understood too.
    """
    assert parsed(flag).settings.preload is value


def test_ownOptions() -> None:
    """
    A plugin's own options work beside those of the schema.
    """
    assert parsed()["colour"] == "blue"
    assert parsed("-c", "red", "shop:app")["colour"] == "red"
    assert parsed("--colour=red").settings == parsed().settings


def test_unknownFlag() -> None:
    """
    An unknown flag is refused with the nearest one.
    """
    assert refusal("--wrkers", "3") == "unknown flag --wrkers; did you mean --workers?"
    assert refusal("-q") == "unknown flag -q; --help shows them all"
    assert refusal("--no-workers").startswith("unknown flag --no-workers")


def test_flagOfAnotherPlace() -> None:
    """
    An option that belongs to somebody else here says to whom.
    """
    assert refusal("--pidfile=x").endswith("twistd --pidfile=FILE svctree")
    assert refusal("--application=a:b") == (
        "unknown flag --application; the application is the argument MODULE:NAME"
    )


def test_badValues() -> None:
    """
    Values are checked while the flags are parsed, all at once.
    """
    lines = refusal("--workers=x", "--timeout=soon", "a:b").splitlines()
    assert [line.partition(":")[0] for line in lines] == ["--workers", "--timeout"]
    assert refusal("--preload=3") == "--preload: got '3', expected yes or no"
    assert refusal("shop").startswith("application: got 'shop', expected module:name")


def test_shapes() -> None:
    """
    A missing value, a superfluous one, an abbreviation with two meanings, two
    applications.
    """
    assert refusal("--timeout").startswith("--timeout needs a value: a time")
    assert refusal("--version=3") == "--version takes no value"
    assert " or --minspare" not in refusal("--limit-request", "3")
    assert "could be --limit-request-line or" in refusal("--limit-request", "3")
    assert "expected one application" in refusal("a:b", "c:d")


def test_usageAfterError() -> None:
    """
    After an error the usage is one line, so that the error stays in sight.
    """
    options = Options()
    with pytest.raises(usage.UsageError):
        options.parseOptions(["--wrkers"])
    assert options.getUsage() == "--help shows the options\n"


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """
    C{--help} has every flag with its default, and fits the terminal.
    """
    with pytest.raises(SystemExit):
        parsed("--help")
    text = capsys.readouterr().out
    for option in optionsOf(Settings):
        if option.name not in ("application", "pidfile"):
            assert option.name in text
    assert "--pidfile" not in text
    assert "--colour" in text
    assert "[WEB_CONCURRENCY, else the" in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """
    C{--version} is svctree's.
    """
    with pytest.raises(SystemExit):
        parsed("--version")
    assert capsys.readouterr().out.startswith("svctree ")


def test_file(tmp_path: Path) -> None:
    """
    L{SettingsOptions.loadSettings} puts a file below the flags.
    """
    file = tmp_path / "a.ini"
    file.write_text(
        "[svctree]\nprotocol=http\ndetach=no\nlisten=80\npidfile=p\n"
        "workermodel=prefork\nworkers=2\nthreads=2\n"
    )
    settings = parsed("--workers=3").loadSettings(str(file))
    assert (settings.workers, settings.threads) == ((3, 3), 2)
