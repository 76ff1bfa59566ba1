"""
C{python -m benchmarks NAME [OPTIONS]} runs the benchmark C{benchmarks/NAME.py}, which
has a C{main(arguments) -> exit status}.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

import benchmarks


def names() -> list[str]:
    """
    @return: the benchmarks there are.
    """
    found = (module.name for module in pkgutil.iter_modules(benchmarks.__path__))
    return sorted(name for name in found if not name.startswith("_"))


def main(arguments: list[str]) -> int:
    """
    @return: the exit status of the benchmark; 2 where none is named.
    """
    if not arguments or arguments[0] not in names():
        got = repr(arguments[0]) if arguments else "nothing"
        print(
            f"got {got}, expected the name of a benchmark: {', '.join(names())}",
            file=sys.stderr,
        )
        return 2
    module = importlib.import_module(f"benchmarks.{arguments[0]}")
    return int(module.main(arguments[1:]) or 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
