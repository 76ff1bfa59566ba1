"""
C{svctree status}, C{tree} and C{top}: what the daemon reports, for people.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["renderStatus", "renderTree"]


def renderStatus(status: Mapping[str, Any], width: int = 100) -> str:
    """
    @param status: from L{svctree.control.ControlClient.status}.
    @param width: of the terminal; requests are cut to fit.
    @return: a line about the daemon, and for each pool a line and a table.
    """
    services = status["services"]
    lines = [_daemonLine(status, services.get("daemon", {}))]
    for name in status["pools"]:
        lines += ["", *_poolLines(name, services[name], width)]
    return "\n".join(lines)


def _daemonLine(status: Mapping[str, Any], daemon: Mapping[str, Any]) -> str:
    line = f"svctree is {status['state']}, pid {status['pid']}"
    since = daemon.get("readySince")
    if since:
        line += f", up {_age(time.time() - since)}"
    return line


def _poolLines(name: str, pool: Mapping[str, Any], width: int) -> list[str]:
    workers = pool.get("workers", [])
    lines = [
        f"{name}: {pool['application']} over {pool['protocol']} at "
        + (" and ".join(pool.get("listeners", [])) or "no address"),
        f"  {pool['workermodel']}, {pool.get('ready', 0)} of {pool['target']} ready, "
        f"generation {pool['generation']}, {pool.get('requests', 0)} requests, "
        f"{_size(pool.get('bytesOut', 0))} sent, {pool.get('errors', 0)} errors, "
        f"{pool.get('crashes', 0)} crashes",
    ]
    reload = pool.get("lastReload", "")
    if reload.startswith("failed"):
        lines.append(f"  the last reload {reload}")
    elif reload == "running":
        lines.append("  a reload is running")
    if workers:
        rows = [_workerRow(worker) for worker in workers]
        lines += _columns(_HEAD, rows, width)
    return lines


_HEAD = ("PID", "GEN", "STATE", "REQUESTS", "CONNS", "MEMORY", "NOW")


def _workerRow(worker: Mapping[str, Any]) -> tuple[str, ...]:
    memory = worker.get("memory")
    return (
        str(worker["pid"]),
        str(worker["generation"]),
        worker["state"],
        str(worker["requests"]),
        str(worker["connections"]),
        "?" if memory is None else _size(memory),
        ", ".join(
            f"{one['request'] or 'a request'} ({_age(one['seconds'])})"
            for one in worker["current"]
        ),
    )


def _columns(
    head: Sequence[str], rows: Iterable[Sequence[str]], width: int
) -> list[str]:
    table = [head, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(head) - 1)]
    lines = []
    for row in table:
        cells = []
        for title, cell, size in zip(head, row[:-1], widths, strict=False):
            # Words to the left, numbers to the right.
            cells.append(f"{cell:<{size}}" if title == "STATE" else f"{cell:>{size}}")
        line = "  " + "  ".join([*cells, row[-1]])
        lines.append(line.rstrip()[:width])
    return lines


def renderTree(tree: Mapping[str, Any]) -> str:
    """
    @param tree: from L{svctree.control.ControlClient.tree}.
    @return: a line for each service, drawn as a tree.
    """
    return "\n".join([_serviceLine(tree), *_branches(tree, "")])


def _branches(service: Mapping[str, Any], indent: str) -> list[str]:
    children = service.get("services") or []
    lines = []
    for index, child in enumerate(children):
        last = index == len(children) - 1
        lines.append(f"{indent}{'└─ ' if last else '├─ '}{_serviceLine(child)}")
        lines += _branches(child, indent + ("   " if last else "│  "))
    return lines


def _serviceLine(service: Mapping[str, Any]) -> str:
    name = service.get("name") or "(no name)"
    words = [name]
    kind = service.get("class") or service.get("type")
    if kind and kind != name:
        words.append(f"[{kind}]")
    state = service.get("state")
    if not state:
        state = "running" if service.get("running") else "stopped"
    words.append(str(state))
    for url in service.get("urls", ()):
        words.append(str(url))
    return " ".join(words)


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def _age(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, _ = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
