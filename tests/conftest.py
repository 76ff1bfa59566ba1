from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.processes import Processes


@pytest.fixture
def processes() -> Iterator[Processes]:
    """
    Starts real processes; whatever is left of them at the end is killed.
    """
    made = Processes()
    yield made
    list(made.close())
