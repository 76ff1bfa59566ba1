"""
A service that is up, but not well.
"""

from twisted.internet.task import Clock

from svctree.tree import HealthCheck, Service, Supervisor


class Proxy(Service):
    well = True

    def startService(self):
        super().startService()
        self.well = True
        print("proxy starts")


clock = Clock()
supervisor = Supervisor(clock=clock)
proxy = Proxy()
supervisor.place(
    proxy,
    health=HealthCheck(lambda service: service.well, interval=10.0, failures=3),
)
supervisor.startService()
proxy.well = False
clock.pump([10.0] * 3)
print("proxy is well:", proxy.well)
