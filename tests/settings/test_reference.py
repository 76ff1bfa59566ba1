from __future__ import annotations

from pathlib import Path

from svctree.settings import Settings, optionsOf
from svctree.settings.option import GROUPS
from svctree.settings.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.rst"


def test_inStep() -> None:
    """
    The page of the documentation is what the schema says; otherwise make it again:
    python -m svctree.settings.reference > docs/reference/settings.rst
    """
    assert PAGE.read_text() == reference()


def test_everyOption() -> None:
    """
    Every group has one section, every option its entry.
    """
    page = reference()
    for group in GROUPS:
        assert page.count(f"\n{group}\n---") == 1
    for option in optionsOf(Settings):
        assert f".. confval:: {option.name}\n" in page
