"""
Settings from everywhere: the file, above it the environment, above that the flags.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from svctree.settings.inifile import IniFile, readIni
from svctree.settings.option import Option, optionsOf
from svctree.settings.problems import BadValue, Problem, SettingsError, nearest
from svctree.settings.schema import CONCURRENCY, Settings

__all__ = ["loadSettings"]

# A variable this close to an option's is a slip of the pen. Others are left alone:
# Kubernetes sets SVCTREE_PORT and its like for a service of that name.
_MISSPELT = 0.85


def loadSettings(
    path: str | None = None,
    *,
    flags: Iterable[tuple[str, str]] = (),
    environ: Mapping[str, str] | None = None,
    folder: str | None = None,
) -> Settings:
    """
    Read and check everything; nothing else is touched.

    @param path: the configuration file; in it the seed's required options must be
        given, unless the environment or a flag does.
    @param flags: option names and their texts, in the order of the command line.
    @param environ: the environment; L{None} for this process's.
    @param folder: where relative paths in flags and the environment start; L{None}
        for the working directory.
    @raise SettingsError: with all problems of all sources.
    """
    folder = os.getcwd() if folder is None else folder
    environ = dict(os.environ) if environ is None else environ
    flags = list(flags)
    gathered = _Gathered(folder)
    file = None
    if path is not None:
        file = readIni(path)
        gathered.addFile(file)
    gathered.addEnvironment(environ)
    gathered.addFlags(flags)
    # A daemon has another working directory by the time it reads again.
    again = partial(
        loadSettings,
        None if path is None else os.path.abspath(path),
        flags=flags,
        environ=environ,
        folder=folder,
    )
    return gathered.settings(file, again)


class _Gathered:
    """
    What has been found so far.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._options = {one.name: one for one in optionsOf(Settings)}
        self._values: dict[str, Any] = {}
        self._origins: dict[str, str] = {}
        self._problems: list[Problem] = []
        self._mentioned: set[str] = set()

    def addFile(self, file: IniFile) -> None:
        first = len(self._problems)
        self._problems += file.problems
        for entry in file.options():
            place = file.place(entry.line)
            option = self._named(entry.key, place)
            if option is not None:
                self._take(option, entry.text, place, file.folder)
        # One reads a file from top to bottom.
        places = [file.place(line) for line in range(file.lines + 1)]
        self._problems[first:] = sorted(
            self._problems[first:],
            key=lambda one: places.index(one.place) if one.place in places else -1,
        )

    def addEnvironment(self, environ: Mapping[str, str]) -> None:
        workers = self._options["workers"]
        if environ.get(CONCURRENCY, "").strip() and "workers" not in self._values:
            self._take(workers, environ[CONCURRENCY], CONCURRENCY, self._folder)
        variables = {one.variable: one for one in self._options.values()}
        for name, text in sorted(environ.items()):
            if name in variables:
                self._take(variables[name], text, name, self._folder)
            elif name.startswith("SVCTREE_"):
                close = nearest(name, variables, _MISSPELT)
                if close:
                    message = f"unknown variable; did you mean {close}?"
                    self._problems.append(Problem(name, message))

    def addFlags(self, flags: Iterable[tuple[str, str]]) -> None:
        given: set[str] = set()
        for name, text in flags:
            place = name if name == "application" else f"--{name}"
            option = self._named(name, place)
            if option is None:
                continue
            before = self._values.get(option.keyword) if name in given else None
            given.add(name)
            if self._take(option, text, place, self._folder) and before is not None:
                value = option.kind.joined(before, self._values[option.keyword])
                self._values[option.keyword] = value

    def settings(self, file: IniFile | None, again: Callable[[], Settings]) -> Settings:
        """
        @param again: see L{Settings}.
        @raise SettingsError: something was wrong.
        """
        if file is not None:
            self._findMissing(file)
        for keyword, message in list(Settings.contradictions(self._values)):
            place = self._origins.get(keyword, "")
            self._problems.append(Problem(place, message))
            self._values.pop(keyword, None)
        root = self._folder if file is None else file.folder
        # A newcomer's application lies beside the file.
        self._values.setdefault("pythonpath", (root,))
        if not self._problems:
            return self._made(root, file, again)
        error = SettingsError(self._problems)
        # Dropping a value may bring about a contradiction with another's default.
        with contextlib.suppress(SettingsError):
            error.salvaged = self._made(root, file, None)
        raise error

    def _made(
        self, root: str, file: IniFile | None, again: Callable[[], Settings] | None
    ) -> Settings:
        return Settings(
            origins=self._origins,
            root=root,
            file=None if file is None else os.path.abspath(file.path),
            again=again,
            **self._values,
        )

    def _named(self, name: str, place: str) -> Option | None:
        try:
            return self._options[name]
        except KeyError:
            close = nearest(name.lower().replace("_", "-"), self._options)
            hint = f"; did you mean {close}?" if close else ""
            self._problems.append(Problem(place, f"unknown option {name}{hint}"))
            return None

    def _take(self, option: Option, text: str, place: str, folder: str) -> bool:
        self._mentioned.add(option.keyword)
        text = text.strip()
        if not text and option.required:
            message = f"nothing given, expected {option.kind.expected}"
            return self._refuse(option, place, message)
        try:
            value = self._read(option, text)
        except BadValue as error:
            message = str(error)
            if " #" in text or " ;" in text:
                message += " (a comment needs a line of its own)"
            return self._refuse(option, place, message)
        if value is not None:
            value = option.kind.anchored(value, folder)
        self._values[option.keyword] = value
        self._origins[option.keyword] = place
        return True

    def _refuse(self, option: Option, place: str, message: str) -> bool:
        # A flag and a variable are named by their place, a line is not.
        if place not in (f"--{option.name}", option.variable, option.name):
            message = f"{option.name}: {message}"
        self._problems.append(Problem(place, message))
        return False

    def _read(self, option: Option, text: str) -> Any:
        # "user =" says that there is none, over whatever stood in a lower layer.
        if not text and option.default is None:
            return None
        return option.kind.fromText(text)

    def _servesStandardInput(self) -> bool:
        listen = self._values.get("listen") or ()
        return "stdin" in listen or self._values.get("protocol") == "cgi"

    def _findMissing(self, file: IniFile) -> None:
        for option in self._options.values():
            if option.name == "pidfile" and self._servesStandardInput():
                # A web server starts such processes by the dozen: the lock would keep
                # out all but one.
                continue
            if option.required and option.keyword not in self._mentioned:
                message = (
                    f"{option.name} is missing ({option.doc}); "
                    f"expected {option.kind.expected}"
                )
                self._problems.append(Problem(file.path, message))
