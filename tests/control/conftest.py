"""
Daemons for the tests of this folder.
"""

from __future__ import annotations

from tests.process.conftest import daemon

__all__ = ["daemon"]
