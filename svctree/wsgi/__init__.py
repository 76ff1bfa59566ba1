"""
The gateway between requests and WSGI applications (PEP 3333), without I/O.
"""

from svctree.wsgi.exchange import ClientGone, ISink
from svctree.wsgi.files import FileWrapper
from svctree.wsgi.gateway import Gateway
from svctree.wsgi.input import NO_INPUT, NoInput

__all__ = ["NO_INPUT", "ClientGone", "FileWrapper", "Gateway", "ISink", "NoInput"]
