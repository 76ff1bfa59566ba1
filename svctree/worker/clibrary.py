"""
The C library, for the few things that Python does not offer.
"""

from __future__ import annotations

import contextlib
from typing import Any

__all__ = ["library"]

library: Any = None
"""L{None} where it cannot be had."""

with contextlib.suppress(ImportError, AttributeError, OSError, MemoryError):
    import ctypes

    library = ctypes.CDLL(None)
