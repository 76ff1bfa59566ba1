# Run with: twistd -ny two_pools.tac
from svctree import Application, ListenerService, PoolService

application = Application("two")

ListenerService("tcp:127.0.0.1:8000", name="public").setServiceParent(application)
ListenerService("tcp:127.0.0.1:8001", name="internal").setServiceParent(application)

PoolService(
    "hello:application", name="site", listeners=["public"], workers=2
).setServiceParent(application)
PoolService(
    "svctree.demo:application",
    name="admin",
    listeners=["internal"],
    workermodel="threaded",
).setServiceParent(application)
