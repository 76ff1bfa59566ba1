"""
The XML document and the generated program.
"""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.application.internet import TimerService
from twisted.persisted.sob import IPersistable
from twisted.python.components import registerAdapter

from svctree.interfaces import IDescribable
from svctree.service import (
    Application,
    IService,
    IServiceCollection,
    MultiService,
    Service,
    loadApplication,
)
from svctree.tree import (
    BackOff,
    DynamicSupervisor,
    PartitionSupervisor,
    Supervisor,
)
from svctree.tree.persist import KINDS, CannotDescribe, CannotSave, DocumentError
from svctree.tree.persist.document import readDocument, writeDocument
from svctree.tree.persist.program import writeProgram
from tests.tree.persist import sample
from tests.tree.persist.sample import Bare, Pair, Silent, Strict, Ticker
from tests.tree.persist.test_kinds import sampleApplication, save, shapeOf


def applicationOf(*services: Service) -> object:
    """
    @return: an application with these children.
    """
    application = Application("site")
    for service in services:
        service.setServiceParent(application)
    return application


def childrenOf(application: object) -> list[IService]:
    """
    @return: the application's children.
    """
    return list(IServiceCollection(application))


def run(program: bytes) -> object:
    """
    @return: the C{application} that a program makes.
    """
    namespace: dict[str, object] = {}
    exec(compile(program, "site.tac", "exec"), namespace)
    return namespace["application"]


