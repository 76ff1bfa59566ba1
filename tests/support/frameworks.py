"""
The same small site in Django and in Flask: uploads, streams, cookies, ranges,
conditional requests. Imported in a process of its own (both keep global state).
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Iterator
from typing import Any

CONTENT = bytes(range(256)) * 4000


def slowly() -> Iterator[bytes]:
    for number in range(3):
        yield b"block %d\n" % number
        time.sleep(0.05)


def makeFlask() -> Any:
    import flask

    site = flask.Flask("site")

    @site.post("/upload")
    def upload() -> str:
        data = flask.request.files["file"].read()
        name = flask.request.form["name"]
        return f"{name} {len(data)} {hashlib.sha256(data).hexdigest()}"

    @site.get("/stream")
    def stream() -> Any:
        return flask.Response(slowly(), mimetype="text/plain")

    @site.get("/cookies")
    def cookies() -> Any:
        seen = ",".join(f"{k}={v}" for k, v in sorted(flask.request.cookies.items()))
        response = flask.make_response(seen)
        response.set_cookie("one", "1")
        response.set_cookie("two", "zwei", httponly=True)
        return response

    @site.get("/file")
    def file() -> Any:
        return flask.send_file(
            io.BytesIO(CONTENT),
            "application/octet-stream",
            etag="tag",
            conditional=True,
        )

    @site.get("/path/<path:rest>")
    def path(rest: str) -> str:
        return f"{rest} {flask.request.args.get('q')}"

    return site.wsgi_app


def makeDjango() -> Any:
    import django
    from django.conf import settings

    settings.configure(
        DEBUG=False,
        SECRET_KEY="tests",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="tests.support.djangourls",
        MIDDLEWARE=[
            "django.middleware.http.ConditionalGetMiddleware",
            "django.middleware.common.CommonMiddleware",
        ],
    )
    django.setup()
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


def __getattr__(name: str) -> Any:
    if name == "flaskSite":
        return makeFlask()
    if name == "djangoSite":
        return makeDjango()
    raise AttributeError(name)
