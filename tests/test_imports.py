"""
Who may import whom (the architecture's rules), and what is public.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import svctree

PACKAGE = Path(svctree.__file__).parent

# The import system's names for what each room must not reach.
FORBIDDEN = {
    "wire": {"twisted", "zope", "socket", "select", "selectors", "asyncio"},
    "wsgi": {"twisted", "zope", "socket", "select", "selectors", "asyncio"},
    "worker": {"twisted", "zope", "asyncio"},
}

DOORS = {"svctree.cli", "svctree.tap", "svctree.opi"}

# What a room must not import of ours. "pool" is for "worker" two modules only.
ROOMS_APART = {
    "tree": {"process", "listen", "pool", "worker", "wire", "wsgi", "control"},
    "wire": {"tree", "process", "listen", "pool", "worker", "wsgi", "control"},
    "wsgi": {"tree", "process", "listen", "pool", "worker", "control"},
    "worker": {"tree", "process", "listen", "control", "service", "settings"},
    "settings": {"tree", "process", "pool", "worker", "wsgi", "control"},
}

# Looked up late, and only for a name that the schema does not know.
LATE = {"svctree.settings.names": {"pool"}}

SHARED_WITH_WORKERS = {"svctree.pool.messages", "svctree.pool.scoreboard"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


NAMES: set[str] = set()


def importsOf(path: Path, atTop: bool = False) -> set[str]:
    """
    @param atTop: only what importing the module imports.
    @return: the absolute names that a module imports.
    """
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if atTop and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if name in NAMES else node.module or "")
        stack.extend(ast.iter_child_nodes(node))
    return found


def roomOf(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def nameOf(path: Path) -> str:
    parts = ["svctree", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES.update(map(nameOf, modules()))


@pytest.mark.parametrize("path", modules(), ids=nameOf)
def test_roomsKeepToThemselves(path: Path) -> None:
    """
    No module imports what its room must not know.
    """
    room = roomOf(path)
    imported = importsOf(path)
    tops = {name.partition(".")[0] for name in imported}
    assert not tops & FORBIDDEN.get(room, set())
    for name in imported:
        parts = name.split(".")
        if parts[0] != "svctree" or len(parts) == 1:
            continue
        apart = ROOMS_APART.get(room, set()) - LATE.get(nameOf(path), set())
        assert parts[1] not in apart, name
        if room == "worker" and parts[1] == "pool" and len(parts) > 2:
            assert ".".join(parts[:3]) in SHARED_WITH_WORKERS, name


@pytest.mark.parametrize("path", modules(), ids=nameOf)
def test_nobodyImportsTheDoors(path: Path) -> None:
    """
    cli, tap and opi are imported by nobody but their own starters.
    """
    if nameOf(path) in DOORS | {"svctree.__main__"}:
        return
    assert not importsOf(path, atTop=True) & DOORS


def test_noCircles() -> None:
    """
    No module imports, by way of others, itself.
    """
    known = {nameOf(path): path for path in modules()}
    graph = {
        name: {
            other
            for other in importsOf(path, atTop=True)
            if other in known and other != name
        }
        for name, path in known.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, (*trail, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


WITHOUT_TWISTED = [
    "svctree",
    "svctree.cli",
    "svctree.command.brief",
    "svctree.pool.messages",
    "svctree.pool.scoreboard",
    "svctree.settings",
    "svctree.wire",
    "svctree.worker.zygote",
    "svctree.wsgi",
]


@pytest.mark.parametrize("name", WITHOUT_TWISTED)
def test_workersStayFreeOfTwisted(name: str) -> None:
    """
    What a worker imports does not load Twisted.
    """
    check = (
        f"import sys, {name}\n"
        "heavy = {'twisted', 'asyncio', 'zope.interface'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


@pytest.mark.parametrize(
    "name", ["svctree.assemble", "svctree.cli", "svctree.control", "svctree.tree"]
)
def test_noReactorByImport(name: str) -> None:
    """
    Importing installs no reactor: a program may still choose one, and a process may
    still go into the background.
    """
    check = (
        f"import sys, {name}; sys.exit('twisted.internet.reactor' in sys.modules or 0)"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


PUBLIC = {"Application", "ListenerService", "MultiService", "PoolService", "Service"}


def test_publicNames() -> None:
    """
    The package has the names that it promises, and no others.
    """
    assert set(svctree.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(svctree, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        svctree.nonsense  # noqa: B018
