"""
L{svctree.command.script}.
"""

from __future__ import annotations

from pathlib import Path

from svctree.command.script import withoutQuery

CGI = {"GATEWAY_INTERFACE": "CGI/1.1"}


def test_queryIsNoArgument(tmp_path: Path) -> None:
    """
    The words of a query, which a web server puts behind the name of a CGI script, are
    dropped.
    """
    script = tmp_path / "app.cgi"
    script.write_text("#!/usr/bin/env -S svctree run -c\n[svctree]\n")
    wanted = ["run", "-c", str(script)]
    assert withoutQuery([*wanted, "--application", "os:system"], CGI) == wanted
    assert withoutQuery(wanted, CGI) == wanted


def test_argumentsStay(tmp_path: Path) -> None:
    """
    Outside of a web server, and with a file that is no program, nothing is dropped.
    """
    script = tmp_path / "app.cgi"
    script.write_text("#!/usr/bin/env -S svctree run -c\n")
    plain = tmp_path / "app.ini"
    plain.write_text("[svctree]\n")
    arguments = ["run", "-c", str(script), "--mount", "/x"]
    assert withoutQuery(arguments, {}) == arguments
    arguments[2] = str(plain)
    assert withoutQuery(arguments, CGI) == arguments
    arguments[2] = str(tmp_path / "none")
    assert withoutQuery(arguments, CGI) == arguments
    assert withoutQuery(["run", "-c"], CGI) == ["run", "-c"]
