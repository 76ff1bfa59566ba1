"""
A container that waits, and one that cannot start.
"""

from twisted.internet import defer, task

from svctree.service import MultiService, Service


class Database(Service):
    def __init__(self, reactor, works):
        self.reactor = reactor
        self.works = works

    async def startService(self):
        super().startService()
        await task.deferLater(self.reactor, 0.01)
        if not self.works:
            raise ConnectionError("no database at localhost")
        print("database is up")

    def stopService(self):
        super().stopService()
        print("database has stopped")


class Web(Service):
    def startService(self):
        super().startService()
        print("web is up")

    def stopService(self):
        super().stopService()
        print("web has stopped")


def makeTree(reactor, works):
    tree = MultiService()
    database = Database(reactor, works)
    database.setName("database")
    tree.place(database)
    web = Web()
    web.setName("web")
    tree.place(web, requires="database")
    Web().setServiceParent(tree)
    return tree


async def main(reactor):
    tree = makeTree(reactor, works=True)
    await tree.startService()
    await tree.stopService()

    print("--")
    tree = makeTree(reactor, works=False)
    try:
        await tree.startService()
    except ConnectionError as error:
        print(f"{error.servicePath}: {error}; the tree is {tree.state}")


if __name__ == "__main__":
    task.react(lambda reactor: defer.ensureDeferred(main(reactor)))
