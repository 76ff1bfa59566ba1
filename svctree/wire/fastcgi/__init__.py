"""
FastCGI 1.0, without I/O.

 - L{svctree.wire.fastcgi.records}: the numbers of the protocol, and records as bytes.
 - L{svctree.wire.fastcgi.pairs}: name-value pairs.
 - L{svctree.wire.fastcgi.states}: which record may follow which.
 - L{svctree.wire.fastcgi.streams}: what a request brings.
 - L{svctree.wire.fastcgi.codec}: the input side of a connection.
 - L{svctree.wire.fastcgi.reply}: its output side.
 - L{svctree.wire.fastcgi.factory}: what connections share.
"""

from svctree.wire.fastcgi.codec import FastCGICodec
from svctree.wire.fastcgi.factory import FastCGIFactory, allowedPeers
from svctree.wire.fastcgi.pairs import renderPairs, takePairs
from svctree.wire.fastcgi.records import FastCGIError, Kind, Record, Role, takeRecord
from svctree.wire.fastcgi.states import TRANSITIONS, Event, State, UnexpectedRecord

__all__ = [
    "TRANSITIONS",
    "Event",
    "FastCGICodec",
    "FastCGIError",
    "FastCGIFactory",
    "Kind",
    "Record",
    "Role",
    "State",
    "UnexpectedRecord",
    "allowedPeers",
    "renderPairs",
    "takePairs",
    "takeRecord",
]
