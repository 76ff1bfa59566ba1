"""
Files that only a passphrase opens: scrypt, then AES-256-GCM.

The layout, all of it authenticated::

    magic       8 bytes   b"svctree\\x01"
    cost        3 bytes   log2(n), r and p of scrypt (RFC 7914)
    salt       16 bytes   random, so the key is new for each file
    nonce      12 bytes   random
    kind        1 byte length, then that many bytes of ASCII
    content     AES-256-GCM (NIST SP 800-38D) with all of the above as associated
                data; its last 16 bytes are the tag

AES-GCM and not Fernet, because it authenticates the header with the content, and
does not blow the file up by a third.
"""

from __future__ import annotations

import os
import struct

from svctree.tree.persist.errors import (
    EmptyPassphrase,
    MissingExtra,
    SealBroken,
)

__all__ = ["isSealed", "seal", "unseal"]

MAGIC = b"svctree\x01"

_HEADER = struct.Struct(">8sBBB16s12sB")

_COST = (15, 8, 1)
"""32 MiB and about 0.1 s: what OWASP's password storage sheet lists for scrypt,
nearest to the limit that libraries put on its memory by default."""

_MOST_COST = (18, 8, 4)
"""The header is read before it can be authenticated: a forged one must not be able
to ask for more than this (256 MiB)."""


def isSealed(data: bytes) -> bool:
    """
    @return: whether C{data} begins as L{seal} begins.
    """
    return data.startswith(MAGIC)


def seal(content: bytes, passphrase: str | bytes, kind: str) -> bytes:
    """
    Encrypt C{content}.

    @param kind: what the content is; readable without the passphrase, but not
        changeable.
    @raise MissingExtra: C{cryptography} is not installed.
    @raise EmptyPassphrase: C{passphrase} is C{""}.
    """
    name = kind.encode("ascii")
    salt, nonce = os.urandom(16), os.urandom(12)
    header = _HEADER.pack(MAGIC, *_COST, salt, nonce, len(name)) + name
    _, AESGCM, derive = _primitives()
    key = derive(passphrase, salt, _COST)
    return header + AESGCM(key).encrypt(nonce, content, header)


def unseal(data: bytes, passphrase: str | bytes, filename: str) -> tuple[str, bytes]:
    """
    Decrypt what L{seal} made.

    @return: the kind and the content.
    @raise SealBroken: the passphrase is wrong or the data is not as it was sealed.
    @raise MissingExtra: C{cryptography} is not installed.
    @raise EmptyPassphrase: C{passphrase} is C{""}.
    """
    if len(data) < _HEADER.size:
        raise SealBroken(filename, "it is cut short")
    _, logN, r, p, salt, nonce, length = _HEADER.unpack_from(data)
    cost = (logN, r, p)
    if not all(
        1 <= given <= most for given, most in zip(cost, _MOST_COST, strict=True)
    ):
        raise SealBroken(filename, f"no svctree writes scrypt costs {cost}")
    end = _HEADER.size + length
    header, content = data[:end], data[end:]
    InvalidTag, AESGCM, derive = _primitives()
    try:
        opened = AESGCM(derive(passphrase, salt, cost)).decrypt(nonce, content, header)
    except InvalidTag:
        raise SealBroken(filename) from None
    return header[_HEADER.size :].decode("ascii"), opened


def _primitives():  # type: ignore[no-untyped-def]
    # Imported when needed: an optional dependency, and a slow import.
    try:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
    except ImportError:
        raise MissingExtra(
            "an encrypted application file", "cryptography", "crypto"
        ) from None

    def derive(
        passphrase: str | bytes, salt: bytes, cost: tuple[int, int, int]
    ) -> bytes:
        if isinstance(passphrase, str):
            passphrase = passphrase.encode("utf-8")
        if not passphrase:
            raise EmptyPassphrase()
        logN, r, p = cost
        return Scrypt(salt=salt, length=32, n=2**logN, r=r, p=p).derive(passphrase)

    return InvalidTag, AESGCM, derive
