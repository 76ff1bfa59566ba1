from __future__ import annotations

from pathlib import Path

import pytest

SITE = """
import os, sys, threading, time

VERSION = {version!r}

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/slow":
        time.sleep(0.5)
    elif path == "/pause":
        time.sleep(0.2)
    elif path == "/hang":
        time.sleep(60)
    elif path == "/spin":
        sum(range(10 ** 12))
    elif path == "/exit":
        os._exit(7)
    elif path == "/modules":
        body = " ".join(sorted(sys.modules)).encode()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [body]
    body = f"{{VERSION}} {{os.getpid()}} {{os.getppid()}}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(body)))])
    return [body]
"""


class Site:
    """
    A folder with an application that can be changed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.version(1)

    def version(self, number: object, before: str = "") -> None:
        """
        Write another version of the application.

        @param before: code to run when it is imported.
        """
        self.write(before + "\n" + SITE.format(version=str(number)))

    def write(self, text: str) -> None:
        new = self.folder / "site.new"
        new.write_text(text)
        new.rename(self.folder / "poolsite.py")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    # Compiled files are compared by whole seconds of the source's time.
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    return Site(tmp_path)
