"""
The register of children against a plain list.
"""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest

from svctree.service import MultiService, Service
from svctree.tree.children import Children
from svctree.tree.states import Record
from tests.tree.services import Bare


def agree(children: Children, model: list[Any]) -> None:
    """
    Fail unless both hold the same, found in the same places.
    """
    assert [id(each) for each in children] == [id(each) for each in model]
    assert len(children) == len(model)
    assert all(each in children for each in model)
    serials = []
    for each in model:
        position = children.find(each)
        assert children.entries[position] is each
        serials.append(children.serial(position))
    assert len(set(serials)) == len(serials)


def oneStep(chance: random.Random, children: Children, model: list[Any]) -> None:
    number = chance.randrange(-len(model), len(model)) if model else 0
    what = chance.choice(["append"] * 4 + ["insert", "remove", "del", "pop", "swap"])
    service: Any = Service() if chance.random() < 0.7 else Bare([])
    if what == "append" or not model:
        children.append(service)
        model.append(service)
    elif what == "insert":
        children.insert(number, service)
        model.insert(number, service)
    elif what == "remove":
        gone = model.pop(number)
        children.remove(gone)
        assert gone not in children
    elif what == "del":
        del children[number : number + 2]
        del model[number : number + 2]
    elif what == "pop":
        assert children.pop(number) is model.pop(number)
    else:
        children[number] = service
        model[number] = service


@pytest.mark.parametrize("seed", range(4))
def test_likeAList(seed: int) -> None:
    """
    Whatever is done to it, it holds what a list would, in the same order; each child
    is found, and keeps its serial number and its record.
    """
    chance = random.Random(seed)
    children, model = Children(), []
    marked: dict[int, int] = {}
    for _ in range(300):
        oneStep(chance, children, model)
        agree(children, model)
        for each in model:
            position = children.find(each)
            serial = children.serial(position)
            if serial not in marked:
                marked[serial] = chance.choice([Record.UP, Record.NEW])
                children.states[position] = marked[serial]
            assert children.states[position] == marked[serial]


def test_inTwoLists() -> None:
    """
    A service may be in several lists, and is found in each.
    """
    services = [Service() for _ in range(5)]
    first, second = Children(services), Children(reversed(services))
    assert [second.find(each) for each in services] == [4, 3, 2, 1, 0]
    with pytest.raises(ValueError, match="already"):
        second.append(services[0])
    first.remove(services[1])
    assert services[1] not in first
    assert second.find(services[1]) == 3
    second.remove(services[0])
    assert first.find(services[0]) == 0
    first.append(services[1])
    with pytest.raises(ValueError, match="already"):
        second.append(services[1])
    agree(first, [services[0], *services[2:], services[1]])
    agree(second, services[:0:-1])


def test_copies() -> None:
    """
    A copy of a child is not taken for the child.
    """
    service = Service()
    parent = MultiService()
    service.setServiceParent(parent)
    twin = copy.copy(service)
    assert twin not in parent.services
    twin.parent = None
    twin.setServiceParent(parent)
    agree(parent.services, [service, twin])
    again = copy.deepcopy(parent)
    assert len(again.services) == 2
    agree(again.services, list(again))


def test_nameLost() -> None:
    """
    A child whose name is taken away by assignment has a serial number of its own from
    then on, and its old name is free when it has left.
    """
    container = MultiService()
    for name in ("a", None, "b", None):
        child = Service()
        child.name = name
        child.setServiceParent(container)
    children = list(container)
    assert [child.path for child in children] == ["/a", "/#1", "/b", "/#3"]
    children[0].name = children[2].name = None
    paths = [child.path for child in children]
    assert paths[1::2] == ["/#1", "/#3"]
    assert len(set(paths)) == 4
    assert [child.path for child in children] == paths
    for child in children:
        child.disownServiceParent()
    assert container.namedServices == {}
    assert list(container) == []
