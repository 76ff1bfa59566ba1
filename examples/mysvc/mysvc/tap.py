from svctree.assemble import makeTree
from svctree.settings.usageflags import SettingsOptions


class Options(SettingsOptions):
    application = "mysvc:application"


def makeService(options):
    return makeTree(options.settings)
