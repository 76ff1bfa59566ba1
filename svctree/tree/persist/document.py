"""
An application as an XML document::

    <?xml version="1.0" encoding="utf-8"?>
    <application version="1" name="site" uid="33" gid="33">
      <service class="svctree.service.MultiService" name="web">
        <service class="mysvc.ticker.Ticker">
          <setting name="interval" type="float">2.5</setting>
        </service>
      </service>
    </application>

It says what to make, not how: reading one imports the classes it names and calls
them with the settings. Whoever can write the document chooses these classes, so it
deserves the care of any configuration of a service that may run as root; but it
holds no code itself, and only classes of services are called.
"""

from __future__ import annotations

import io
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

from svctree.tree.persist.errors import CannotDescribe
from svctree.tree.persist.outline import Outline, OutlinedService, outline
from svctree.tree.persist.reader import readDocument
from svctree.tree.persist.values import isWritable, typeOf, writeScalar

__all__ = ["readDocument", "writeDocument"]


def writeDocument(application: object) -> bytes:
    """
    @param application: what L{svctree.service.Application} returns.
    @return: the document, in UTF-8.
    @raise CannotDescribe: a service does not say what it is made of.
    """
    found = outline(application)
    writer = _Writer()
    writer.open("application", _attributesOf(found))
    # Not recursive: a tree may be deeper than Python's stack. A None closes the
    # service whose children came before it.
    waiting: list[OutlinedService | None] = list(reversed(found.children))
    while waiting:
        service = waiting.pop()
        if service is None:
            writer.close()
            continue
        _writeService(writer, service)
        waiting.append(None)
        waiting.extend(reversed(service.children))
    writer.close()
    return writer.finish()


def _attributesOf(found: Outline) -> dict[str, str]:
    _checkText("/", "name", found.name)
    attributes = {"version": "1", "name": found.name}
    for key, value in (("uid", found.uid), ("gid", found.gid)):
        if value is not None:
            attributes[key] = str(value)
    if found.processName is not None:
        _checkText("/", "process name", found.processName)
        attributes["processname"] = found.processName
    return attributes


def _writeService(writer: _Writer, service: OutlinedService) -> None:
    attributes = {"class": str(service.kind)}
    if service.name is not None:
        _checkText(service.path, "name", service.name)
        attributes["name"] = service.name
    writer.open("service", attributes)
    for keyword, value in service.settings.items():
        _writeValue(writer, service.path, "setting", {"name": keyword}, value)
    if service.placement:
        writer.open("placement", {})
        for keyword, value in service.placement.items():
            _writeValue(writer, service.path, "setting", {"name": keyword}, value)
        writer.close()


def _writeValue(
    writer: _Writer, path: str, tag: str, attributes: dict[str, str], value: object
) -> None:
    attributes = {**attributes, "type": typeOf(value)}
    if isinstance(value, (list, tuple)):
        writer.open(tag, attributes)
        for item in value:
            _writeValue(writer, path, "item", {}, item)
        writer.close()
    elif isinstance(value, dict):
        writer.open(tag, attributes)
        for key, item in value.items():
            _checkText(path, "key of a dict", key)
            _writeValue(writer, path, "item", {"key": key}, item)
        writer.close()
    else:
        writer.leaf(tag, attributes, writeScalar(value))


def _checkText(path: str, what: str, text: object) -> None:
    if not isinstance(text, str) or not isWritable(text):
        raise CannotDescribe(path, f"XML cannot carry its {what} {text!r}")


class _Writer:
    """
    Writes elements, indented by two spaces a level.
    """

    def __init__(self) -> None:
        self._out = io.BytesIO()
        self._xml = XMLGenerator(self._out, "utf-8", short_empty_elements=True)
        self._open: list[str] = []
        self._xml.startDocument()

    def open(self, tag: str, attributes: dict[str, str]) -> None:
        self._indent()
        self._xml.startElement(tag, AttributesImpl(attributes))
        self._open.append(tag)
        self._xml.characters("\n")

    def close(self) -> None:
        tag = self._open.pop()
        self._indent()
        self._xml.endElement(tag)
        self._xml.characters("\n")

    def leaf(self, tag: str, attributes: dict[str, str], text: str) -> None:
        self._indent()
        self._xml.startElement(tag, AttributesImpl(attributes))
        self._xml.characters(text)
        self._xml.endElement(tag)
        self._xml.characters("\n")

    def finish(self) -> bytes:
        self._xml.endDocument()
        return self._out.getvalue()

    def _indent(self) -> None:
        self._xml.characters("  " * len(self._open))
