"""
Making an application from an XML document.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from twisted.application.service import IProcess, IService, IServiceCollection

from svctree.interfaces import IPlacing
from svctree.tree.description import Reference
from svctree.tree.persist.elements import Element, parse
from svctree.tree.persist.errors import DocumentError
from svctree.tree.persist.values import SCALARS, readScalar

__all__ = ["readDocument"]

_NESTED = ("dict", "list", "tuple")

_DEEPEST_VALUE = 100
"""Levels of lists in lists: reading them is recursive."""


def readDocument(content: bytes, filename: str) -> object:
    """
    @param filename: what to call the document in errors.
    @return: a new application.
    @raise DocumentError: the document does not describe one.
    @raise MissingExtra: C{defusedxml} is not installed.
    """
    return _Reader(filename).application(parse(content, filename))


class _Reader:
    def __init__(self, filename: str) -> None:
        self._filename = filename

    def application(self, top: Element) -> object:
        from svctree.service import Application

        if top.tag != "application":
            raise self._wrong(top, f"got <{top.tag}>, expected <application>")
        self._checkAttributes(top, {"version", "name", "uid", "gid", "processname"})
        if top.attributes.get("version") != "1":
            raise self._wrong(
                top,
                f"version {top.attributes.get('version')!r} is unknown, expected '1'",
            )
        made = Application(
            self._required(top, "name"),
            self._number(top, "uid"),
            self._number(top, "gid"),
        )
        process = IProcess(made)
        if "processname" in top.attributes:
            process.processName = top.attributes["processname"]
        self._checkNoText(top)
        # Not recursive: a tree may be deeper than Python's stack. Parents come before
        # their children, and siblings in order.
        waiting = [
            (IServiceCollection(made), child) for child in reversed(top.children)
        ]
        while waiting:
            parent, element = waiting.pop()
            service, below = self._service(element)
            self._place(parent, service, element)
            if not below:
                continue
            container = IServiceCollection(service, None)
            if container is None:
                raise self._wrong(
                    below[0], f"{element.attributes['class']} takes no services"
                )
            waiting.extend((container, child) for child in reversed(below))
        return made

    def _service(self, element: Element) -> tuple[IService, list[Element]]:
        if element.tag != "service":
            raise self._wrong(element, f"got <{element.tag}>, expected <service>")
        self._checkAttributes(element, {"class", "name"})
        self._checkNoText(element)
        kind = self._class(element)
        keywords = self._keywords(element, {"placement", "service"})
        try:
            service = kind(**keywords)
        except Exception as problem:
            # Any class's own complaint about its settings.
            raise self._wrong(
                element,
                f"{element.attributes['class']} refuses its settings: {problem}",
            ) from problem
        name = element.attributes.get("name")
        if name is not None and service.name != name:
            service.setName(name)
        return service, [child for child in element.children if child.tag == "service"]

    def _class(self, element: Element) -> Callable[..., Any]:
        dotted = self._required(element, "class")
        try:
            found = Reference(dotted).resolve()
        except ValueError as problem:
            raise self._wrong(element, str(problem)) from problem
        if not isinstance(found, type) or not IService.implementedBy(found):
            raise self._wrong(
                element,
                f"{dotted} is no service, expected a class implementing IService",
            )
        return found

    def _place(
        self, parent: IServiceCollection, service: IService, element: Element
    ) -> None:
        placements = [child for child in element.children if child.tag == "placement"]
        if len(placements) > 1:
            raise self._wrong(placements[1], "a second <placement>, expected one")
        try:
            if not placements:
                service.setServiceParent(parent)
                return
            self._checkNoText(placements[0])
            placing = IPlacing(parent, None)
            if placing is None:
                raise self._wrong(placements[0], "the parent places no services")
            placing.place(service, **self._keywords(placements[0], set()))
        except DocumentError:
            raise
        except Exception as problem:
            # The container's own complaint: a name taken twice, a cycle, ...
            raise self._wrong(element, str(problem)) from problem

    def _keywords(
        self, element: Element, besides: Collection[str]
    ) -> dict[str, object]:
        keywords: dict[str, object] = {}
        for child in element.children:
            if child.tag in besides:
                continue
            if child.tag != "setting":
                expected = ", ".join(
                    f"<{tag}>" for tag in sorted({"setting", *besides})
                )
                raise self._wrong(child, f"got <{child.tag}>, expected {expected}")
            name = self._required(child, "name")
            if name in keywords:
                raise self._wrong(child, f"the setting {name} is given twice")
            self._checkAttributes(child, {"name", "type"})
            keywords[name] = self._value(child, 0)
        return keywords

    def _value(self, element: Element, depth: int) -> object:
        kind = element.attributes.get("type", "str")
        if kind in SCALARS:
            if element.children:
                raise self._wrong(element, f"a value of type {kind} holds no elements")
            try:
                value = readScalar(kind, element.text)
                return value.resolve() if isinstance(value, Reference) else value
            except ValueError as problem:
                raise self._wrong(element, str(problem)) from None
        if kind not in _NESTED:
            known = ", ".join(sorted({*SCALARS, *_NESTED}))
            raise self._wrong(element, f"type {kind!r} is unknown, expected: {known}")
        if depth >= _DEEPEST_VALUE:
            raise self._wrong(element, f"values nest more than {_DEEPEST_VALUE} deep")
        return self._nested(element, kind, depth)

    def _nested(self, element: Element, kind: str, depth: int) -> object:
        self._checkNoText(element)
        for item in element.children:
            if item.tag != "item":
                raise self._wrong(item, f"got <{item.tag}>, expected <item>")
            self._checkAttributes(item, {"type", "key"} if kind == "dict" else {"type"})
        if kind == "dict":
            return {
                self._required(item, "key"): self._value(item, depth + 1)
                for item in element.children
            }
        values = [self._value(item, depth + 1) for item in element.children]
        return values if kind == "list" else tuple(values)

    def _number(self, element: Element, attribute: str) -> int | None:
        text = element.attributes.get(attribute)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit()):
            raise self._wrong(element, f"{attribute} is {text!r}, expected a number")
        return int(text)

    def _required(self, element: Element, attribute: str) -> str:
        try:
            return element.attributes[attribute]
        except KeyError:
            raise self._wrong(
                element, f"<{element.tag}> lacks the attribute {attribute}"
            ) from None

    def _checkAttributes(self, element: Element, known: Collection[str]) -> None:
        for name in element.attributes:
            if name not in known:
                raise self._wrong(
                    element,
                    f"<{element.tag}> has no attribute {name}, "
                    f"expected: {', '.join(sorted(known))}",
                )

    def _checkNoText(self, element: Element) -> None:
        if element.text.strip():
            raise self._wrong(
                element, f"<{element.tag}> holds text: {element.text.strip()[:40]!r}"
            )

    def _wrong(self, element: Element, problem: str) -> DocumentError:
        return DocumentError(self._filename, element.line, problem)
