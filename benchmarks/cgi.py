"""
Processor time of a CGI request, which is that of a whole process, beside Python's own
start and C{wsgiref}'s handler with the same application, in one run.

C{python -m benchmarks cgi [--rounds N]}

They take turns; what is printed are the medians. The first round, in which modules are
compiled, does not count.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks import _peers as peers

HANDLER = (
    "from wsgiref.handlers import CGIHandler; "
    "from benchmarks._applications import hello; CGIHandler().run(hello)"
)

VARIABLES = {
    "GATEWAY_INTERFACE": "CGI/1.1",
    "PATH_INFO": "/",
    "QUERY_STRING": "",
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
}


def contestants() -> dict[str, list[str]]:
    """
    @return: by name, what is run for each request.
    """
    svctree = str(Path(sys.executable).parent / "svctree")
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import wsgiref.handlers": [sys.executable, "-c", "import wsgiref.handlers"],
        "wsgiref's CGIHandler": [sys.executable, "-c", HANDLER],
        "svctree": [
            *(svctree, "run", "--protocol", "cgi", "--workermodel", "once"),
            *("--loglevel", "error", "--basedir", str(peers.ROOT)),
            "benchmarks._applications:hello",
        ],
    }


def used(argv: list[str]) -> float:
    """
    @return: milliseconds of processor time from the start of a process to its end.
    """
    environment = {**os.environ, **VARIABLES, "PYTHONPATH": str(peers.ROOT)}
    # Without the compiled modules that any installation has, compiling is all there is.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        argv,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent * 1000


def main(arguments: list[str]) -> int:
    """
    @return: 0.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks cgi")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args(arguments)
    commands = contestants()
    spent: dict[str, list[float]] = {who: [] for who in commands}
    for number in range(options.rounds + 1):
        for who, argv in commands.items():
            time = used(argv)
            if number:
                spent[who].append(time)
    print("processor time of a process for one request, milliseconds")
    for who, times in spent.items():
        print(f"{who:24} {statistics.median(times):6.1f}")
    return 0
