"""
Sphinx configuration; build with C{sphinx-build -W -b html docs docs/_build/html}.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "svctree"
author = "the svctree authors"
copyright = "the svctree authors"
extensions: list[str] = []
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "svctree"
nitpicky = True
