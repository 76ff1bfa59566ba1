"""
XML as elements that know their line, read without the dangers of XML.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler

from svctree.tree.persist.errors import DocumentError, MissingExtra

__all__ = ["Element", "parse"]

_DEEPEST = 10_000
"""Levels of nesting: ten times the chain of containers that the tree promises to
carry, and a bound for what a hostile document can build."""


@dataclass
class Element:
    """
    @ivar line: where it begins, from 1.
    @ivar text: the characters directly in it.
    """

    tag: str
    attributes: dict[str, str]
    line: int
    text: str = ""
    children: list[Element] = field(default_factory=list)


def parse(content: bytes, filename: str) -> Element:
    """
    @return: the outermost element.
    @raise DocumentError: this is not XML, or it declares a document type, entities
        or references outside, none of which an application needs.
    @raise MissingExtra: C{defusedxml} is not installed.
    """
    try:
        from defusedxml import (  # type: ignore[import-untyped, unused-ignore]
            DefusedXmlException,
            sax,
        )
    except ImportError:
        raise MissingExtra("an XML application file", "defusedxml", "xml") from None
    builder = _Builder(filename)
    try:
        sax.parseString(content, builder, forbid_dtd=True)
    except SAXParseException as problem:
        line = problem.getLineNumber() or 1
        raise DocumentError(filename, line, f"no XML: {problem.getMessage()}") from None
    except SAXException as problem:
        raise DocumentError(filename, builder.line(), f"no XML: {problem}") from None
    except DefusedXmlException as problem:
        raise DocumentError(
            filename,
            builder.line(),
            f"a document type or an entity is not allowed here ({problem})",
        ) from None
    assert builder.outermost is not None, "a document without elements is no XML"
    return builder.outermost


class _Builder(ContentHandler):
    def __init__(self, filename: str) -> None:
        super().__init__()
        self._filename = filename
        self._open: list[Element] = []
        self._text: list[list[str]] = []
        self.outermost: Element | None = None

    def line(self) -> int:
        locator: Any = getattr(self, "_locator", None)
        return (locator.getLineNumber() if locator is not None else None) or 1

    def startElement(self, name: str, attrs: Any) -> None:
        element = Element(name, dict(attrs.items()), self.line())
        if len(self._open) >= _DEEPEST:
            raise DocumentError(
                self._filename,
                self.line(),
                f"elements are nested more than {_DEEPEST} deep",
            )
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.outermost = element
        self._open.append(element)
        self._text.append([])

    def characters(self, content: str) -> None:
        self._text[-1].append(content)

    def endElement(self, name: str) -> None:
        self._open.pop().text = "".join(self._text.pop())
