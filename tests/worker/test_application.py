"""
Tests for L{svctree.worker.application}.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from svctree.worker.application import ApplicationError, loadApplication


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """
    A folder on sys.path with modules good and bad.
    """
    (tmp_path / "goodsite.py").write_text(
        "class Box:\n"
        "    @staticmethod\n"
        "    def inner(environ, start_response): return []\n"
        "def application(environ, start_response): return []\n"
        "def factory(): return application\n"
        "def brokenFactory(): raise ValueError('no database')\n"
        "def uselessFactory(): return 7\n"
        "number = 5\n"
    )
    (tmp_path / "raising.py").write_text("1 / 0\n")
    (tmp_path / "leaving.py").write_text("import sys; sys.exit('enough')\n")
    (tmp_path / "needy.py").write_text("import nowheretobefound\n")
    package = tmp_path / "goodpackage"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "wsgi.py").write_text("def application(e, s): return []\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("goodsite", "raising", "leaving", "needy", "goodpackage"):
        sys.modules.pop(name, None)
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        "goodsite:application",
        "goodsite.application",
        "goodsite",
        "goodsite:",
        "goodsite:factory()",
        "goodsite:Box.inner",
        "goodpackage.wsgi:application",
        "goodpackage.wsgi.application",
    ],
)
def test_found(site: Path, name: str) -> None:
    """
    Every spelling of a name gives the callable.
    """
    assert loadApplication(name)({}, None) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("goodsit:application", "no module 'goodsit'; the nearest is 'goodsite'"),
        ("goodpackage.wsgy:x", "no module 'goodpackage.wsgy'; the nearest is 'wsgi'"),
        ("goodsite:aplication", "no attribute 'aplication'; the nearest is 'appl"),
        ("goodsite:Box.iner", "'goodsite.Box' has no attribute 'iner'"),
        ("goodsite:number", "is of type int, expected a WSGI callable"),
        ("goodsite:uselessFactory()", "factory returned int, expected a WSGI"),
        ("not a name", "expected module:name"),
    ],
)
def test_notFound(site: Path, name: str, words: str) -> None:
    """
    What is not found is named in one line with the nearest existing name, and
    without a traceback.
    """
    with pytest.raises(ApplicationError) as caught:
        loadApplication(name)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.details == ""


@pytest.mark.parametrize(
    ("name", "words", "details"),
    [
        ("raising:application", "raised ZeroDivisionError", "1 / 0"),
        ("leaving:application", "raised SystemExit: enough", "sys.exit"),
        ("needy:application", "No module named 'nowheretobefound'", "import nowhere"),
        ("goodsite:brokenFactory()", "raised ValueError: no database", "brokenFactory"),
    ],
)
def test_ownFault(site: Path, name: str, words: str, details: str) -> None:
    """
    When the application's own code fails, its traceback comes along, without our
    frames.
    """
    with pytest.raises(ApplicationError) as caught:
        loadApplication(name)
    assert words in str(caught.value)
    assert details in caught.value.details
    assert "svctree" not in caught.value.details
