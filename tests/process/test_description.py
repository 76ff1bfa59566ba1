"""
A daemon and its control socket can be written down with their tree.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from svctree.control import ControlService
from svctree.process import DaemonService
from svctree.process.notify import Notify
from svctree.service import Application, IServiceCollection
from svctree.tree.description import madeOf
from svctree.tree.persist import CannotDescribe
from svctree.tree.persist.document import readDocument, writeDocument
from tests.support.systemd import FakeSystemd


def somewhere() -> str:
    """
    Where the daemon of these tests serves.
    """
    return "http://127.0.0.1:8080/"


def daemonOf(**keywords: Any) -> DaemonService:
    return DaemonService(
        pidfile=Path("/run/site.pid"),
        errorlog="/var/log/site.log",
        user=0,
        group="root",
        chroot="/srv",
        terminal=True,
        where=somewhere,
        name="site",
        **keywords,
    )


def application(*services: Any) -> Any:
    made = Application("site")
    for service in services:
        service.setServiceParent(made)
    return made


def test_roundTrip() -> None:
    """
    They survive in a document and in a pickle, with the options that were chosen and
    no others.
    """
    control = ControlService("unix:run/site.ctl(600)", name="ctl")
    made = application(daemonOf(), DaemonService(), control)
    document = writeDocument(made)
    assert b"/run/site.pid" in document
    assert b"watchdog" not in document
    for loaded in (
        readDocument(document, "site.tax"),
        pickle.loads(pickle.dumps(made)),
    ):
        before = list(IServiceCollection(made))
        after = list(IServiceCollection(loaded))
        assert [each.name for each in after] == ["site", "daemon", "ctl"]
        assert [madeOf(each) for each in after] == [madeOf(each) for each in before]
        assert all(each.parent is IServiceCollection(loaded) for each in after)
        assert after[0].pidFile.path == "/run/site.pid"
        assert after[0].identity == before[0].identity
        assert after[0]._summary().startswith("serving at http://127.0.0.1:8080/")
        assert after[2].addresses == control.addresses
        assert writeDocument(loaded) == document


def test_whatCannotBeDescribed(tmp_path: Path) -> None:
    """
    A daemon that tells what no module exports, or reports to systemd by a socket that
    only this process has, cannot be described, and says so.
    """
    made = application(DaemonService(where=lambda: "here"))
    with pytest.raises(CannotDescribe, match=r"^/daemon cannot be described: .*where"):
        writeDocument(made)
    systemd = FakeSystemd(tmp_path / "notify")
    notify = Notify(systemd.address)
    made = application(DaemonService(notify=notify))
    with pytest.raises(CannotDescribe, match="its socket to systemd"):
        writeDocument(made)
    notify.close()
    systemd.socket.close()
