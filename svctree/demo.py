"""
The embedded application: what is served when nothing was named.

It shows that everything works, and who answered: reload the page to see the workers
take turns.
"""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["application"]

_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>svctree works</title>
<style>
  body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto;
         padding: 0 1rem; color: #222; background: #fff }}
  code, td {{ font-family: ui-monospace, monospace }}
  table {{ border-collapse: collapse; width: 100% }}
  td {{ border-top: 1px solid #ddd; padding: .2rem .6rem .2rem 0;
        overflow-wrap: anywhere }}
</style>
<h1>svctree works</h1>
<p>Worker <code>{pid}</code> answered <code>{method} {path}</code>.
Now serve an application of your own:</p>
<pre><code>twistd -n svctree mysite.wsgi:application</code></pre>
<details><summary>What the application was told</summary>
<table>{rows}</table></details>
</html>
"""


def application(
    environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    """
    A WSGI application (PEP 3333).
    """
    rows = "\n".join(
        f"<tr><td>{html.escape(key)}</td><td>{html.escape(str(value))}</td></tr>"
        for key, value in sorted(environ.items())
    )
    page = _PAGE.format(
        pid=os.getpid(),
        method=html.escape(str(environ["REQUEST_METHOD"])),
        path=html.escape(str(environ.get("PATH_INFO", ""))),
        rows=rows,
    ).encode("utf-8", "replace")
    start_response(
        "200 OK",
        [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(page))),
            ("Cache-Control", "no-store"),
        ],
    )
    return [page]
