"""
A supervisor that restarts a worker, and gives up on it.
"""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from svctree.tree import BackOff, RunService, Supervisor


class Consumer(RunService):
    """
    Works on a queue until that fails.
    """

    async def run(self):
        self.failed = Deferred()
        await self.failed


clock = Clock()
supervisor = Supervisor(
    strategy="oneForOne",
    maxRestarts=2,
    within=10.0,
    backOff=BackOff(initial=1.0, jitter=0.0),
    clock=clock,
)
supervisor.setName("consumers")
supervisor.subscribe(print)
supervisor.onDown = lambda failure: print("down:", failure.getErrorMessage())

consumer = Consumer()
consumer.setName("mail")
supervisor.place(consumer, restart="permanent", stopTimeout=5.0)
supervisor.startService()

for _ in range(3):
    consumer.failed.errback(ConnectionError("the queue is gone"))
    # Time passes here only because the clock is a fake.
    clock.advance(1.0)
