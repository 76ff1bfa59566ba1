"""
The page of the tree's names.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from svctree import service, tree
from svctree.tree import errors, events

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "tree.rst"

EVENTS = {name for name in events.__all__ if isinstance(getattr(events, name), type)}


@pytest.mark.parametrize(
    "name", sorted({*service.__all__, *tree.__all__, *errors.__all__, *EVENTS})
)
def test_named(name: str) -> None:
    """
    Every public name is on the page.
    """
    text = PAGE.read_text("utf-8")
    assert f"``{name}``" in text or f"``{name}(" in text
