"""
Tests of the tree in jobs.py.
"""

from jobs import Queue, makeJobs
from twisted.internet.defer import succeed
from twisted.internet.task import Clock

from svctree.testing import FakeService, Journal, statesOf, verifyService


def test_contract() -> None:
    """
    The queue keeps the contract of services.
    """
    verifyService(lambda: Queue(lambda: succeed(None)))


def test_order() -> None:
    """
    The mailer starts when the queue is up, and stops before it.
    """
    journal = Journal()
    queue = FakeService(journal=journal, startsLater=True)
    jobs = makeJobs(queue, FakeService(journal=journal), clock=Clock())

    starting = jobs.startService()
    assert journal.take() == ["start queue"]

    queue.up()
    assert journal.take() == ["start mailer"]
    assert starting.called

    jobs.stopService()
    assert journal.take() == ["stop mailer", "stop queue"]
    assert journal.misuses == []


def test_crash() -> None:
    """
    When the queue goes down, both are restarted; the second time after a delay.
    """
    clock = Clock()
    queue = FakeService()
    jobs = makeJobs(queue, FakeService(), clock=clock, random=lambda: 0.5)
    jobs.startService()

    queue.crash(ConnectionError("lost"))
    assert statesOf(jobs) == {"queue": "running", "mailer": "running"}

    queue.crash(ConnectionError("lost again"))
    assert statesOf(jobs) == {"queue": "stopped", "mailer": "stopped"}
    clock.advance(0.1)
    assert statesOf(jobs) == {"queue": "running", "mailer": "running"}
    assert queue.starts == 3
