"""
Makes C{twistd svctree} known to Twisted.
"""

from svctree.service import ServiceMaker

svctree = ServiceMaker(
    "svctree",
    "svctree.tap",
    "Serve a WSGI application from a supervised pool of workers.",
    "svctree",
)

__all__ = ["svctree"]
