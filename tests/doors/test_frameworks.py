"""
Real applications, served by the command that the README shows, over TCP and over a
unix socket.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browser import Browser
from tests.support.processes import BIN, Processes
from tests.support.sites import makeDjango, makeFlask


def serve(processes: Processes, folder: Path, application: str) -> tuple[int, str]:
    """
    @return: the port and the path of the unix socket.
    """
    (folder / "run").mkdir(exist_ok=True)
    running = processes.start(
        [
            BIN / "twistd",
            "-n",
            "--pidfile=",
            "svctree",
            "--listen",
            "tcp:127.0.0.1:0",
            "--listen",
            "unix:run/app.sock(660)",
            "--protocol",
            "http",
            "--workermodel",
            "prefork",
            "--workers",
            "2",
            application,
        ],
        cwd=folder,
    )
    found = running.waitFor(r"2 workers serve .* at http://127\.0\.0\.1:(\d+)/")
    path = folder / "run" / "app.sock"
    assert os.stat(path).st_mode & 0o777 == 0o660
    return int(found[1]), str(path)


@pytest.fixture(scope="module")
def django(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, str]]:
    folder = tmp_path_factory.mktemp("django")
    makeDjango(folder)
    processes = Processes(300)
    yield serve(processes, folder, "mysite.wsgi:application")
    list(processes.close())


@pytest.fixture(scope="module")
def flask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, str]]:
    folder = tmp_path_factory.mktemp("flask")
    makeFlask(folder)
    processes = Processes(300)
    yield serve(processes, folder, "flasksite:createApp()")
    list(processes.close())


@pytest.fixture(params=["tcp", "unix"])
def djangoBrowser(
    request: pytest.FixtureRequest, django: tuple[int, str]
) -> Iterator[Browser]:
    browser = Browser(django[request.param == "unix"])
    yield browser
    browser.close()


@pytest.fixture(params=["tcp", "unix"])
def flaskBrowser(
    request: pytest.FixtureRequest, flask: tuple[int, str]
) -> Iterator[Browser]:
    browser = Browser(flask[request.param == "unix"])
    yield browser
    browser.close()


def checkUpload(answer: str, data: bytes) -> None:
    assert json.loads(answer) == {
        "name": "photo.raw",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


SIZES = [1, 100_000, 5_000_000]


def test_djangoAdmin(djangoBrowser: Browser) -> None:
    """
    One can log in to the admin and look at its pages.
    """
    browser = djangoBrowser
    page = browser.get("/admin/login/?next=/admin/")
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert token
    browser.post(
        "/admin/login/?next=/admin/",
        username="admin",
        password="secret",
        csrfmiddlewaretoken=token[1],
        next="/admin/",
    )
    assert browser.status == 302
    assert browser.headers["Location"] == "/admin/"
    assert "Site administration" in browser.get("/admin/")
    assert "admin@example.org" in browser.get("/admin/auth/user/")


def test_djangoStaticFiles(djangoBrowser: Browser) -> None:
    """
    Static files arrive whole, ours and the admin's.
    """
    assert djangoBrowser.get("/static/site.css") == "body { color: green }\n" * 5000
    assert djangoBrowser.headers["Content-Type"].startswith("text/css")
    assert "--primary" in djangoBrowser.get("/static/admin/css/base.css")
    djangoBrowser.get("/static/nothing.css")
    assert djangoBrowser.status == 404


def test_djangoForm(djangoBrowser: Browser) -> None:
    """
    A form with a token is accepted, one without is refused.
    """
    page = djangoBrowser.get("/form/")
    token = re.search(r"value='(\w+)'", page)
    assert token
    answer = djangoBrowser.post(
        "/form/", name="J\u00f6rg \u2603", csrfmiddlewaretoken=token[1]
    )
    assert answer == "thank you, J\u00f6rg \u2603"
    djangoBrowser.post("/form/", name="mallory")
    assert djangoBrowser.status == 403


@pytest.mark.parametrize("size", SIZES)
def test_djangoUpload(djangoBrowser: Browser, size: int) -> None:
    """
    Files of all sizes arrive as they were sent.
    """
    data = random.Random(size).randbytes(size)
    token = djangoBrowser.get("/upload/")
    answer = djangoBrowser.upload(
        "/upload/", "photo.raw", data, csrfmiddlewaretoken=token
    )
    checkUpload(answer, data)


def test_djangoStream(djangoBrowser: Browser) -> None:
    """
    A streamed response arrives whole, and the connection lives on.
    """
    text = "".join(f"line {number}\n" for number in range(5))
    assert djangoBrowser.get("/stream/") == text
    assert djangoBrowser.get("/stream/") == text


def test_flask(flaskBrowser: Browser) -> None:
    """
    Pages, forms, sessions, streams and static files of a Flask application.
    """
    browser = flaskBrowser
    assert browser.get("/") == "hello from flask"
    assert browser.get("/who/") == "nobody"
    assert browser.post("/form/", name="Zo\u00eb") == "thank you, Zo\u00eb"
    assert browser.get("/who/") == "Zo\u00eb"
    assert browser.get("/stream/").count("line") == 5
    assert browser.get("/assets/site.css") == "body { color: green }\n" * 5000
    browser.get("/nowhere")
    assert browser.status == 404


def test_flaskConditional(flaskBrowser: Browser) -> None:
    """
    A static file that the client has is not sent again, and ranges work.
    """
    flaskBrowser.get("/assets/site.css")
    tag = flaskBrowser.headers["ETag"]
    body = flaskBrowser.request(
        "GET", "/assets/site.css", fields={"If-None-Match": tag}
    )
    assert (flaskBrowser.status, body) == (304, b"")
    body = flaskBrowser.request(
        "GET", "/assets/site.css", fields={"Range": "bytes=5-9"}
    )
    assert (flaskBrowser.status, body) == (206, b"{ col")


@pytest.mark.parametrize("size", SIZES)
def test_flaskUpload(flaskBrowser: Browser, size: int) -> None:
    """
    Files of all sizes arrive as they were sent.
    """
    data = random.Random(size).randbytes(size)
    checkUpload(flaskBrowser.upload("/upload/", "photo.raw", data), data)
