"""
Describing a class of somebody else.
"""

from twisted.application.internet import TimerService
from twisted.python.components import registerAdapter
from zope.interface import implementer

from svctree.interfaces import IDescribable


@implementer(IDescribable)
class TimerDescription:
    """
    Describes Twisted's C{TimerService}.
    """

    def __init__(self, timer: TimerService) -> None:
        self.timer = timer

    def settings(self) -> dict[str, object]:
        function, _, _ = self.timer.call
        return {"step": self.timer.step, "callable": function}


registerAdapter(TimerDescription, TimerService, IDescribable)
