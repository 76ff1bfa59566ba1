"""
Tests for L{svctree.pool.models}.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from zope.interface.verify import verifyObject

from svctree.interfaces import IWorkerModel
from svctree.pool import models
from svctree.settings import PoolSettings, SettingsError
from tests.support.processes import BIN, Processes


class Pair(models.Prefork):
    """
    Always two processes.
    """

    name = "pair"

    def processes(self, settings: object) -> tuple[int, int]:
        return 2, 2


@pytest.fixture
def pair() -> Iterator[None]:
    models.register("pair", Pair)
    yield
    del models._models["pair"]


@pytest.mark.parametrize(
    ("name", "options", "processes", "threads", "flags"),
    [
        ("single", {"workers": 9}, (1, 1), 1, (False, False, False)),
        ("threaded", {"maxthreads": 7}, (1, 1), 7, (True, False, False)),
        ("prefork", {"workers": 3}, (3, 3), 1, (False, True, False)),
        ("prefork", {"workers": "2..5", "threads": 4}, (2, 5), 4, (True, True, False)),
        ("once", {}, (1, 1), 1, (False, True, True)),
    ],
)
def test_table(
    name: str,
    options: dict[str, object],
    processes: tuple[int, int],
    threads: int,
    flags: tuple[bool, bool, bool],
) -> None:
    """
    Processes, threads and the application's flags of each model.
    """
    settings = PoolSettings(workermodel=name, **options)
    model = models.model(name)
    assert verifyObject(IWorkerModel, model)
    assert model.processes(settings) == processes
    assert model.threads(settings) == threads
    told = model.flags(settings)
    assert (told["multithread"], told["multiprocess"], told["runOnce"]) == flags
    assert model.inProcess == (name == "once")


def test_register(pair: None) -> None:
    """
    A model that somebody registered can be chosen.
    """
    assert models.model("pair").processes(None) == (2, 2)
    assert PoolSettings(workermodel="pair").workermodel == "pair"


def test_unknown() -> None:
    """
    A model that nobody knows is refused, with those that there are.
    """
    with pytest.raises(SettingsError, match=r"single.*threaded.*prefork.*once"):
        PoolSettings(workermodel="sextet")
    with pytest.raises(KeyError):
        models.model("sextet")


PLUGIN = """
from zope.interface import implementer
from twisted.plugin import IPlugin
from svctree.interfaces import IWorkerModel
from svctree.pool.models import Prefork

@implementer(IPlugin, IWorkerModel)
class Trio(Prefork):
    name = "trio"
    def processes(self, settings):
        return 3, 3

trio = Trio()
"""


def test_plugin(processes: Processes, tmp_path: Path) -> None:
    """
    A model in a Twisted plugin is found by its name.
    """
    plugins = tmp_path / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "trio_plugin.py").write_text(PLUGIN)
    running = processes.start(
        [
            *(BIN / "twistd", "-n", "--pidfile=", "svctree"),
            *("--workermodel=trio", "--listen=tcp:127.0.0.1:0"),
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
    )
    running.waitFor("3 workers serve svctree.demo:application")
    assert running.terminate() == 0
