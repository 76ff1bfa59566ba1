"""
Children that come and go, and a fixed number of copies.
"""

from svctree.tree import DynamicSupervisor, PartitionSupervisor, Service


class Session(Service):
    def __init__(self, user):
        self.setName(user)


class Cache(Service):
    pass


sessions = DynamicSupervisor(Session, maxChildren=2)
sessions.startService()
sessions.startChild("ann")
sessions.startChild("bob")
print([(child.key, str(child.state)) for child in sessions.whichChildren()])
print(sessions.countChildren())
sessions.terminateChild("ann")
print([child.key for child in sessions.whichChildren()])

caches = PartitionSupervisor(lambda number: Cache(), partitions=4)
caches.startService()
print(
    caches.partitionOf(7).path, caches.partitionOf("ann") is caches.partitionOf("ann")
)