plainData = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters())
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(
            st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"])).filter(
                lambda key: not {"\ufffe", "\uffff"} & set(key)
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(value=plainData)
def test_anyPlainData(value: object) -> None:
    """
    Any plain data survives both the document and the program, with its types.
    """
    application = applicationOf(Ticker(value=value))
    (fromXML,) = childrenOf(readDocument(writeDocument(application), "f"))
    assert repr(fromXML.keywords) == repr({"value": value})
    (fromProgram,) = childrenOf(run(writeProgram(application)))
    assert repr(fromProgram.keywords) == repr({"value": value})


def test_notANumber() -> None:
    """
    NaN and the infinities survive as well.
    """
    application = applicationOf(Ticker(v=[math.nan, math.inf, -math.inf]))
    for loaded in (
        readDocument(writeDocument(application), "f"),
        run(writeProgram(application)),
    ):
        (ticker,) = childrenOf(loaded)
        assert repr(ticker.keywords) == "{'v': [nan, inf, -inf]}"


def test_document() -> None:
    """
    The document is what one would write by hand: nested as the tree is, with the
    names under which the classes are exported.
    """
    assert writeDocument(sampleApplication()).decode() == (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<application version="1" name="site" uid="33" gid="44" '
        'processname="site master">\n'
        '  <service class="svctree.service.MultiService" name="web">\n'
        '    <service class="tests.tree.persist.sample.Strict" name="strict">\n'
        '      <setting name="interval" type="float">2.5</setting>\n'
        '      <setting name="call" type="reference">'
        "tests.tree.persist.sample.beat</setting>\n"
        "    </service>\n"
        '    <service class="svctree.service.MultiService">\n'
        "    </service>\n"
        "  </service>\n"
        '  <service class="tests.tree.persist.sample.Bare">\n'
        "  </service>\n"
        "</application>\n"
    )


def test_program() -> None:
    """
    The program is what one would write into a C{.tac} file.
    """
    text = writeProgram(sampleApplication()).decode()
    assert "import tests.tree.persist.sample\n" in text
    assert "application = svctree.service.Application('site', uid=33, gid=44)\n" in text
    assert (
        "tests.tree.persist.sample.Strict(interval=float('2.5'), "
        "call=tests.tree.persist.sample.beat)\n" in text
    )


def test_composite() -> None:
    """
    Children that a container makes itself are not written beside it.
    """
    application = applicationOf(Pair())
    loaded = readDocument(writeDocument(application), "f")
    assert shapeOf(loaded) == shapeOf(application)
    assert b"Bare" not in writeDocument(application)


def supervised() -> object:
    """
    @return: an application with everything that a supervisor knows of its children.
    """
    application = Application("site")
    jobs = Supervisor(
        strategy="restForOne",
        maxRestarts=7,
        backOff=BackOff(initial=0.5),
        autoShutdown="anySignificant",
        keepGoing=True,
        defaults={"stopTimeout": 3.0},
    )
    jobs.setName("jobs")
    jobs.setServiceParent(application)
    for name in ("queue", "mailer"):
        service = Strict(1.5)
        service.setName(name)
        if name == "queue":
            service.setServiceParent(jobs)
            continue
        jobs.place(
            service,
            factory=sample.makeStrict,
            restart="transient",
            significant=True,
            after="queue",
            requires=["queue"],
            startTimeout=2.0,
        )
    plain = MultiService(keepGoing=True)
    plain.setServiceParent(application)
    first, second = Bare(), Bare()
    first.setName("first")
    plain.place(second, after=["first"])
    plain.place(first)
    return application


@pytest.mark.parametrize("kind", KINDS)
def test_supervision(kind: str, tmp_path: Path) -> None:
    """
    What a supervisor, or a container, knows of its children survives in each kind of
    file.
    """
    application = supervised()
    save(application, tmp_path / "file", kind, None)
    loaded = loadApplication(tmp_path / "file", kind)
    assert shapeOf(loaded) == shapeOf(application)
    for before, after in zip(childrenOf(application), childrenOf(loaded), strict=True):
        assert after.settings() == before.settings()
        for old, new in zip(before, after, strict=True):
            assert after.placementOf(new) == before.placementOf(old)
    jobs = childrenOf(loaded)[0]
    assert jobs.placementOf(jobs.getServiceNamed("mailer")) == {
        "factory": sample.makeStrict,
        "restart": "transient",
        "significant": True,
        "after": ("queue",),
        "requires": ("queue",),
        "startTimeout": 2.0,
    }


@pytest.mark.parametrize("kind", ["pickle", "xml", "python"])
def test_partitions(kind: str, tmp_path: Path) -> None:
    """
    A supervisor of partitions makes its copies again.
    """
    copies = PartitionSupervisor(sample.makePart, 3, maxRestarts=9)
    application = applicationOf(copies)
    save(application, tmp_path / "file", kind, None)
    (loaded,) = childrenOf(loadApplication(tmp_path / "file", kind))
    assert shapeOf(loaded) == shapeOf(copies)
    assert loaded.settings() == copies.settings()


def test_dynamicChildren() -> None:
    """
    Children that are made as the program runs are none of a document's business, and
    it says so.
    """
    jobs = DynamicSupervisor(sample.makeStrict)
    with pytest.raises(CannotDescribe, match=r"^/#0 cannot be described: the c"):
        writeDocument(applicationOf(jobs))


@pytest.mark.parametrize("kind", ["pickle", "source"])
def test_cannotSave(kind: str, tmp_path: Path) -> None:
    """
    What cannot be saved is refused when it is saved, not when it is loaded; the file
    that was there stays.
    """
    path = tmp_path / "file"
    path.write_text("before")
    odd = Ticker(odd={1, 2} if kind == "source" else lambda: 1)
    with pytest.raises(CannotSave, match=f"cannot be saved as {kind}: "):
        save(applicationOf(odd), path, kind, None)
    assert path.read_text() == "before"


def test_lambdaFactory() -> None:
    """
    A child whose factory cannot be imported is named.
    """
    jobs = Supervisor()
    jobs.addChild(lambda: Bare(), name="mailer")
    with pytest.raises(CannotDescribe, match=r"^/#0/mailer cannot be described: "):
        writeDocument(applicationOf(jobs))


def test_keywordsOfEveryName() -> None:
    """
    A keyword that Python's grammar does not take is passed all the same.
    """
    application = applicationOf(Ticker(**{"class": 1, "a-b": 2}))
    assert shapeOf(run(writeProgram(application))) == shapeOf(application)


def test_deep() -> None:
    """
    A chain of containers deeper than Python's stack is written and read.
    """
    top = innermost = MultiService()
    for _ in range(1500):
        inner = MultiService()
        inner.setServiceParent(innermost)
        innermost = inner
    loaded = readDocument(writeDocument(applicationOf(top)), "f")
    depth = 0
    (found,) = childrenOf(loaded)
    while found.services:
        (found,) = found.services
        depth += 1
    assert depth == 1500


class Local(Service):
    """
    Replaced below by an impostor of the same name.
    """


def _undescribable() -> list[tuple[str, Service, str]]:
    class Inner(Service):
        pass

    local = Local()
    nameless = Bare()
    nameless.setName("\x00")
    touched = Bare()
    touched.extra = 1  # type: ignore[attr-defined]
    return [
        ("no settings", Silent(), "does not say what its settings are"),
        ("not plain", Ticker(a={"b": [object()]}), "its setting a: a builtins.object"),
        ("bad key", Ticker(a={1: 2}), "the key 1 of a dict is not a str"),
        ("subclass", Ticker(a=type("Text", (str,), {})("x")), "is not plain data"),
        ("lambda", Ticker(a=lambda: 1), "made inside a function"),
        ("local class", Inner(), "made inside a function"),
        ("hidden class", local, "is not what that name imports"),
        ("name", nameless, "XML cannot carry its name"),
        ("attribute set", touched, "does not say what its settings are"),
    ]


@pytest.mark.parametrize("number", range(len(_undescribable())))
def test_cannotDescribe(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A service that cannot be described is named by its path, with the reason.
    """
    what, service, reason = _undescribable()[number]
    monkeypatch.setattr(sys.modules[__name__], "Local", None)
    if service.name is None:
        service.setName("odd")
    web = MultiService()
    web.setName("web")
    service.setServiceParent(web)
    with pytest.raises(CannotDescribe) as caught:
        writeDocument(applicationOf(web))
    assert caught.value.path == f"/web/{service.name}", what
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unnamed() -> None:
    """
    A service without a name is called by its serial number.
    """
    with pytest.raises(CannotDescribe, match=r"^/#1 cannot be described: "):
        writeDocument(applicationOf(Bare(), Silent()))


def test_cannotDescribeLeavesFile(tmp_path: Path) -> None:
    """
    A tree that cannot be described leaves the file that was there.
    """
    path = tmp_path / "site.tax"
    path.write_text("before")
    persistable = IPersistable(applicationOf(Silent()))
    for kind in ("xml", "python"):
        persistable.setStyle(kind)
        with pytest.raises(CannotDescribe):
            persistable.save(filename=str(path))
    assert path.read_text() == "before"


def test_adapter() -> None:
    """
    A class of somebody else is described by an adapter.
    """

    class Described:
        def __init__(self, timer: TimerService) -> None:
            self._timer = timer

        def settings(self) -> dict[str, object]:
            return {"step": self._timer.step, "callable": sample.beat}

    registerAdapter(Described, TimerService, IDescribable)
    loaded = readDocument(
        writeDocument(applicationOf(TimerService(2, sample.beat))), "f"
    )
    (timer,) = childrenOf(loaded)
    assert isinstance(timer, TimerService)
    assert (timer.step, timer.call) == (2, (sample.beat, (), {}))


SERVICE = '<service class="tests.tree.persist.sample.Bare"'
STRICT = '<service class="tests.tree.persist.sample.Strict">'

BAD = {
    "no XML": ("<application", 1, "no XML: "),
    "empty": ("", 1, "no XML: "),
    "another element": ("<svctree/>", 1, "got <svctree>, expected <application>"),
    "no version": ('<application name="x"/>', 1, "version None is unknown"),
    "no name": ('<application version="1"/>', 1, "lacks the attribute name"),
    "uid": (
        '<application version="1" name="x" uid="root"/>',
        1,
        "uid is 'root', expected a number",
    ),
    "unknown attribute": (
        '<application version="1" name="x" user="y"/>',
        1,
        "has no attribute user, expected: gid, name, processname, uid, version",
    ),
    "doctype": (
        '<!DOCTYPE a [<!ENTITY b "c">]><application version="1" name="&b;"/>',
        1,
        "a document type or an entity is not allowed",
    ),
    "text": ('<application version="1" name="x">\nhello</application>', 1, "text"),
}

BAD_SERVICES = {
    "no class": ("<service/>", "lacks the attribute class"),
    "not there": ('<service class="no.where"/>', "cannot import 'no.where'"),
    "no dotted name": ('<service class="x y"/>', "cannot import 'x y'"),
    "a function": ('<service class="os.system"/>', "os.system is no service"),
    "a class": (
        '<service class="subprocess.Popen"/>',
        "subprocess.Popen is no service",
    ),
    "setting alone": ("<setting/>", "got <setting>, expected <service>"),
    "unknown part": (f"{SERVICE}><option/></service>", "got <option>, expected <"),
    "no children": (f"{SERVICE}>{SERVICE}/></service>", "takes no services"),
    "nameless setting": (f"{STRICT}<setting/></service>", "lacks the attribute name"),
    "twice": (
        f'{STRICT}<setting name="interval">1</setting>'
        '<setting name="interval">1</setting></service>',
        "the setting interval is given twice",
    ),
    "unknown setting": (
        f'{STRICT}<setting name="intervall" type="int">1</setting></service>',
        "refuses its settings: ",
    ),
    "refused": (
        f'{STRICT}<setting name="interval" type="int">0</setting></service>',
        "refuses its settings: interval is 0, expected more than 0",
    ),
    "unknown type": (
        f'{STRICT}<setting name="interval" type="number">1</setting></service>',
        "type 'number' is unknown, expected: bool, bytes, dict, float, int",
    ),
    "not an int": (
        f'{STRICT}<setting name="interval" type="int">1.0</setting></service>',
        "got '1.0', expected an integer",
    ),
    "not a float": (
        f'{STRICT}<setting name="interval" type="float">x</setting></service>',
        "got 'x', expected a number",
    ),
    "not a bool": (
        f'{STRICT}<setting name="interval" type="bool">yes</setting></service>',
        "got 'yes', expected true or false",
    ),
    "not base64": (
        f'{STRICT}<setting name="interval" type="bytes">?</setting></service>',
        "got '?', expected base64",
    ),
    "not nothing": (
        f'{STRICT}<setting name="interval" type="none">x</setting></service>',
        "expected nothing for the type none",
    ),
    "not a name": (
        f'{STRICT}<setting name="call" type="reference">no.such</setting></service>',
        "cannot import 'no.such'",
    ),
    "dict without key": (
        f'{STRICT}<setting name="call" type="dict"><item/></setting></service>',
        "lacks the attribute key",
    ),
    "value with elements": (
        f'{STRICT}<setting name="call"><item/></setting></service>',
        "a value of type str holds no elements",
    ),
    "list with others": (
        f'{STRICT}<setting name="call" type="list"><it/></setting></service>',
        "got <it>, expected <item>",
    ),
    "deep value": (
        f'{STRICT}<setting name="call" type="list">'
        + '<item type="list">' * 101
        + "</item>" * 101
        + "</setting></service>",
        "values nest more than 100 deep",
    ),
    "same name": (
        f'{SERVICE} name="a"/>{SERVICE} name="a"/>',
        "'a'",
    ),
    "two placements": (
        f"{SERVICE}><placement/><placement/></service>",
        "a second <placement>",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_badDocument(what: str) -> None:
    """
    What is no document of an application is refused with the line and what was
    expected.
    """
    text, line, problem = BAD[what]
    with pytest.raises(DocumentError) as caught:
        readDocument(text.encode(), "site.tax")
    assert str(caught.value).startswith(f"site.tax:{line}: ")
    assert problem in str(caught.value)


@pytest.mark.parametrize("what", BAD_SERVICES)
def test_badService(what: str) -> None:
    """
    A bad service is refused with its line.
    """
    text, problem = BAD_SERVICES[what]
    document = f'<application version="1" name="x">\n{text}\n</application>'
    with pytest.raises(DocumentError) as caught:
        readDocument(document.encode(), "site.tax")
    assert str(caught.value).startswith("site.tax:2: ")
    assert problem in str(caught.value)


def test_nestedTooDeep() -> None:
    """
    A document cannot nest without bound.
    """
    text = '<application version="1" name="x">' + "<service>" * 10_000
    with pytest.raises(DocumentError, match="nested more than 10000 deep"):
        readDocument(text.encode(), "f")


def test_mainProgram(tmp_path: Path) -> None:
    """
    A class of the main program is refused, since nobody else could import it.
    """
    program = tmp_path / "main.py"
    program.write_text(
        "from svctree.service import Application, Service\n"
        "from svctree.tree.persist.document import writeDocument\n"
        "class Mine(Service): pass\n"
        "application = Application('x')\n"
        "Mine().setServiceParent(application)\n"
        "writeDocument(application)\n"
    )
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=60
    )
    assert (
        "/#0 cannot be described: Mine lives in the program's main file" in done.stderr
    )


@given(text=st.text(max_size=60) | st.binary(max_size=60))
def test_anyInput(text: str | bytes) -> None:
    """
    Whatever is read, the only error is a L{DocumentError}.
    """
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    with pytest.raises(DocumentError):
        readDocument(raw, "f")
