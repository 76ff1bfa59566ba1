"""
The state of a tree as text for Prometheus (exposition format 0.0.4).

Counters belong to pools and slots, not to processes: they never fall when a worker is
replaced or a generation reloaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["CONTENT_TYPE", "renderMetrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_Pool = Mapping[str, Any]
_Samples = Iterator[tuple[Mapping[str, object], float]]

_STATES = ("booting", "idle", "busy", "retiring", "stuck")

# Name, type, help, and the key of a pool's report.
_OF_POOLS = (
    ("requests_total", "counter", "Requests answered", "requests"),
    ("errors_total", "counter", "Requests that ended in an error", "errors"),
    ("received_bytes_total", "counter", "Bytes of requests", "bytesIn"),
    ("sent_bytes_total", "counter", "Bytes of responses", "bytesOut"),
    ("crashes_total", "counter", "Processes that ended unasked", "crashes"),
    ("connections", "gauge", "Open connections", "connections"),
    ("workers_wanted", "gauge", "How many workers there shall be", "target"),
    ("workers_ready", "gauge", "Workers that accept requests", "ready"),
    ("generation", "counter", "Counts the reloads that went well", "generation"),
)


def renderMetrics(status: Mapping[str, Any]) -> str:
    """
    @param status: what the command C{status} answers.
    @return: the text.
    """
    pools = [(name, status["services"][name]) for name in status["pools"]]
    lines = [
        *_metric(
            "svctree_up",
            "gauge",
            "Whether the daemon serves",
            iter([({}, float(status["state"] == "serving"))]),
        )
    ]
    for name, kind, text, key in _OF_POOLS:
        lines += _metric(
            f"svctree_pool_{name}",
            kind,
            text,
            (({"pool": pool}, report.get(key, 0)) for pool, report in pools),
        )
    lines += _metric(
        "svctree_pool_reload_failed",
        "gauge",
        "Whether the last reload failed, and the old code serves on",
        (
            ({"pool": pool}, str(report.get("lastReload", "")).startswith("failed"))
            for pool, report in pools
        ),
    )
    lines += _metric(
        "svctree_pool_workers", "gauge", "Workers by state", _states(pools)
    )
    for name, kind, text, key in (
        ("requests_total", "counter", "Requests answered in this slot", "requests"),
        ("memory_bytes", "gauge", "Resident memory of the worker", "memory"),
    ):
        lines += _metric(f"svctree_worker_{name}", kind, text, _workers(pools, key))
    lines += _metric(
        "svctree_worker_request_seconds",
        "gauge",
        "Age of the oldest request in hand",
        _ages(pools),
    )
    return "\n".join(lines) + "\n"


def _states(pools: list[tuple[str, _Pool]]) -> _Samples:
    for pool, report in pools:
        found = [worker["state"] for worker in report["workers"]]
        for state in _STATES:
            yield {"pool": pool, "state": state}, found.count(state)


def _workers(pools: list[tuple[str, _Pool]], key: str) -> _Samples:
    for pool, report in pools:
        for worker in report["workers"]:
            if worker[key] is not None:
                yield {"pool": pool, "slot": worker["slot"]}, worker[key]


def _ages(pools: list[tuple[str, _Pool]]) -> _Samples:
    for pool, report in pools:
        for worker in report["workers"]:
            ages = [request["seconds"] for request in worker["current"]]
            yield {"pool": pool, "slot": worker["slot"]}, max(ages, default=0.0)


def _metric(name: str, kind: str, text: str, samples: _Samples) -> Iterator[str]:
    yield f"# HELP {name} {text}."
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        inner = ",".join(f'{key}="{_escape(v)}"' for key, v in labels.items())
        shown = f"{float(value):.6f}".rstrip("0").rstrip(".")
        yield f"{name}{{{inner}}} {shown}" if inner else f"{name} {shown}"


def _escape(value: object) -> str:
    text = str(value)
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
