from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from zope.interface import implementer
from zope.interface.verify import verifyClass, verifyObject

from svctree import opi

Write = Callable[..., Any]

SEED = """\
[wtf]
protocol = http
mode = {mode}
basedir = .
umask = 027
detach = {detach}
listen = 127.0.0.1:0 run/app.sock(660)
workermodel = threaded
errorlog = error.log
pidfile = app.pid
"""


@implementer(opi.OPIInterface)
class Recorder:
    """
    A third party's mode: notes what it was given and in which surroundings.
    """

    MODE_THREADED, MODE_FORKED, MODE_SINGLE, MODE_ONCE = range(4)
    mode = MODE_SINGLE
    worked = False

    def __init__(self, config: Any, opts: Any, args: Any) -> None:
        self.config = config
        self.given = (config, opts, args)
        self.folder = os.getcwd()
        self.umask = os.umask(0)
        os.umask(self.umask)

    def work(self) -> None:
        self.worked = True


@pytest.fixture
def config(tmp_path: Path) -> Write:
    """
    Writes the seed's configuration file and reads it.
    """

    def write(mode: str = "daemon", detach: str = "yes", more: str = "") -> Any:
        path = tmp_path / "app.ini"
        path.write_text(SEED.format(mode=mode, detach=detach) + more)
        return opi.configuration(str(path))

    return write


@pytest.fixture
def recorder() -> Iterator[None]:
    """
    Registers L{Recorder} as C{recorder}; puts the process' surroundings right again.
    """
    folder, umask = os.getcwd(), os.umask(0)
    os.umask(umask)
    opi.register("recorder", Recorder)
    yield
    del opi.factory.basemodes["recorder"]  # type: ignore[attr-defined]
    os.chdir(folder)
    os.umask(umask)


def test_interface(config: Write) -> None:
    """
    The daemon provides the interface; the running mode follows from the model.
    """
    verifyClass(opi.OPIInterface, opi.Daemon)
    made = opi.factory(config(), None, ["stop"])
    verifyObject(opi.OPIInterface, made)
    assert made.mode == opi.MODE_THREADED == opi.Daemon.MODE_THREADED
    modes = {opi.MODE_THREADED, opi.MODE_FORKED, opi.MODE_SINGLE, opi.MODE_ONCE}
    assert modes == {0, 1, 2, 3}


def test_exitCodes() -> None:
    """
    L{opi.OPIError} ends a process with 1, L{opi.OPIDone} with 0.
    """
    assert (opi.OPIError.exit_code, opi.OPIDone.exit_code) == (1, 0)
    assert opi.OPIDone().exitStatus == 0
    assert issubclass(opi.OPIDone, opi.OPIError)


def test_registeredMode(config: Write, recorder: None, tmp_path: Path) -> None:
    """
    A mode that somebody else registered is selected by C{mode}; it starts in
    C{basedir} under C{umask} and gets what the factory got.
    """
    given = (config("recorder"), object(), ["start"])
    made = opi.factory(*given)
    made.work()
    assert made.worked
    assert made.given == given
    assert made.folder == str(tmp_path)
    assert made.umask == 0o27


def test_surroundingsByDefault(tmp_path: Path, recorder: None) -> None:
    """
    Without C{basedir} and C{umask} it is the root directory and 0.
    """
    path = tmp_path / "app.ini"
    path.write_text("[wtf]\nmode = recorder\n")
    made = opi.factory(opi.configuration(str(path)))
    assert (made.folder, made.umask) == ("/", 0)


def test_inheritedUmask(tmp_path: Path, recorder: None) -> None:
    """
    C{inherit} leaves the mask of the caller.
    """
    os.umask(0o51)
    path = tmp_path / "app.ini"
    path.write_text("[wtf]\nmode = recorder\numask = inherit\n")
    assert opi.factory(opi.configuration(str(path))).umask == 0o51


def test_badSurroundings(tmp_path: Path, recorder: None) -> None:
    """
    A folder that is not there and a mask that is none are errors in one line.
    """
    path = tmp_path / "app.ini"
    path.write_text("[wtf]\nmode = recorder\nbasedir = nowhere\n")
    with pytest.raises(opi.OPIError, match=f"cannot enter {tmp_path}/nowhere: No such"):
        opi.factory(opi.configuration(str(path)))
    path.write_text("[wtf]\nmode = recorder\numask = 9\n")
    with pytest.raises(opi.OPIError, match="umask: got '9', expected an octal"):
        opi.factory(opi.configuration(str(path)))


def test_unknownMode(config: Write) -> None:
    """
    An unknown mode is refused with the known ones and the nearest.
    """
    with pytest.raises(opi.ConfigurationError) as caught:
        opi.factory(config("deamon"))
    assert str(caught.value).endswith(
        "unknown mode 'deamon', expected one of daemon; did you mean daemon?"
    )


def test_badFile(config: Write) -> None:
    """
    The daemon's settings are checked before anything is done.
    """
    with pytest.raises(opi.ConfigurationError, match="did you mean workers"):
        opi.factory(config(more="worker = 3\n"), None, ["start"])


def test_commandIsNeeded(config: Write) -> None:
    """
    With C{detach = yes} the last argument is a command; with C{no} it is not read.
    """
    with pytest.raises(opi.OPIError, match="expected one of start, stop, logrotate"):
        opi.factory(config())
    with pytest.raises(opi.OPIError, match="did you mean start"):
        opi.factory(config(), None, ["strat"])
    opi.factory(config(detach="no"), None, ["whatever"])


def test_stopWithNoneRunning(config: Write) -> None:
    """
    Stopping when none runs is no failure.
    """
    with pytest.raises(opi.OPIDone):
        opi.factory(config(), None, ["stop"]).work()


def test_logrotateWithNoneRunning(config: Write) -> None:
    """
    Rotating the logs of none is one, with the status of the command.
    """
    with pytest.raises(opi.OPIError, match="not running") as caught:
        opi.factory(config(), None, ["logrotate"]).work()
    assert caught.value.exit_code == 7


def test_lightWeight() -> None:
    """
    Importing the door brings no reactor into the process, which has to fork.
    """
    code = "import sys, svctree.opi; print('twisted.internet.reactor' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
