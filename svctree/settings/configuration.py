"""
A configuration file as an object, in the manner of the seed::

    config = readConfiguration("/etc/app.ini")
    config.ROOT                       # the folder of the file
    config.wtf("mode", "daemon")      # with a default
    "umask" in config.wtf
    config.wtf.umask

C{config.svctree} is the same as C{config.wtf}; other sections of the file are
attributes too. Values are text; L{Configuration.settings} has them checked and
converted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from svctree.settings.inifile import SECTIONS, IniFile, readIni
from svctree.settings.problems import SettingsError, nearest
from svctree.settings.schema import Settings
from svctree.settings.sources import loadSettings

__all__ = ["Configuration", "Section", "readConfiguration"]


class Section(Mapping[str, str]):
    """
    The options of one section. As attributes, those with a hyphen are spelled with
    an underscore: C{config.svctree.max_requests}.
    """

    def __init__(self, name: str, values: Mapping[str, str], path: str) -> None:
        self._name = name
        self._values = values
        self._path = path

    def __call__(self, name: str, default: object = None) -> object:
        """
        @return: the option's text, or C{default} when the file does not have it.
        """
        return self._values.get(name, default)

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> str:
        for spelling in (name, name.replace("_", "-")):
            if spelling in self._values:
                return self._values[spelling]
        close = nearest(name, self._values)
        hint = f"; did you mean {close}?" if close else ""
        raise AttributeError(
            f"{self._path}: [{self._name}] has no option {name!r}{hint}"
        )


class Configuration:
    """
    A configuration file.

    @ivar ROOT: the folder of the file, absolute; its relative paths start there.
    @ivar path: of the file.
    """

    def __init__(self, file: IniFile) -> None:
        self.ROOT = file.folder
        self.path = file.path
        self._file = file

    def __getattr__(self, name: str) -> Section:
        # Copying and pickling ask for special names before there is a file.
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._file.sections and name not in SECTIONS:
            raise AttributeError(f"{self.path}: there is no section [{name}]")
        return Section(name, self._file.section(name), self.path)

    def __contains__(self, name: str) -> bool:
        return name in self._file.sections

    def settings(
        self,
        flags: Iterable[tuple[str, str]] = (),
        environ: Mapping[str, str] | None = None,
    ) -> Settings:
        """
        @param flags: option names and their texts, which go above the file.
        @raise SettingsError: the file cannot be used, with all problems.
        """
        return loadSettings(self.path, flags=flags, environ=environ)


def readConfiguration(path: str) -> Configuration:
    """
    @raise SettingsError: the file cannot be read or understood.
    """
    file = readIni(path)
    if file.problems:
        raise SettingsError(file.problems)
    return Configuration(file)
