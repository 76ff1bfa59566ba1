"""
The reference page of the documentation, made from the schema::

    python -m svctree.settings.reference > docs/reference/settings.rst

A test fails while the page in the documentation is another one.
"""

from __future__ import annotations

import sys
import textwrap

from svctree.settings.option import Option, optionsOf
from svctree.settings.schema import Settings

__all__ = ["reference"]

_HEAD = """\
.. Made by python -m svctree.settings.reference; do not edit.

Settings
========

Each option has one name. ``max-requests`` is written

- ``max-requests = 1000`` in the section ``[svctree]`` (or ``[wtf]``) of the
  :doc:`configuration file </howto/configuration-file>`,
- ``SVCTREE_MAX_REQUESTS=1000`` in the environment,
- ``--max-requests 1000`` on the command line of ``svctree`` and, where it applies,
  of ``twistd svctree``,
- ``maxRequests=1000`` as a keyword argument of the service that it belongs to.

The environment overrides the file, a flag overrides both; ``svctree settings`` shows
what is in effect and where it came from.

Sizes are bytes, or take ``k``, ``m`` or ``g`` (powers of 1024). Times are seconds, or
take ``ms``, ``s``, ``m`` or ``h``. Booleans are ``yes`` or ``no`` (also ``on``,
``off``, ``true``, ``false``, ``1``, ``0``); as flags they are ``--preload`` and
``--no-preload``. Lists are separated by white space or new lines, their flags can be
repeated. Relative paths start at the folder of the file, and in flags and in the
environment at the working directory. An empty value means that there is none.
"""

_REQUIRED = "A configuration file must have it."


def reference() -> str:
    """
    @return: the page, as reStructuredText.
    """
    parts = [_HEAD]
    group = ""
    for option in optionsOf(Settings):
        if option.group != group:
            group = option.group
            parts.append(f"\n{group}\n{'-' * len(group)}\n")
        parts.append(_entry(option))
    return "".join(parts)


def _entry(option: Option) -> str:
    lines = [f"\n.. confval:: {option.name}\n"]
    lines.append(f"   :type: {option.kind.expected}\n")
    if option.shown:
        lines.append(f"   :default: {option.shown}\n")
    else:
        rendered = option.render(option.default)
        lines.append(f"   :default: {f'``{rendered}``' if rendered else 'none'}\n")
    text = option.doc[0].upper() + option.doc[1:] + "."
    if option.required:
        text += " " + _REQUIRED
    text = text.replace("*", r"\*")
    return (
        "".join(lines) + "\n" + textwrap.indent(textwrap.fill(text, 84), "   ") + "\n"
    )


if __name__ == "__main__":
    sys.stdout.write(reference())
