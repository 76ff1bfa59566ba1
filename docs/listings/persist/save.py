"""
Save an application in three ways, and load it again.
"""

import ticker
from twisted.persisted.sob import IPersistable

from svctree.service import Application, IServiceCollection, loadApplication

application = Application("clock")
service = ticker.Ticker(0.5, word="tock")
service.setName("ticker")
service.setServiceParent(application)

persistable = IPersistable(application)

persistable.setStyle("xml")
persistable.save()  # clock.tax, a document

persistable.setStyle("python")
persistable.save()  # clock.tac, for twistd -ny clock.tac
persistable.save(passphrase="correct horse")  # clock.etac, encrypted

for filename, kind, passphrase in (
    ("clock.tax", "xml", None),
    ("clock.tac", "python", None),
    ("clock.etac", "python", "correct horse"),
):
    loaded = loadApplication(filename, kind, passphrase)
    found = IServiceCollection(loaded).getServiceNamed("ticker")
    print(filename, found.interval, found.word)
