"""
The kinds of values that options have: from text, from Python, and back to text.

Every kind is idempotent: C{fromValue(fromValue(x)) == fromValue(x)}, also after a
passage through JSON, which turns tuples into lists.
"""

from svctree.settings.kinds.base import Kind
from svctree.settings.kinds.lists import Assignments, ImportName, ImportNames
from svctree.settings.kinds.numbers import (
    Boolean,
    Integer,
    Percent,
    Seconds,
    Size,
    WorkerRange,
)
from svctree.settings.kinds.places import (
    Address,
    Addresses,
    Path,
    Paths,
    Peers,
    anchorAddress,
)
from svctree.settings.kinds.words import (
    AccessFormat,
    Choice,
    Identity,
    Mount,
    Text,
    Umask,
)

__all__ = [
    "AccessFormat",
    "Address",
    "Addresses",
    "Assignments",
    "Boolean",
    "Choice",
    "Identity",
    "ImportName",
    "ImportNames",
    "Integer",
    "Kind",
    "Mount",
    "Path",
    "Paths",
    "Peers",
    "Percent",
    "Seconds",
    "Size",
    "Text",
    "Umask",
    "WorkerRange",
    "anchorAddress",
]
