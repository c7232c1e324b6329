"""Checksums of rows, and the hash of a set of rows: the sum of their checksums. It is kept up with each row that comes
or goes, and reveals a row that has vanished, where no other row is wrong."""

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

SET_MODULUS = 2**128
pack = msgspec.msgpack.Encoder().encode


def digest(row: Sequence[object]) -> bytes:
    """Returns the checksum of a row, over all of its columns."""
    return blake2b(pack(row), digest_size=16).digest()


def sum_bytes(total: int) -> bytes:
    """Returns the hash of a set, from the sum of the checksums of its rows as numbers."""
    return (total % SET_MODULUS).to_bytes(16, "big")
