"""
A WSGI application.
"""


def application(environ, start_response):
    name = environ["PATH_INFO"].strip("/") or "world"
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"Hello, {name}!\n".encode("latin-1")]
