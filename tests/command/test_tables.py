from __future__ import annotations

import time
from typing import Any

from svctree.command.tables import renderStatus, renderTree


def worker(**changes: Any) -> dict[str, Any]:
    return {
        "pid": 11,
        "generation": 1,
        "state": "idle",
        "requests": 7,
        "connections": 1,
        "memory": 15 << 20,
        "current": [],
        **changes,
    }


def status(**changes: Any) -> dict[str, Any]:
    pool = {
        "application": "shop:app",
        "protocol": "http",
        "workermodel": "prefork",
        "target": 2,
        "ready": 1,
        "generation": 3,
        "requests": 7,
        "bytesOut": 2048,
        "errors": 0,
        "crashes": 1,
        "lastReload": "",
        "listeners": ["http://127.0.0.1:80/"],
        "workers": [worker()],
        **changes,
    }
    return {
        "pid": 10,
        "state": "serving",
        "pools": ["web"],
        "services": {"web": pool, "daemon": {"readySince": time.time() - 3700}},
    }


def test_status() -> None:
    """
    The daemon, the pool, a table of workers.
    """
    assert renderStatus(status()).splitlines() == [
        "svctree is serving, pid 10, up 1 h 1 min",
        "",
        "web: shop:app over http at http://127.0.0.1:80/",
        "  prefork, 1 of 2 ready, generation 3, 7 requests, 2.0 KiB sent, 0 errors, "
        "1 crashes",
        "  PID  GEN  STATE  REQUESTS  CONNS    MEMORY  NOW",
        "   11    1  idle          7      1  15.0 MiB",
    ]


def test_current() -> None:
    """
    What a worker does at the moment, cut to the width of the terminal.
    """
    busy = worker(
        state="busy",
        memory=None,
        current=[{"request": "GET /" + "x" * 200, "seconds": 0.25}],
    )
    lines = renderStatus(status(workers=[busy]), width=60).splitlines()
    assert lines[-1].startswith("   11    1  busy ")
    assert "GET /xxx" in lines[-1]
    assert max(len(line) for line in lines[4:]) == 60
    unknown = worker(current=[{"request": "", "seconds": 3.0}])
    shown = renderStatus(status(workers=[unknown])).splitlines()[-1]
    assert shown.endswith("a request (3.0 s)")


def test_reloads() -> None:
    """
    A failed reload is seen until another one succeeds.
    """
    shown = renderStatus(status(lastReload="failed: no such luck"))
    assert "  the last reload failed: no such luck" in shown.splitlines()
    assert "a reload is running" in renderStatus(status(lastReload="running"))
    assert "reload" not in renderStatus(status(lastReload="done"))


def test_nothingYet() -> None:
    """
    A daemon that is still starting has neither workers nor a time.
    """
    data = status(workers=[], ready=0, listeners=[])
    data["services"]["daemon"] = {"readySince": 0.0}
    data["state"] = "starting"
    lines = renderStatus(data).splitlines()
    assert lines[0] == "svctree is starting, pid 10"
    assert lines[2].endswith("at no address")
    assert len(lines) == 4


def test_ages() -> None:
    """
    Long times are in long units.
    """
    data = status()
    for seconds, words in ((59.0, "59.0 s"), (61, "1 min"), (90000, "1 d 1 h")):
        data["services"]["daemon"]["readySince"] = time.time() - seconds
        assert renderStatus(data).splitlines()[0].endswith(f"up {words}")


def test_tree() -> None:
    """
    A line for each service, drawn as a tree.
    """
    tree = {
        "name": "svctree",
        "class": "MultiService",
        "state": "running",
        "services": [
            {
                "name": "inner",
                "class": "MultiService",
                "running": True,
                "services": [{"name": None, "class": "Timer", "running": False}],
            },
            {"name": "http", "class": "Listener", "state": "running", "urls": ["u:1"]},
        ],
    }
    assert renderTree(tree).splitlines() == [
        "svctree [MultiService] running",
        "├─ inner [MultiService] running",
        "│  └─ (no name) [Timer] stopped",
        "└─ http [Listener] running u:1",
    ]
