"""
The status page: the state of a tree for people, in one piece of HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["renderPage"]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 60em;
       padding: 0 1em; color: #222; background: #fff; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: right; padding: .2em .6em; border-bottom: 1px solid #ddd; }
th:last-child, td:last-child { text-align: left; width: 45%; }
.busy { background: #fff6d8; } .stuck, .failed { background: #ffe0dc; }
.booting, .retiring { color: #888; }
"""

_HEADS = ("slot", "pid", "generation", "state", "requests", "connections", "MiB", "now")


def renderPage(status: Mapping[str, Any]) -> str:
    """
    @param status: what the command C{status} answers.
    @return: a page that loads itself anew every five seconds.
    """
    pools = [_pool(name, status["services"][name]) for name in status["pools"]]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta http-equiv="refresh" content="5">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>svctree: {escape(status['state'])}</title>",
            f"<style>{_STYLE}</style></head><body>",
            f"<h1>{escape(status['state'])}</h1>",
            f"<p>Master: pid {int(status['pid'])}</p>",
            *pools,
            "</body></html>\n",
        ]
    )


def _pool(name: str, report: Mapping[str, Any]) -> str:
    failed = str(report.get("lastReload", "")).startswith("failed")
    reload = f'<p class="failed">reload {escape(report["lastReload"])}</p>'
    return "\n".join(
        [
            f"<h2>{escape(name)}: {escape(str(report.get('application', '')))}</h2>",
            f"<p>{escape(str(report.get('workermodel', '')))}, "
            f"{report.get('ready', 0)} of {report.get('target', 0)} ready, "
            f"generation {report.get('generation', 0)}, "
            f"{report.get('requests', 0)} requests, "
            f"{report.get('errors', 0)} errors, "
            f"{report.get('crashes', 0)} crashes</p>",
            reload if failed else "",
            "<table><tr>" + "".join(f"<th>{head}</th>" for head in _HEADS) + "</tr>",
            *[_worker(worker) for worker in report["workers"]],
            "</table>",
        ]
    )


def _worker(worker: Mapping[str, Any]) -> str:
    memory = worker["memory"]
    now: Sequence[str] = [
        f"{withoutQuery(one['request'])} ({one['seconds']:.1f} s)"
        for one in worker["current"]
    ]
    cells = [
        worker["slot"],
        worker["pid"],
        worker["generation"],
        worker["state"],
        worker["requests"],
        worker["connections"],
        "" if memory is None else f"{memory / (1 << 20):.1f}",
        ", ".join(now),
    ]
    inner = "".join(f"<td>{escape(str(cell))}</td>" for cell in cells)
    return f'<tr class="{escape(worker["state"])}">{inner}</tr>'


def withoutQuery(line: str) -> str:
    """
    @return: a request line without what users may have typed into forms: the page
        may be seen by more people than the commands.
    """
    return line.partition("?")[0]
