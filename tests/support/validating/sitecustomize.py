"""
Puts every application that any process of the tests serves under C{wsgiref.validate}.

Python imports this at its start, since the tests put this folder on C{PYTHONPATH}. It
waits for the gateway, through which all applications are called, and wraps what the
gateway is given. What the validator finds goes to the file that C{$TESTS_FINDINGS}
names, whatever the test at hand looks at, and the run of the tests fails at its end
(C{tests/conftest.py}).

An application that violates PEP 3333 on purpose says so: it has a true attribute
C{violates}.
"""

from __future__ import annotations

import os
import sys

# Nothing heavier: what a worker imports is tested, too.
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

FINDINGS = "TESTS_FINDINGS"


class Watch:
    """
    Waits for the import of the gateway.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> ModuleSpec | None:
        if name != "svctree.wsgi.gateway":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        assert spec is not None and spec.loader is not None
        load = spec.loader.exec_module

        def loadAndPatch(module: ModuleType) -> None:
            load(module)
            patch(module.Gateway)

        spec.loader.exec_module = loadAndPatch  # type: ignore[method-assign]
        return spec


def patch(gateway: Any) -> None:
    """
    Have a gateway class wrap its application.
    """
    begin = gateway.__init__

    def init(self: Any, application: Any) -> None:
        if not getattr(application, "violates", False):
            application = validated(application)
        begin(self, application)

    gateway.__init__ = init


def validated(application: Any) -> Any:
    """
    @return: the application under the validator. Lists stay lists, and files go out by
        C{sendfile}: what is tested is not changed by the look at it.
    """
    from wsgiref import validate

    from svctree.wsgi.files import FileWrapper

    validate.assert_ = noting  # type: ignore[attr-defined]
    validate.InputWrapper.read = reading  # type: ignore[method-assign]
    checked = validate.validator(application)

    def outer(environ: Any, start: Any) -> Any:
        wrapper = checked(environ, start)
        result = getattr(wrapper, "original_iterator", None)
        if isinstance(result, (list, FileWrapper)):
            if isinstance(result, list):
                noting(all(type(block) is bytes for block in result), "not bytes")
            wrapper.closed = True
            return result
        return wrapper

    return outer


def reading(wrapper: Any, *arguments: int) -> bytes:
    """
    The validator's C{read}. Werkzeug (3.1, C{formparser}) reads a form without the size
    that PEP 3333 wants, since C{wsgi.input_terminated} is set; nobody else may.
    """
    if not arguments and sys._getframe(1).f_globals["__name__"].startswith("werkzeug."):
        arguments = (-1,)
    noting(len(arguments) == 1, "wsgi.input.read() without a size")
    data: bytes = wrapper.input.read(*arguments)
    noting(type(data) is bytes, "wsgi.input.read() gave no bytes")
    return data


def noting(condition: object, *arguments: object) -> None:
    """
    Instead of the validator's C{assert_}: notes what it finds and lets the application
    go on, so that the test at hand tests what it is about.
    """
    if not condition:
        import traceback

        text = f"{arguments}\n{''.join(traceback.format_stack(limit=12))}\n"
        # Made by the tests, and perhaps not by this user: it must not be made here.
        fd = os.open(os.environ[FINDINGS], os.O_WRONLY | os.O_APPEND)
        os.write(fd, text.encode())
        os.close(fd)


if FINDINGS in os.environ:
    sys.meta_path.insert(0, Watch())
