"""
HTTP/1.1 for servers, strict and without I/O (RFC 9110, RFC 9112).
"""

from svctree.wire.http.codec import HTTPCodec
from svctree.wire.http.factory import HTTPFactory

__all__ = ["HTTPCodec", "HTTPFactory"]
