from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from svctree.settings import Settings, SettingsError, loadSettings

REQUIRED = """\
[wtf]
protocol = scgi
detach = yes
listen = 127.0.0.1:9000 run/app.sock(660)
workermodel = threaded
pidfile = run/app.pid
"""
"""What the seed requires, in lines 2 to 6."""

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """
    Writes a configuration file and gives its path.
    """

    def write(text: str) -> str:
        file = tmp_path / "app.ini"
        file.write_text(text)
        return str(file)

    return write


def refusal(path: str | None = None, **keywords: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        loadSettings(path, **{"environ": {}, **keywords})  # type: ignore[arg-type]
    assert caught.value.exitStatus == 78
    text = str(caught.value)
    return (text.replace(path, "app.ini") if path else text).splitlines()


def test_seedFile(write: Write, tmp_path: Path) -> None:
    """
    A file with a C{[wtf]} section and only the seed's options is understood; its
    relative paths belong to its folder.
    """
    path = write(REQUIRED + "basedir = .\numask = 027\nuser = nobody\nmode = daemon\n")
    settings = loadSettings(path, environ={})
    assert settings.protocol == "scgi"
    assert settings.detach is True
    assert settings.listen == ("127.0.0.1:9000", f"unix:{tmp_path}/run/app.sock(660)")
    assert settings.pidfile == f"{tmp_path}/run/app.pid"
    assert settings.basedir == str(tmp_path)
    assert settings.umask == 0o27
    assert settings.root == str(tmp_path)
    assert settings.pythonpath == (str(tmp_path),)
    assert settings.controlAddress() == f"unix:{tmp_path}/run/app.ctl(600)"
    assert settings.origins["detach"] == f"{path}:3"


def test_layers(write: Write) -> None:
    """
    The environment stands above the file, the flags above both; each origin is kept.
    """
    path = write(REQUIRED + "threads = 2\ntimeout = 2\nbacklog = 2\n")
    settings = loadSettings(
        path,
        environ={"SVCTREE_TIMEOUT": "3", "SVCTREE_BACKLOG": "3"},
        flags=[("backlog", "4"), ("listen", "80"), ("listen", "81")],
    )
    assert (settings.threads, settings.timeout, settings.backlog) == (2, 3.0, 4)
    assert settings.listen == ("80", "81")
    assert settings.origins["threads"] == f"{path}:7"
    assert settings.origins["timeout"] == "SVCTREE_TIMEOUT"
    assert settings.origins["backlog"] == "--backlog"
    assert "workers" not in settings.origins


def test_required(write: Write) -> None:
    """
    In a file the options that the seed requires are required, unless a flag or the
    environment gives them.
    """
    path = write("[wtf]\nprotocol = http\npidfile =\n")
    lines = refusal(path, flags=[("detach", "no")], environ={"SVCTREE_LISTEN": "80"})
    assert lines == [
        "app.ini:3: pidfile: nothing given, expected a path",
        "app.ini: workermodel is missing (how work is shared out); expected one of "
        "single, threaded, prefork, once",
    ]
    assert loadSettings(environ={}) == Settings(
        pythonpath=loadSettings(environ={}).pythonpath
    )


def test_everythingAtOnce(write: Write) -> None:
    """
    The problems of all sources come together, those of the file in its order.
    """
    path = write(
        REQUIRED + "timeot = 3\nworkers = 2 # two\nworkers = 3\nminspare = 9\n"
    )
    assert refusal(
        path,
        environ={"SVCTREE_THREADS": "x", "SVCTREE_WORKRES": "2"},
        flags=[("backlog", "0")],
    ) == [
        "app.ini:7: unknown option timeot; did you mean timeout?",
        "app.ini:8: workers: got '2 # two', expected a number of workers, or "
        "MIN..MAX, such as 4 or 2..8 (a comment needs a line of its own)",
        "app.ini:9: workers is given twice, first in line 8",
        "SVCTREE_THREADS: got 'x', expected a whole number, 1 or more",
        "SVCTREE_WORKRES: unknown variable; did you mean SVCTREE_WORKERS?",
        "--backlog: got 0, expected a whole number, 1 or more",
        "app.ini:10: minspare (9) is more than maxspare (4)",
    ]


def test_foreignVariables() -> None:
    """
    Variables that only begin like ours, as Kubernetes sets them, are left alone.
    """
    environ = {"SVCTREE_PORT": "tcp://10.0.0.1:80", "SVCTREE_SERVICE_HOST": "10.0.0.1"}
    assert loadSettings(environ=environ).origins == {}


def test_emptyMeansNone(write: Write) -> None:
    """
    An empty value says that there is none, over the lower layers.
    """
    path = write(REQUIRED + "user = nobody\nserver-name =\naccesslog = a.log\n")
    settings = loadSettings(path, environ={"SVCTREE_USER": ""})
    assert settings.user is None
    assert settings.serverName == ""
    assert loadSettings(path, environ={}, flags=[("accesslog", "")]).accesslog is None


def test_concurrency(write: Write) -> None:
    """
    WEB_CONCURRENCY is the number of workers where the file gives none.
    """
    environ = {"WEB_CONCURRENCY": "7"}
    assert loadSettings(write(REQUIRED), environ=environ).workers == (7, 7)
    settings = loadSettings(write(REQUIRED + "workers = 2"), environ=environ)
    assert settings.workers == (2, 2)
    assert refusal(environ={"WEB_CONCURRENCY": "lots"})[0].startswith(
        "WEB_CONCURRENCY: workers: got 'lots', expected a number of workers"
    )


def test_relativeToTheFolder(tmp_path: Path) -> None:
    """
    Paths in flags and variables start at the folder that is given.
    """
    settings = loadSettings(
        environ={"SVCTREE_ERRORLOG": "e.log", "SVCTREE_PYTHONPATH": "src lib"},
        flags=[("pidfile", "p"), ("accesslog", "-")],
        folder="/srv",
    )
    assert settings.errorlog == "/srv/e.log"
    assert settings.pythonpath == ("/srv/src", "/srv/lib")
    assert settings.pidfile == "/srv/p"
    assert settings.accesslog == "-"


def test_stdinInTheBackground(write: Write) -> None:
    """
    A contradiction is reported at the place of the option to blame.
    """
    path = write(REQUIRED.replace("127.0.0.1:9000", "stdin"))
    assert refusal(path) == [
        "app.ini:4: stdin needs detach = no: in the background there is no standard "
        "input"
    ]


def test_salvaged(write: Write, tmp_path: Path) -> None:
    """
    The error has what is right nevertheless: a daemon can be found and stopped
    although somebody has broken its file meanwhile.
    """
    path = write(REQUIRED + "timeout = soon\nminspare = 9\nbacklog = 7\n")
    with pytest.raises(SettingsError) as caught:
        loadSettings(path, environ={})
    salvaged = caught.value.salvaged
    assert salvaged.pidfile == f"{tmp_path}/run/app.pid"
    assert (salvaged.timeout, salvaged.minspare, salvaged.backlog) == (30.0, 1, 7)
