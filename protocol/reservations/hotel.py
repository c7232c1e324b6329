"""The public form of a hotel: its room types, time zone, currency, hours and business date."""

from datetime import date
from enum import StrEnum
from typing import Final

import msgspec
from innkeeper.protocol.reservations.terms import TermsOfSale

MANUAL_AUDIT: Final = "manual"
"""In place of a local time: the business date is closed only on request."""


class HotelClock(StrEnum):
    """What a hotel's local time is: the clock on the wall, or a simulated one, for demos, tests and replayed histories.
    The simulated one shows the business date, which moves only on request, with the time of day."""

    WALL = "wall"
    SIMULATED = "simulated"


class RoomType(msgspec.Struct, frozen=True, gc=False):
    """What is sold: a code, how many guests it takes, its rate per night in minor units, and its rooms in order."""

    code: str
    name: str
    max_guests: int
    rate: int
    rooms: tuple[str, ...] = ()


class Hotel(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One property. `night_audit` is "manual", or the local time at which the business date is over and is closed;
    `terms_of_sale` are all versions, in order; `version` counts the changes."""

    id: str
    name: str
    timezone: str
    currency: str
    check_in: str
    check_out: str
    night_audit: str
    business_date: date
    terms_of_sale: tuple[TermsOfSale, ...]
    room_types: tuple[RoomType, ...] = ()
    version: int = 1
    clock: HotelClock = HotelClock.WALL
