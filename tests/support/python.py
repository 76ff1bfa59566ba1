"""
Whether other users can run the interpreter of these tests.
"""

from __future__ import annotations

import os
import subprocess
import sys

NOBODY = 65534


def whyNotNobody() -> str:
    """
    @return: why a test cannot become nobody here, or C{""}.
    """
    if os.getuid() != 0:
        return "needs root, to become somebody else"
    try:
        done = subprocess.run(
            [sys.executable, "-c", "import svctree.service"],
            user=NOBODY,
            cwd="/",
            capture_output=True,
        )
    except PermissionError:
        return f"nobody cannot run {sys.executable} (make the venv of /usr/bin/python3)"
    return "nobody cannot import svctree here" if done.returncode else ""
