"""
Saving and loading applications of every kind.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from twisted.persisted.sob import IPersistable
from zope.interface.verify import verifyObject

from svctree.service import (
    Application,
    IProcess,
    IService,
    IServiceCollection,
    MultiService,
    loadApplication,
)
from svctree.tree.persist import (
    KINDS,
    EmptyPassphrase,
    NotSealed,
    PassphraseNeeded,
    PersistenceError,
    SealBroken,
    UnknownKind,
    WrongKind,
)
from tests.tree.persist import sample
from tests.tree.persist.sample import Bare, Strict

PASSPHRASES = (None, "open sesame")


def sampleApplication() -> object:
    """
    @return: an application with a tree of every shape.
    """
    application = Application("site", uid=33, gid=44)
    IProcess(application).processName = "site master"
    web = MultiService()
    web.setName("web")
    web.setServiceParent(application)
    strict = Strict(2.5)
    strict.setName("strict")
    strict.setServiceParent(web)
    MultiService().setServiceParent(web)
    Bare().setServiceParent(application)
    return application


def shapeOf(service: object) -> object:
    """
    @return: what two equal trees have in common.
    """
    children: list[object] = []
    collection = IServiceCollection(service, None)
    if collection is not None:
        children = [shapeOf(child) for child in collection]
    found = IService(service)
    facts = {
        name: value
        for name, value in vars(found).items()
        if name in ("interval", "call", "keywords", "port")
    }
    return (type(found).__name__, found.name, facts, children)


def save(application: object, path: Path, kind: str, passphrase: str | None) -> None:
    """
    Save as C{kind}.
    """
    persistable = IPersistable(application)
    persistable.setStyle(kind)
    persistable.save(filename=str(path), passphrase=passphrase)


@pytest.mark.parametrize("passphrase", PASSPHRASES)
@pytest.mark.parametrize("kind", KINDS)
def test_roundTrip(kind: str, passphrase: str | None, tmp_path: Path) -> None:
    """
    Each kind of file gives back the tree, the identity and the process name, whether
    encrypted or not.
    """
    application = sampleApplication()
    path = tmp_path / "site.file"
    save(application, path, kind, passphrase)
    loaded = loadApplication(path, kind, passphrase)
    assert shapeOf(loaded) == shapeOf(application)
    process = IProcess(loaded)
    assert (process.uid, process.gid, process.processName) == (33, 44, "site master")


@pytest.mark.parametrize("kind", KINDS)
def test_runningIsNotSaved(kind: str, tmp_path: Path) -> None:
    """
    An application saved while it runs is loaded at rest, with its children.
    """
    application = sampleApplication()
    IService(application).startService()
    path = tmp_path / "site.file"
    save(application, path, kind, None)
    loaded = IService(loadApplication(path, kind))
    assert not loaded.running
    (web, bare) = IServiceCollection(loaded)
    assert not web.running
    assert not bare.running
    loaded.startService()
    assert web.running
    assert bare.running


@pytest.mark.parametrize("kind", KINDS)
def test_usableAfterLoading(kind: str, tmp_path: Path) -> None:
    """
    A loaded tree can be changed and saved again.
    """
    path = tmp_path / "site.file"
    save(sampleApplication(), path, kind, None)
    loaded = loadApplication(path, kind)
    web = IServiceCollection(loaded).getServiceNamed("web")
    web.getServiceNamed("strict").disownServiceParent()
    Bare().setServiceParent(web)
    save(loaded, path, kind, None)
    again = loadApplication(path, kind)
    assert shapeOf(again) == shapeOf(loaded)


def test_interface() -> None:
    """
    The persistable component provides what Twisted's does.
    """
    application = Application("site")
    persistable = IPersistable(application)
    assert verifyObject(IPersistable, persistable)
    assert (persistable.name, persistable.style) == ("site", "pickle")
    assert persistable.original is application


@pytest.mark.parametrize(
    ("kind", "plain", "sealed"),
    [
        ("pickle", "tap", "etap"),
        ("source", "tas", "etas"),
        ("xml", "tax", "etax"),
        ("python", "tac", "etac"),
    ],
)
def test_fileNames(
    kind: str,
    plain: str,
    sealed: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Without a file name the application's name, the tag and the kind make one, and an
    C{e} in the extension tells an encrypted file.
    """
    monkeypatch.chdir(tmp_path)
    persistable = IPersistable(Application("site"))
    persistable.setStyle(kind)
    persistable.save()
    persistable.save("old")
    persistable.save(passphrase="x")
    assert sorted(os.listdir(tmp_path)) == sorted(
        [f"site.{plain}", f"site-old.{plain}", f"site.{sealed}"]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_wrongPassphrase(kind: str, tmp_path: Path) -> None:
    """
    With a wrong passphrase there is one error that names the file, and nothing of the
    file is executed.
    """
    path = tmp_path / "site.file"
    save(sampleApplication(), path, kind, "right")
    with pytest.raises(SealBroken, match=r"site\.file: wrong passphrase, or the file"):
        loadApplication(path, kind, "wrong")


def test_everyTamperedByte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Whichever byte of an encrypted file is changed, and wherever it is cut, loading
    fails with one clear error and nothing is executed.
    """
    monkeypatch.setattr("svctree.tree.persist.sealed._COST", (1, 1, 1))
    path = tmp_path / "site.etac"
    application = Application("site")
    sample.Ticker().setServiceParent(application)
    save(application, path, "python", "right")
    whole = path.read_bytes()
    sample.MADE.clear()
    # Three bytes in the header say how much work the key is: a higher cost that is
    # allowed would only be slow here, so these are set out of bounds.
    for place in range(len(whole)):
        flip = 0xC0 if place in (8, 9, 10) else 0x01
        path.write_bytes(
            whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :]
        )
        with pytest.raises((SealBroken, NotSealed)):
            loadApplication(path, "python", "right")
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises((SealBroken, NotSealed)):
            loadApplication(path, "python", "right")
    assert sample.MADE == []
    path.write_bytes(whole)
    loadApplication(path, "python", "right")
    assert sample.MADE == ["Ticker"]


@pytest.mark.parametrize("kind", KINDS)
def test_plainFileWithPassphrase(kind: str, tmp_path: Path) -> None:
    """
    A passphrase is never ignored: a file that is not encrypted is refused before it
    is executed, since otherwise replacing the file would get around the passphrase.
    """
    path = tmp_path / "site.file"
    path.write_text("raise SystemExit('executed')\n")
    with pytest.raises(NotSealed, match="the file is not encrypted"):
        loadApplication(path, kind, "x")


@pytest.mark.parametrize("kind", KINDS)
def test_sealedFileWithoutPassphrase(kind: str, tmp_path: Path) -> None:
    """
    An encrypted file without a passphrase asks for it.
    """
    path = tmp_path / "site.file"
    save(sampleApplication(), path, kind, "x")
    with pytest.raises(PassphraseNeeded, match="its passphrase is needed"):
        loadApplication(path, kind)


def test_kindIsSealed(tmp_path: Path) -> None:
    """
    What was encrypted as one kind is not executed as another.
    """
    path = tmp_path / "site.file"
    save(sampleApplication(), path, "xml", "x")
    with pytest.raises(WrongKind, match="saved as xml, not as python"):
        loadApplication(path, "python", "x")


@pytest.mark.parametrize("passphrase", ["", b""])
def test_emptyPassphrase(passphrase: str | bytes, tmp_path: Path) -> None:
    """
    An empty passphrase is refused, and the file is left as it was.
    """
    path = tmp_path / "site.file"
    path.write_text("before")
    persistable = IPersistable(Application("site"))
    with pytest.raises(EmptyPassphrase):
        persistable.save(filename=str(path), passphrase=passphrase)
    assert path.read_text() == "before"


def test_unknownKind(tmp_path: Path) -> None:
    """
    An unknown kind is refused with the known ones, in both directions.
    """
    with pytest.raises(UnknownKind, match="expected one of: pickle, source, xml"):
        IPersistable(Application("site")).setStyle("yaml")
    path = tmp_path / "site.file"
    path.write_text("raise SystemExit('executed')\n")
    with pytest.raises(UnknownKind, match="'yaml' is no kind"):
        loadApplication(path, "yaml")


def test_pythonWithoutApplication(tmp_path: Path) -> None:
    """
    A program that sets no C{application} is a C{KeyError}, on which twistd's own
    message relies.
    """
    path = tmp_path / "site.tac"
    path.write_text("app = 1\n")
    with pytest.raises(KeyError) as caught:
        loadApplication(path, "python")
    assert caught.value.args == ("application",)


def test_pythonKnowsItsFile(tmp_path: Path) -> None:
    """
    A program finds its own name in C{__file__}, and its encoding declared in it is
    honoured.
    """
    path = tmp_path / "site.tac"
    path.write_bytes(b"# coding: latin-1\napplication = (__file__, '\xe9')\n")
    assert loadApplication(path, "python") == (str(path), "é")


def test_modes(tmp_path: Path) -> None:
    """
    An encrypted file is for its owner only, whatever it was before; another follows
    the umask when it is new, and keeps the mode it has.
    """
    persistable = IPersistable(Application("site"))
    before = os.umask(0o027)
    try:
        new, kept, sealed = (tmp_path / name for name in ("new", "kept", "sealed"))
        for path, mode in ((kept, 0o600), (sealed, 0o644)):
            path.write_text("")
            path.chmod(mode)
        persistable.save(filename=str(new))
        persistable.save(filename=str(kept))
        persistable.save(filename=str(sealed), passphrase="x")
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (new, kept, sealed)] == [
        0o640,
        0o600,
        0o600,
    ]


def test_failureLeavesFileWhole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    When writing fails half way, the old content is still there and no debris is.
    """
    path = tmp_path / "site.tap"
    path.write_text("before")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        IPersistable(Application("site")).save(filename=str(path))
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["site.tap"]


@pytest.mark.parametrize(
    ("package", "extra"), [("cryptography", "crypto"), ("defusedxml", "xml")]
)
def test_missingExtra(
    package: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Without the optional package the error is one line that names the extra.
    """
    path = tmp_path / "site.file"
    passphrase = "x" if extra == "crypto" else None
    save(sampleApplication(), path, "xml", passphrase)
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PersistenceError) as caught:
        loadApplication(path, "xml", passphrase)
    assert f"pip install 'svctree[{extra}]'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_forgedCost(tmp_path: Path) -> None:
    """
    A forged header cannot make the key cost more than the bound.
    """
    path = tmp_path / "site.etap"
    save(Application("site"), path, "pickle", "x")
    content = bytearray(path.read_bytes())
    content[8] = 60
    path.write_bytes(content)
    with pytest.raises(
        SealBroken, match=r"no svctree writes scrypt costs \(60, 8, 1\)"
    ):
        loadApplication(path, "pickle", "x")


def test_bytesPassphrase(tmp_path: Path) -> None:
    """
    A passphrase may be bytes; text means its UTF-8.
    """
    path = tmp_path / "site.etap"
    IPersistable(Application("site")).save(filename=str(path), passphrase="é")
    assert loadApplication(path, "pickle", "é".encode()) is not None


def test_twistedsConversion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    C{twisted.application.app.convertStyle} encrypts with our files, when it is given
    our loader.
    """
    from twisted.application import app, service

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(service, "loadApplication", loadApplication)
    monkeypatch.setattr(app, "getSavePassphrase", lambda needed: "x")
    save(sampleApplication(), tmp_path / "in.tap", "pickle", None)
    app.convertStyle("in.tap", "pickle", None, "out", "source", True)
    loaded = loadApplication(tmp_path / "site.etas", "source", "x")
    assert shapeOf(loaded) == shapeOf(sampleApplication())
