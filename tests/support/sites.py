"""
Real applications for tests, written into a folder: a Django project and a Flask
application that do what such applications do.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_SETTINGS = """

ROOT_URLCONF = "mysite.urls"
ALLOWED_HOSTS = ["*"]
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "assets"]
DATA_UPLOAD_MAX_MEMORY_SIZE = None
DEBUG = False
# The client of the tests speaks to a unix socket too, which has no host name.
CSRF_TRUSTED_ORIGINS = ["http://localhost"]
"""

_URLS = """
import hashlib
import time

from django.contrib import admin
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.urls import path


def form(request):
    if request.method == "POST":
        return HttpResponse(f"thank you, {request.POST['name']}")
    token = get_token(request)
    return HttpResponse(
        f"<form method='post'><input name='csrfmiddlewaretoken' value='{token}'></form>"
    )


def upload(request):
    if request.method == "GET":
        return HttpResponse(get_token(request))
    file = request.FILES["file"]
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    return JsonResponse(
        {"name": file.name, "size": file.size, "sha256": digest.hexdigest()}
    )


def stream(request):
    def lines():
        for number in range(5):
            yield f"line {number}\\n"
            time.sleep(0.05)

    return StreamingHttpResponse(lines(), content_type="text/plain")


urlpatterns = [
    path("admin/", admin.site.urls),
    path("form/", form),
    path("upload/", upload),
    path("stream/", stream),
]
"""

_WSGI = """
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.wsgi import get_wsgi_application

application = StaticFilesHandler(get_wsgi_application())
"""

_FLASK = """
import hashlib
import time

from flask import Flask, Response, jsonify, request, session

app = Flask(__name__, static_folder="assets")
app.secret_key = "only for tests"


@app.get("/")
def index():
    return "hello from flask"


@app.post("/form/")
def form():
    session["name"] = request.form["name"]
    return f"thank you, {request.form['name']}"


@app.get("/who/")
def who():
    return session.get("name", "nobody")


@app.post("/upload/")
def upload():
    file = request.files["file"]
    data = file.read()
    return jsonify(
        name=file.filename, size=len(data), sha256=hashlib.sha256(data).hexdigest()
    )


@app.get("/stream/")
def stream():
    def lines():
        for number in range(5):
            yield f"line {number}\\n"
            time.sleep(0.05)

    return Response(lines(), mimetype="text/plain")


def createApp():
    return app
"""


def makeDjango(folder: Path) -> None:
    """
    A Django project C{mysite} with admin, sqlite, static files, a form with CSRF
    protection, an upload and a stream. The administrator is admin, secret.
    """
    manage = [sys.executable, "-W", "ignore", "manage.py"]
    subprocess.run(
        [sys.executable, "-m", "django", "startproject", "mysite", "."],
        cwd=folder,
        check=True,
    )
    with (folder / "mysite" / "settings.py").open("a") as file:
        file.write(_SETTINGS)
    (folder / "mysite" / "urls.py").write_text(_URLS)
    (folder / "mysite" / "wsgi.py").write_text(_WSGI)
    (folder / "assets").mkdir()
    (folder / "assets" / "site.css").write_text("body { color: green }\n" * 5000)
    env = {
        **os.environ,
        "DJANGO_SUPERUSER_PASSWORD": "secret",
        "DJANGO_SUPERUSER_USERNAME": "admin",
        "DJANGO_SUPERUSER_EMAIL": "admin@example.org",
    }
    for command in (
        ["migrate", "-v", "0"],
        ["createsuperuser", "--noinput", "-v", "0"],
    ):
        subprocess.run([*manage, *command], cwd=folder, env=env, check=True)


def makeFlask(folder: Path) -> None:
    """
    A Flask application C{flasksite:app} with a form, a session, an upload, a stream
    and static files.
    """
    (folder / "flasksite.py").write_text(_FLASK)
    (folder / "assets").mkdir(exist_ok=True)
    (folder / "assets" / "site.css").write_text("body { color: green }\n" * 5000)
