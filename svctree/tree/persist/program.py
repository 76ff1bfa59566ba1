"""
An application as a Python program: what one would write into a C{.tac} file by hand.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from keyword import iskeyword

from svctree.tree.description import Reference
from svctree.tree.persist.outline import OutlinedService, outline

__all__ = ["writeProgram"]

_HEAD = """\
# Run it with: twistd -ny FILE
"""


def writeProgram(application: object) -> bytes:
    """
    @param application: what L{svctree.service.Application} returns.
    @return: a program, in UTF-8, that puts an equal one into C{application}.
    @raise CannotDescribe: a service does not say what it is made of.
    """
    found = outline(application)
    modules = {"svctree.service"}
    lines: list[str] = []
    arguments = [repr(found.name)]
    arguments += [f"uid={found.uid}"] * (found.uid is not None)
    arguments += [f"gid={found.gid}"] * (found.gid is not None)
    lines.append(f"application = svctree.service.Application({', '.join(arguments)})")
    if found.processName is not None:
        lines.append(
            f"svctree.service.IProcess(application).processName = {found.processName!r}"
        )
    number = 0
    waiting = [("application", service) for service in reversed(found.children)]
    while waiting:
        parent, service = waiting.pop()
        number += 1
        variable = f"service{number}"
        lines += ["", *_statements(variable, parent, service, modules)]
        waiting.extend((variable, child) for child in reversed(service.children))
    imports = [f"import {module}" for module in sorted(modules)]
    return "\n".join([_HEAD, *imports, "", *lines, ""]).encode("utf-8")


def _statements(
    variable: str, parent: str, service: OutlinedService, modules: set[str]
) -> list[str]:
    made = f"{_expression(service.kind, modules)}({_call(service.settings, modules)})"
    lines = [f"{variable} = {made}"]
    if service.name is not None:
        lines += [
            f"if {variable}.name != {service.name!r}:",
            f"    {variable}.setName({service.name!r})",
        ]
    if service.placement:
        modules.add("svctree.interfaces")
        placed = _call(service.placement, modules)
        lines.append(
            f"svctree.interfaces.IPlacing({parent}).place({variable}, {placed})"
        )
    else:
        lines.append(f"{variable}.setServiceParent({parent})")
    return lines


def _call(keywords: Mapping[str, object], modules: set[str]) -> str:
    if all(name.isidentifier() and not iskeyword(name) for name in keywords):
        return ", ".join(
            f"{name}={_expression(value, modules)}" for name, value in keywords.items()
        )
    return f"**{_expression(dict(keywords), modules)}"


def _expression(value: object, modules: set[str]) -> str:
    if isinstance(value, Reference):
        modules.add(_moduleOf(value))
        return str(value)
    if isinstance(value, float):
        # repr() of infinity and of not-a-number is no expression.
        return f"float({str(value)!r})"
    if isinstance(value, list):
        return f"[{', '.join(_expression(item, modules) for item in value)}]"
    if isinstance(value, tuple):
        return f"({''.join(_expression(item, modules) + ', ' for item in value)})"
    if isinstance(value, dict):
        pairs = (
            f"{key!r}: {_expression(item, modules)}" for key, item in value.items()
        )
        return f"{{{', '.join(pairs)}}}"
    return ascii(value)


def _moduleOf(reference: Reference) -> str:
    parts = reference.split(".")
    for end in range(len(parts) - 1, 0, -1):
        if ".".join(parts[:end]) in sys.modules:
            return ".".join(parts[:end])
    return parts[0]
