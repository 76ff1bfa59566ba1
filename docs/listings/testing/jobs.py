"""
A tree to test: a queue, and a mailer that cannot work without it.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred

from svctree.service import Service
from svctree.tree import Supervisor


class Queue(Service):
    """
    Connects to a queue somewhere.
    """

    def __init__(self, connect: Callable[[], Deferred[None]]) -> None:
        self._connect = connect

    async def startService(self) -> None:
        await self._connect()
        super().startService()


def makeJobs(queue: Service, mailer: Service, **options: object) -> Supervisor:
    """
    @return: the tree of this program.
    """
    jobs = Supervisor(strategy="restForOne", **options)
    queue.setName("queue")
    mailer.setName("mailer")
    jobs.place(queue)
    jobs.place(mailer, requires=["queue"], restart="transient")
    return jobs
