"""
Services that crash where no supervisor is their parent.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.application.internet import TimerService
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from svctree.service import MultiService, Service
from svctree.testing import FakeService, Journal, buildTree, clockedSupervisor, statesOf
from svctree.tree import Supervisor


@pytest.fixture
def journal() -> Journal:
    """
    What the fakes of a test note.
    """
    return Journal()


def started(shape: dict[str, Any], **keywords: Any) -> tuple[Any, list[Failure]]:
    """
    @return: a tree that is up, and what its runner is told.
    """
    top = buildTree(shape, MultiService(**keywords))
    told: list[Failure] = []
    top.onDown = told.append
    top.startService()
    return top, told


def test_runnerIsTold(journal: Journal) -> None:
    """
    Where no supervisor is above, the runner is told, with the place; once for each.
    """
    deep, other = FakeService(None, journal), FakeService(None, journal)
    top, told = started({"a": {"b": {"deep": deep}}, "other": other})
    deep.crash(ZeroDivisionError("ouch"))
    deep.crash(ZeroDivisionError("again"))
    other.crash(ValueError())
    assert [failure.type for failure in told] == [ZeroDivisionError, ValueError]
    assert told[0].value.servicePath == "/a/b/deep"
    assert statesOf(top)["other"] == "failed"
    top.stopService()
    assert journal.take()[-2:] == ["stop other", "stop deep"]
    assert journal.misuses == []


def test_whileItStarts(journal: Journal) -> None:
    """
    Who crashes while it starts has failed to start.
    """
    slow = FakeService(None, journal, startsLater=True)
    top, told = started({"a": {"slow": slow}, "other": FakeService(None, journal)})
    slow.crash(ZeroDivisionError())
    assert told == []
    assert str(top.state) == "failed"


def test_whileOthersStart(journal: Journal) -> None:
    """
    Who crashes while its siblings still start has the start fail: what has come up is
    stopped again, itself as well.
    """
    up, slow = FakeService("up", journal), FakeService("slow", journal, stopsLater=True)
    top, told = started({"up": up, "slow": slow})
    top.stopService()
    starting = top.startService()
    journal.take()
    failures: list[Failure] = []
    starting.addErrback(failures.append)
    up.crash(ZeroDivisionError())
    slow.down()
    assert journal.take() == ["stop up"]
    assert (len(failures), told, str(top.state)) == (1, [], "failed")
    assert failures[0].value.servicePath == "/up"
    assert journal.misuses == []


def test_theEndOfWork(journal: Journal) -> None:
    """
    That a service has finished its work is no reason to do anything.
    """
    done = FakeService(None, journal)
    top, told = started({"done": done})
    done.finish()
    assert (told, str(done.state), str(top.state)) == ([], "stopped", "running")


def test_keepGoing(journal: Journal) -> None:
    """
    A container that keeps going without what fails to start keeps going without what
    fails later as well.
    """
    inner, outer = FakeService(None, journal), FakeService(None, journal)
    top, told = started({"a": (MultiService(keepGoing=True), {"inner": inner})})
    outer.setServiceParent(top)
    inner.crash(ZeroDivisionError())
    assert told == []
    assert str(inner.state) == "failed"
    outer.crash(ValueError())
    assert len(told) == 1
    top, told = started({"b": {"deep": FakeService(None, journal)}}, keepGoing=True)
    top.lookup("b/deep").crash(ZeroDivisionError())
    assert told == []


def test_supervisorAbove(journal: Journal) -> None:
    """
    A supervisor above restarts the plain container as a whole: nothing in it can do
    without the others for all that is known.
    """
    supervisor, _ = clockedSupervisor(
        {"group": {"a": FakeService(None, journal), "b": FakeService(None, journal)}}
    )
    supervisor.startService()
    journal.take()
    supervisor.lookup("group/a").crash(ZeroDivisionError())
    assert journal.take() == [
        *("stop b", "stop a", "privileged a", "privileged b", "start a", "start b")
    ]
    assert statesOf(supervisor) == {"group": {"a": "running", "b": "running"}}
    assert journal.misuses == []


class LoggedErrorTests(TestCase):
    def test_timer(self) -> None:
        """
        A service of Twisted's fails as it does in Twisted's container: its error is
        logged, and everything goes on.
        """
        clock = Clock()
        timer = TimerService(1.0, lambda: 1 / (clock.seconds() - 1.0))
        timer.clock = clock
        top, told = started({"timer": timer})
        clock.advance(1.0)
        assert len(self.flushLoggedErrors(ZeroDivisionError)) >= 1
        assert told == []
        assert str(top.stateOf(timer)) == "failed"
        assert top.running
        top.stopService()

    def test_beforeTheStart(self) -> None:
        """
        What says in its privileged phase that it crashed is at least in the log.
        """

        class Hasty(Service):
            def privilegedStartService(self) -> None:
                self.crashed(ValueError("too early"))

        for kind in (MultiService, Supervisor):
            buildTree({"a": Hasty()}, kind()).privilegedStartService()
        logged = self.flushLoggedErrors(ValueError)
        self.assertEqual([each.value.servicePath for each in logged], ["/a", "/a"])
