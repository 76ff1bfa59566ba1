"""
Print a command of README.rst, so that what is checked is what is written.

Usage: readme_command.py NAME
"""

import re
import sys
from pathlib import Path


def command(name: str) -> str:
    """
    @return: the command in the code block that is called C{name}.
    """
    text = (Path(__file__).parent.parent / "README.rst").read_text()
    block = re.search(rf":name: {name}\n\n((?:   .*\n)+)", text)
    if block is None:
        raise SystemExit(f"README.rst has no code block named {name!r}")
    lines = [line.strip() for line in block[1].splitlines()]
    return "\n".join(line.removeprefix("$ ") for line in lines)


if __name__ == "__main__":
    sys.stdout.write(command(sys.argv[1]) + "\n")
