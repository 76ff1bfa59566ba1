"""
A service that says what it is made of.
"""

from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from svctree.interfaces import IDescribable
from svctree.service import Service


@implementer(IDescribable)
class Ticker(Service):
    """
    Says a word every C{interval} seconds.
    """

    log = Logger()

    def __init__(self, interval: float, word: str = "tick") -> None:
        self.interval = interval
        self.word = word
        self._loop = LoopingCall(self._say)

    def settings(self) -> dict[str, object]:
        return {"interval": self.interval, "word": self.word}

    def startService(self) -> None:
        super().startService()
        self._loop.start(self.interval)

    def stopService(self) -> None:
        super().stopService()
        self._loop.stop()

    def _say(self) -> None:
        self.log.info("{word}", word=self.word)
