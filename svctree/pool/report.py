"""
A pool as plain data.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from svctree.pool.scoreboard import (
    BYTES_IN,
    BYTES_OUT,
    CONNECTIONS,
    ERRORS,
    REQUESTS,
    Slot,
)

if TYPE_CHECKING:
    from svctree.pool.generation import Generation
    from svctree.pool.record import WorkerRecord
    from svctree.pool.service import PoolService
    from svctree.pool.shared import Shared

__all__ = ["describePool", "residentMemory"]

_TOTALS = (
    ("requests", REQUESTS),
    ("bytesIn", BYTES_IN),
    ("bytesOut", BYTES_OUT),
    ("errors", ERRORS),
)


def describePool(pool: PoolService, shared: Shared | None) -> dict[str, Any]:
    """
    @return: settings, totals since the start (they never fall), and one entry for
        each worker; ages in seconds, sizes in bytes.
    """
    settings = pool.settings
    described: dict[str, Any] = {
        "name": pool.name,
        "application": settings.application,
        "protocol": settings.protocol,
        "workermodel": settings.workermodel,
        "target": pool.size,
        "generation": 0,
        "lastReload": "",
        "workers": [],
    }
    succession = pool.succession
    if shared is None or succession is None:
        return described
    described["generation"] = succession.current.number if succession.current else 0
    described["lastReload"] = succession.lastReload
    slots = shared.scoreboard.slots
    described["crashes"] = shared.crashes
    described["listeners"] = [u for one in shared.listeners for u in one.urls()]
    for name, word in _TOTALS:
        described[name] = sum(slot.words[word] for slot in slots)
    described["connections"] = sum(slot.words[CONNECTIONS] for slot in slots)
    described["workers"] = [
        _describeWorker(generation, record, slots[record.slot])
        for generation in succession.generations
        for record in generation.roster.workers.values()
    ]
    described["ready"] = sum(1 for w in described["workers"] if w["ready"])
    return described


def _describeWorker(
    generation: Generation, record: WorkerRecord, slot: Slot
) -> dict[str, Any]:
    now = time.monotonic_ns()
    report = slot.report()
    current = [
        {"request": line, "seconds": max(0, now - start) / 1e9}
        for start, line in report.current
    ]
    return {
        "slot": record.slot,
        "pid": record.pid,
        "generation": generation.number,
        "zygote": generation.zygote,
        "ready": record.ready,
        "state": _state(record, report.state, bool(current)),
        "requests": report.requests,
        "bytesIn": report.bytesIn,
        "bytesOut": report.bytesOut,
        "errors": report.errors,
        "connections": report.connections,
        "threads": report.threads,
        "memory": residentMemory(record.pid),
        "current": current,
    }


def _state(record: WorkerRecord, written: str, busy: bool) -> str:
    if record.stuck or record.isStopped():
        return "stuck"
    if not record.ready:
        return "booting"
    if record.retiring:
        return "retiring"
    return "busy" if busy or written == "busy" else "idle"


def residentMemory(pid: int) -> int | None:
    """
    @return: bytes of a process that are in memory, or L{None} where the system does
        not tell (proc(5)).
    """
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return pages * _PAGE


def _pageSize() -> int:
    import resource

    return resource.getpagesize()


_PAGE = _pageSize()
