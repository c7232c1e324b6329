"""The locators of bookings: six characters, which do not reveal how many bookings a hotel has.

The n-th booking gets the n-th number of a permutation of all 32⁶, written without I, L, O and U (Crockford's base 32).
The permutation is a Feistel network, whose rounds are keyed with the secret of the installation and the hotel, so that
locators never collide within a hotel.
"""

from collections.abc import Container
from hashlib import blake2b

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _LETTERS for second in _LETTERS]
_ROUNDS = 3  # so many make a Feistel network a permutation that looks random (Luby and Rackoff)
_HALF_BITS = 15
_HALF = (1 << _HALF_BITS) - 1


def locator_rounds(key: bytes, hotel: str) -> blake2b:
    """The keyed hash for the rounds of a hotel's permutation."""
    assert key
    return blake2b(hotel.encode(), digest_size=2, key=key)


def locator_of(keyed: blake2b, number: int, taken: Container[str]) -> str:
    """The locator of the booking with this number. A number whose locator a booking has already, from another key, is
    skipped."""
    while True:
        left, right = number >> _HALF_BITS & _HALF, number & _HALF
        for turn in range(_ROUNDS):
            mixed = keyed.copy()
            mixed.update((turn << _HALF_BITS | right).to_bytes(3, "big"))
            left, right = right, left ^ int.from_bytes(mixed.digest(), "big") & _HALF
        locator = _PAIRS[left >> 5] + _PAIRS[(left & 31) << 5 | right >> 10] + _PAIRS[right & 1023]
        if locator not in taken:
            return locator
        number += 1
