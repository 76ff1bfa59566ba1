from svctree.settings.usageflags import SettingsOptions

from svctree.assemble import makeTree


class Options(SettingsOptions):
    application = "mysvc:application"


def makeService(options):
    return makeTree(options.settings)
