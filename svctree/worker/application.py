"""
From a name to a WSGI application, with errors that a newcomer can act on.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any

__all__ = ["ApplicationError", "loadApplication", "loadCallable", "shortened"]


_LONGEST_LINE = 500
_LONGEST_TEXT = 32768


class ApplicationError(Exception):
    """
    The application cannot be imported.

    @ivar details: the traceback of the application's own code, without the frames
        of this module and of the import system; empty when a name was just not
        found.
    """

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


def loadApplication(name: str) -> Callable[..., Any]:
    """
    Import a WSGI application.

    @param name: C{module:attribute}, C{module.attribute}, or with C{()} behind it a
        factory that is called without arguments.
    @raise ApplicationError: one line that says what was not found and what is there.
    """
    plain, called = (name[:-2], True) if name.endswith("()") else (name, False)
    found = loadCallable(plain)
    if called:
        try:
            found = found()
        except BaseException as error:
            raise ApplicationError(
                f"application {name!r}: the factory raised {_line(error)}",
                _ownTraceback(error),
            ) from error
        if not callable(found):
            raise ApplicationError(
                f"application {name!r}: the factory returned {type(found).__name__}, "
                "expected a WSGI callable"
            )
    made: Callable[..., Any] = found
    return made


def loadCallable(name: str) -> Callable[..., Any]:
    """
    Import any callable by name, as L{loadApplication} does, without calling it.
    """
    moduleName, attributes = _split(name)
    found: Any = _import(name, moduleName)
    where = f"module {moduleName!r}"
    for attribute in attributes:
        try:
            found = getattr(found, attribute)
        except AttributeError:
            raise ApplicationError(
                f"application {name!r}: {where} has no attribute {attribute!r}"
                + _nearest(attribute, [n for n in dir(found) if n[:1] != "_"])
            ) from None
        except BaseException as error:
            # Modules and objects may compute their attributes.
            raise _importFailed(name, error) from error
        where = f"{where[:-1]}.{attribute}'"
    if not callable(found):
        raise ApplicationError(
            f"application {name!r} is of type {type(found).__name__}, "
            "expected a WSGI callable"
        )
    made: Callable[..., Any] = found
    return made


def _split(name: str) -> tuple[str, list[str]]:
    module, colon, rest = name.partition(":")
    if colon:
        attributes = rest.split(".") if rest else ["application"]
    else:
        module, dot, attribute = name.rpartition(".")
        attributes = [attribute]
        if not dot:
            module, attributes = name, ["application"]
    if not all(part.isidentifier() for part in [*module.split("."), *attributes]):
        raise ApplicationError(
            f"application {name!r} is not a name; expected module:name, "
            "module:factory() or a dotted name"
        )
    return module, attributes


def _import(name: str, moduleName: str) -> ModuleType:
    try:
        return importlib.import_module(moduleName)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if not (moduleName == missing or moduleName.startswith(missing + ".")):
            # The module was found; something that it imports was not.
            raise _importFailed(name, error) from error
        parent, _, last = missing.rpartition(".")
        message = f"application {name!r}: there is no module {missing!r}"
        raise ApplicationError(message + _nearest(last, _siblings(parent))) from None
    except BaseException as error:
        # SystemExit too: an application that exits while it is imported has failed.
        raise _importFailed(name, error) from error


def _importFailed(name: str, error: BaseException) -> ApplicationError:
    return ApplicationError(
        f"application {name!r}: its import raised {_line(error)}", _ownTraceback(error)
    )


def _siblings(package: str) -> list[str]:
    import pkgutil

    if not package:
        path = sys.path
    else:
        path = list(getattr(sys.modules.get(package), "__path__", []))
    return [module.name for module in pkgutil.iter_modules(path)]


def _nearest(name: str, names: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, names, n=1)
    return f"; the nearest is {close[0]!r}" if close else ""


def _line(error: BaseException) -> str:
    """
    @return: kind and message, cut to one line of a length that can be read.
    """
    lines = traceback.format_exception_only(type(error), error)
    # Before it may be the place of a syntax error, behind it the error's notes.
    kind = type(error).__name__
    named = [
        line for line in lines if line.strip().split(":")[0].rpartition(".")[2] == kind
    ]
    line = (named or lines)[0].strip().partition("\n")[0]
    return shortened(line[:_LONGEST_LINE])


def _ownTraceback(error: BaseException) -> str:
    frames = error.__traceback__
    while frames is not None and _isOurs(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    text = "".join(traceback.format_exception(type(error), error, frames))
    return shortened(text)


def shortened(text: str) -> str:
    """
    @return: the text, without its middle when nobody would read so much; what cannot
        be written is escaped.
    """
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    if len(text) > _LONGEST_TEXT:
        half = _LONGEST_TEXT // 2
        leftOut = len(text) - 2 * half
        text = f"{text[:half]}\n[... {leftOut} characters ...]\n{text[-half:]}"
    return text


def _isOurs(filename: str) -> bool:
    return filename == __file__ or "importlib" in filename
