"""
How an option is declared: one L{attrs.field}, from which everything else follows.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, TypeVar

import attrs

from svctree.settings.kinds import Kind
from svctree.settings.problems import BadValue, Problem, SettingsError, nearest

__all__ = ["Group", "Option", "option", "optionsOf", "place"]

GROUPS = ("What runs", "Process", "Listening", "Workers", "Requests", "Watching")
"""The titles of the groups, in the order in which people read about them."""

_KEY = "svctree.option"
_count = itertools.count()

GroupT = TypeVar("GroupT", bound="Group")


class Option:
    """
    One option.

    @ivar name: as in the file and on the command line, e.g. C{max-requests}.
    @ivar keyword: as a keyword argument and attribute, e.g. C{maxRequests}.
    @ivar variable: as an environment variable, e.g. C{SVCTREE_MAX_REQUESTS}.
    @ivar group: the title of its group, e.g. C{Workers}.
    @ivar kind: how its value is written.
    @ivar default: its value when it is not given.
    @ivar shown: the default in words, where the value does not say it.
    @ivar doc: what it means, in one sentence without a full stop.
    @ivar seed: whether it is binding that a file with C{[wtf]} means the same.
    @ivar required: whether a configuration file must have it.
    @ivar late: whether it stands behind the others of its group.
    """

    __slots__ = (
        "default",
        "doc",
        "group",
        "keyword",
        "kind",
        "late",
        "name",
        "order",
        "required",
        "seed",
        "shown",
        "variable",
    )

    def __init__(
        self,
        group: str,
        kind: Kind[Any],
        default: object,
        doc: str,
        shown: str = "",
        seed: bool = False,
        required: bool = False,
        late: bool = False,
    ) -> None:
        self.group = group
        self.kind = kind
        self.default = default
        self.doc = doc
        self.shown = shown
        self.seed = seed
        self.required = required
        self.late = late
        self.order = next(_count)
        self.keyword = self.name = self.variable = ""

    def baptise(self, keyword: str) -> None:
        """
        Take the names that follow from the attribute's.
        """
        self.keyword = keyword
        self.name = re.sub(r"(?<=[a-z])[A-Z]", r"-\g<0>", keyword).lower()
        self.variable = "SVCTREE_" + self.name.replace("-", "_").upper()

    def isUnset(self, value: object) -> bool:
        """
        @return: whether C{value} stands for "not given".
        """
        return value is None and self.default is None

    def convert(self, value: object) -> object:
        """
        @param value: a keyword argument.
        @raise BadValue: it is none for this option.
        """
        return value if self.isUnset(value) else self.kind.fromValue(value)

    def render(self, value: object) -> str:
        """
        @return: C{value} as one would write it in the file; C{""} when unset.
        """
        return "" if self.isUnset(value) else self.kind.toText(value)


def option(
    group: str,
    kind: Kind[Any],
    default: object,
    doc: str,
    shown: str = "",
    seed: bool = False,
    required: bool = False,
    late: bool = False,
) -> Any:
    """
    Declare an attribute of a L{Group}; see L{Option}.
    """
    made = Option(group, kind, default, doc, shown, seed, required, late)
    if isinstance(default, dict):
        return attrs.field(factory=dict, metadata={_KEY: made})
    return attrs.field(default=default, metadata={_KEY: made})


def optionsOf(group: type[Group]) -> list[Option]:
    """
    @return: the options of a group and of those it is made of, in the order of
        the schema.
    """
    return sorted(_table(group).values(), key=_position)


def _position(option: Option) -> tuple[int, bool, int]:
    return GROUPS.index(option.group), option.late, option.order


def _table(group: type[Group]) -> dict[str, Option]:
    table: dict[str, Option] = group.__dict__.get("_svctreeOptions", {})
    if not table:
        for attribute in attrs.fields(group):
            found: Option | None = attribute.metadata.get(_KEY)
            if found is not None:
                if not found.keyword:
                    found.baptise(attribute.name)
                table[attribute.name] = found
        group._svctreeOptions = table
    return table


def place(keyword: str) -> str:
    """
    @return: where a keyword argument's problem is said to be.
    """
    return f"keyword {keyword}"


# Comparing and showing are written once, below: attrs would write and compile them for
# each group, which takes a third of the time that it takes to load the schema.
@attrs.frozen(kw_only=True, init=False, slots=False, eq=False, repr=False)
class Group:
    """
    Options that belong together, as attributes of an immutable object.
    """

    _svctreeOptions: ClassVar[dict[str, Option]] = {}

    def __init__(self, **keywords: object) -> None:
        """
        @param keywords: values by attribute name, text (as in the file) or native.
        @raise SettingsError: with everything that is wrong.
        """
        values, problems = self._converted(keywords)
        problems += [
            Problem(place(keyword), message)
            for keyword, message in self.contradictions(values)
        ]
        if problems:
            raise SettingsError(problems)
        self.__attrs_init__(**values)  # type: ignore[attr-defined]

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(
            getattr(self, one.name) == getattr(other, one.name)
            for one in attrs.fields(type(self))
            if one.eq
        )

    # Like any mapping.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = (
            f"{one.name}={getattr(self, one.name)!r}"
            for one in attrs.fields(type(self))
            if one.repr
        )
        return f"{type(self).__name__}({', '.join(shown)})"

    def changed(self: GroupT, **keywords: object) -> GroupT:
        """
        @return: the same with other values.
        @raise SettingsError: these cannot be used.
        """
        changes: Any = keywords
        return attrs.evolve(self, **changes)

    @classmethod
    def _converted(
        cls, keywords: Mapping[str, object]
    ) -> tuple[dict[str, object], list[Problem]]:
        table = _table(cls)
        values: dict[str, object] = {}
        problems: list[Problem] = []
        for keyword, value in keywords.items():
            try:
                known = table[keyword]
            except KeyError:
                close = nearest(keyword, table)
                hint = f"; did you mean {close}?" if close else ""
                problems.append(Problem(place(keyword), f"unknown option{hint}"))
                continue
            try:
                values[keyword] = known.convert(value)
            except BadValue as error:
                problems.append(Problem(place(keyword), str(error)))
        return values, problems

    @classmethod
    def contradictions(cls, values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        """
        @param values: what is given, converted.
        @return: problems between options that are each right by themselves, as
            pairs of the keyword to blame and a message.
        """
        table = _table(cls)

        def found(keyword: str) -> Any:
            return values.get(keyword, table[keyword].default)

        # Of each pair the first may not be more than the second.
        for less, more in (("minspare", "maxspare"), ("minspare", "maxthreads")):
            if less in table and found(less) > found(more):
                culprit = less if less in values else more
                message = f"{less} ({found(less)}) is more than {more} ({found(more)})"
                yield culprit, message
