"""
Twisted's own tests, unchanged, with C{svctree.service} in the place of
C{twisted.application.service}.

The tests ship in Twisted's wheel. They run twice, each time in a process of their
own: once as they are and once with every name that
C{twisted.application.service} exports replaced by ours before any module that
uses them is imported, so that C{TimerService}, C{ProcessMonitor}, C{twistd}'s
application support and the tap makers are built on our classes.

Three things make the comparison fail::

    regression  fails with the replacement, passes without it, and is not listed
                in repairs.txt
    baseline    fails without the replacement, and is not listed in baseline.txt
    stale       is listed in one of the two files, and does not fail there

Run it by hand with C{python tests/compat/run_twisted_tests.py}; pytest runs it
through C{tests/compat/test_twisted_tests.py}.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent

REQUIRED = (
    "twisted.application.test.test_internet",
    "twisted.application.test.test_service",
    "twisted.runner.test.test_procmon",
    "twisted.runner.test.test_procmontap",
    "twisted.test.test_application",
    "twisted.test.test_twistd",
)
"""In every supported Twisted: one that is gone must be noticed, not skipped."""

WELCOME = (
    "twisted.application.runner.test.test_runner",
    "twisted.application.twist.test.test_options",
    "twisted.application.twist.test.test_twist",
    "twisted.conch.test.test_manhole_tap",
    "twisted.conch.test.test_tap",
    "twisted.mail.test.test_mail",
    "twisted.mail.test.test_options",
    "twisted.names.test.test_examples",
    "twisted.names.test.test_names",
    "twisted.names.test.test_tap",
    "twisted.runner.test.test_inetdconf",
    "twisted.test.test_ftp_options",
    "twisted.test.test_plugin",
    "twisted.test.test_sob",
    "twisted.test.test_strports",
    "twisted.web.test.test_tap",
    "twisted.words.test.test_jabbercomponent",
    "twisted.words.test.test_jabberjstrports",
    "twisted.words.test.test_tap",
    "twisted.words.test.test_xmpproutertap",
)
"""Everything else in the wheel that builds or runs services."""


@dataclass
class Outcome:
    """
    What one run of Twisted's tests came to.

    @ivar ran: how many tests ran.
    @ivar failed: the last line of each failure, by test id.
    """

    ran: int = 0
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Known:
    """
    A line of C{baseline.txt} or C{repairs.txt}: C{TEST  when CONDITION: REASON}.
    """

    test: str
    condition: str
    reason: str

    def applies(self) -> bool:
        """
        @return: whether the entry is meant for this machine.
        """
        kind, _, argument = self.condition.partition(" ")
        if kind == "always":
            return True
        if kind == "root":
            return os.getuid() == 0
        if kind == "without":
            return importlib.util.find_spec(argument) is None
        raise ValueError(
            f"{self.test}: condition {self.condition!r} is unknown, "
            "expected: always, root, without MODULE"
        )


def readKnown(path: Path) -> dict[str, Known]:
    """
    @return: the entries of a recorded list that apply here, by test id.
    """
    found = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        test, foundWhen, rest = line.partition(" when ")
        condition, foundColon, reason = rest.partition(": ")
        if not (foundWhen and foundColon and reason.strip()):
            raise ValueError(
                f"{path.name}:{number}: expected TEST when CONDITION: REASON"
            )
        entry = Known(test.strip(), condition.strip(), reason.strip())
        if entry.applies():
            found[entry.test] = entry
    return found


def modules() -> list[str]:
    """
    @return: the test modules that the installed Twisted has.
    @raise SystemExit: a required one is missing.
    """
    missing = [name for name in REQUIRED if not _exists(name)]
    if missing:
        raise SystemExit(f"Twisted no longer ships {', '.join(missing)}")
    return sorted([*REQUIRED, *(name for name in WELCOME if _exists(name))])


def _exists(name: str) -> bool:
    # Located without importing: an import here would be too early for the
    # replacement.
    root = importlib.util.find_spec("twisted")
    assert root is not None and root.origin is not None
    relative = Path(*name.split(".")[1:])
    return (Path(root.origin).parent / relative).with_suffix(".py").exists()


def replace() -> None:
    """
    Put svctree's names in the place of Twisted's.

    @raise SystemExit: an interface is a copy instead of Twisted's own object, or
        the replacement did not take.
    """
    original = importlib.import_module("twisted.application.service")
    ours = importlib.import_module("svctree.service")
    for name in original.__all__:
        theirs, replacement = getattr(original, name), getattr(ours, name)
        if name.startswith("I") and theirs is not replacement:
            raise SystemExit(f"svctree.service.{name} is not Twisted's own object")
        setattr(original, name, replacement)
    # What svctree itself imported on the way (internet, ...) is bound to the old
    # classes: let it be imported again, upon ours.
    for name in [name for name in sys.modules if _usesServices(name)]:
        del sys.modules[name]
    internet = importlib.import_module("twisted.application.internet")
    if not issubclass(internet.TimerService, ours.Service):
        raise SystemExit("the replacement did not reach twisted.application.internet")


def _usesServices(name: str) -> bool:
    if not name.startswith(("twisted.application.", "twisted.runner.")):
        return False
    return name not in ("twisted.application.service", "twisted.application.reactors")


def child(replaced: bool, names: Iterable[str], report: Path) -> None:
    """
    Run the tests in this process and leave an L{Outcome} as JSON in C{report}.
    """
    if replaced:
        replace()
    from twisted.trial import reporter, runner

    outcome = Outcome()
    made: list[reporter.TestResult] = []

    def makeResult(*args: object, **keywords: object) -> reporter.TestResult:
        made.append(reporter.TestResult())
        return made[-1]

    suite = runner.TestLoader().loadByNames(list(names), recurse=True)
    runner.TrialRunner(makeResult, workingDirectory="_trial_temp").run(suite)
    for result in made:
        outcome.ran += result.testsRun
        for test, problem in [*result.failures, *result.errors]:
            outcome.failed[test.id()] = _lastLine(problem)
        for test, *_ in result.unexpectedSuccesses:
            outcome.failed[test.id()] = "unexpected success"
    report.write_text(json.dumps({"ran": outcome.ran, "failed": outcome.failed}))


def _lastLine(problem: object) -> str:
    text = getattr(problem, "getErrorMessage", lambda: str(problem))()
    return " ".join(str(text).split())[:300]


def spawn(replaced: bool, names: Iterable[str], directory: Path) -> Outcome:
    """
    Run C{names} in a process of their own, with or without the replacement.

    @raise SystemExit: that process did not leave a report.
    """
    kind = "replaced" if replaced else "plain"
    work = directory / kind
    work.mkdir()
    report = work / "report.json"
    # The tests of today's Twisted warn on today's Python; that is not our subject.
    environment = dict(os.environ, PYTHONWARNINGS="default")
    done = subprocess.run(
        [sys.executable, __file__, "--child", kind, "--report", str(report), *names],
        cwd=work,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    if not report.exists():
        raise SystemExit(f"the {kind} run ended early:\n{done.stdout[-4000:]}")
    return Outcome(**json.loads(report.read_text()))


def compare(
    plain: Outcome,
    replaced: Outcome,
    baseline: dict[str, Known],
    repairs: dict[str, Known],
) -> list[str]:
    """
    @return: one line for each thing that is not as recorded; empty when all is
        well.
    """
    problems = []
    for test, why in sorted(replaced.failed.items()):
        if test not in plain.failed and test not in repairs:
            problems.append(f"regression: {test}: {why}")
    for test, why in sorted(plain.failed.items()):
        if test not in baseline:
            problems.append(f"baseline: {test} also fails in plain Twisted: {why}")
    problems += [
        f"stale: {test} is in baseline.txt but does not fail in plain Twisted"
        for test in sorted(baseline)
        if test not in plain.failed
    ]
    problems += [
        f"stale: {test} is in repairs.txt but does not fail with the replacement"
        for test in sorted(repairs)
        if test not in replaced.failed
    ]
    if replaced.ran != plain.ran:
        problems.append(
            f"ran {replaced.ran} tests with the replacement, not the "
            f"{plain.ran} that run without it"
        )
    return problems


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--child", choices=["plain", "replaced"])
    parser.add_argument("--report", type=Path)
    parser.add_argument("modules", nargs="*", help="default: all that exist")
    options = parser.parse_args(arguments)
    if options.child:
        child(options.child == "replaced", options.modules, options.report)
        return 0
    names = options.modules or modules()
    with tempfile.TemporaryDirectory(prefix="svctree-compat-") as directory:
        plain = spawn(False, names, Path(directory))
        replaced = spawn(True, names, Path(directory))
    whole = not options.modules
    problems = compare(
        plain,
        replaced,
        readKnown(HERE / "baseline.txt") if whole else {},
        readKnown(HERE / "repairs.txt") if whole else {},
    )
    print(
        f"{plain.ran} tests of {len(names)} modules: {len(plain.failed)} fail in "
        f"plain Twisted, {len(replaced.failed)} with svctree.service in its place"
    )
    print("\n".join(problems) if problems else "all as recorded")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
