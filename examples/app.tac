# Run with: twistd -ny app.tac
from svctree import Application, ListenerService, PoolService

# As root, add uid= and gid= to shed the privileges after the sockets are bound.
application = Application("mysvc")

ListenerService("tcp:127.0.0.1:8000", name="http").setServiceParent(application)
PoolService(
    "svctree.demo:application", listeners=["http"], workermodel="prefork", workers=2
).setServiceParent(application)
