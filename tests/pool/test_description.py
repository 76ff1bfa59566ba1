"""
A pool can be written down with its tree.
"""

from __future__ import annotations

import pytest

from svctree.listen import ListenerService
from svctree.pool import PoolService
from svctree.service import Application, IServiceCollection
from svctree.tree.description import madeOf
from svctree.tree.persist import CannotDescribe
from svctree.tree.persist.document import readDocument, writeDocument


def test_roundTrip() -> None:
    """
    A listener and a pool survive in a document, with the options that were chosen and
    no others.
    """
    application = Application("site")
    ListenerService("tcp:127.0.0.1:8080", name="http").setServiceParent(application)
    pool = PoolService(
        "mysvc.web:application",
        listeners=["http"],
        name="site",
        workers=(2, 4),
        timeout=12.5,
        env={"A": "b"},
    )
    pool.setServiceParent(application)
    document = writeDocument(application)
    assert b"mysvc.web:application" in document
    assert b"gracefulTimeout" not in document
    _, loaded = IServiceCollection(readDocument(document, "site.tax"))
    assert loaded.name == "site"
    assert loaded.settings == pool.settings
    assert madeOf(loaded) == madeOf(pool)


def test_namelessListener() -> None:
    """
    A pool that was handed a listener without a name cannot be described, and says so.
    """
    listener = ListenerService("tcp:127.0.0.1:8080")
    listener.name = None
    application = Application("site")
    PoolService("a:b", listeners=[listener]).setServiceParent(application)
    with pytest.raises(CannotDescribe, match=r"^/web cannot be described: it was h"):
        writeDocument(application)
