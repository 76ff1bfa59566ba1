from svctree import ListenerService, PoolService
from svctree.process import DaemonService
from svctree.service import Application

application = Application("shop")
DaemonService(
    pidfile="run/shop.pid", errorlog="run/shop.log", user="www-data"
).setServiceParent(application)
ListenerService("unix:run/shop.sock(660)").setServiceParent(application)
PoolService(workers=2).setServiceParent(application)
