from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from svctree.cli import run
from svctree.settings import loadSettings

LISTINGS = Path(__file__).parents[2] / "docs" / "listings" / "command"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """
    The listings in a folder of their own, with the folders that the text mentions.
    """
    shutil.copytree(LISTINGS, tmp_path, dirs_exist_ok=True)
    for name in ("run", "log", "src", "vendor"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.mark.parametrize("name", ["app", "seed", "bigger"])
def test_fileIsRight(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    C{svctree check} has nothing against the files in the documentation.
    """
    assert run(["-c", str(folder / f"{name}.ini"), "check"]) == 0
    assert "no problems; would serve" in capsys.readouterr().out


def test_biggerFile(folder: Path) -> None:
    """
    The file of the how-to means what the text says.
    """
    settings = loadSettings(str(folder / "bigger.ini"), environ={})
    assert settings.env == {"DJANGO_SETTINGS_MODULE": "shop.settings", "TZ": "UTC"}
    assert settings.pythonpath == (str(folder / "src"), str(folder / "vendor"))
    assert settings.listen[1] == f"unix:{folder}/run/shop.sock(660)"
    assert settings.workers == (2, 8)
    assert settings.maxMemory == 500 << 20
