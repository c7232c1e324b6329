"""Locators: the six characters by which a guest names a booking at the front desk.

The n-th booking of a hotel gets the n-th number of a fixed permutation of all 32⁶, written without I, L, O and U
(Crockford's base 32). So locators never collide within a hotel, and do not reveal how many bookings it has.
"""

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _LETTERS for second in _LETTERS]
_SPACE = 32**6
_STEP = 662_607_015  # odd, so that every number occurs once
_START = 299_792_458


def locator(number: int) -> str:
    """The locator of a hotel's booking number `number`."""
    place = (number * _STEP + _START) % _SPACE
    return _PAIRS[place >> 20] + _PAIRS[place >> 10 & 1023] + _PAIRS[place & 1023]
