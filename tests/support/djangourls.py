"""
The Django half of C{tests.support.frameworks}.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.urls import path

from tests.support.frameworks import CONTENT, slowly


def upload(request: Any) -> HttpResponse:
    data = request.FILES["file"].read()
    name = request.POST["name"]
    return HttpResponse(f"{name} {len(data)} {hashlib.sha256(data).hexdigest()}")


def stream(request: Any) -> StreamingHttpResponse:
    return StreamingHttpResponse(slowly(), content_type="text/plain")


def cookies(request: Any) -> HttpResponse:
    seen = ",".join(f"{k}={v}" for k, v in sorted(request.COOKIES.items()))
    response = HttpResponse(seen)
    response.set_cookie("one", "1")
    response.set_cookie("two", "zwei", httponly=True)
    return response


def file(request: Any) -> Any:
    import tempfile

    stored = tempfile.TemporaryFile()  # noqa: SIM115 (Django closes it)
    stored.write(CONTENT)
    stored.seek(0)
    response = FileResponse(stored, content_type="application/octet-stream")
    response["ETag"] = '"tag"'
    return response


def rest(request: Any, rest: str) -> HttpResponse:
    return HttpResponse(f"{rest} {request.GET.get('q')}")


urlpatterns = [
    path("upload", upload),
    path("stream", stream),
    path("cookies", cookies),
    path("file", file),
    path("path/<path:rest>", rest),
]
