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


class RoomType(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What is sold: a code, its rate per night in minor units, its rooms in order, and how many guests a room takes. Of
    the `max_guests`, as many as `max_adults` may be adults; None is all of them. Infants are no guests, but each needs
    one of the `cots`; None is as many as there are infants."""

    code: str
    name: str
    max_guests: int
    rate: int
    rooms: tuple[str, ...] = ()
    max_adults: int | None = None
    cots: int | None = None


class RetiredRoom(msgspec.Struct, frozen=True, gc=False):
    """A room that the hotel had, and the type that it was of. If it is added again, it is the same room."""

    room: str
    room_type: str


class Hotel(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One property. `night_audit` is "manual", or the local time at which the business date is over and is closed;
    `terms_of_sale` are all versions, in order; `version` counts the changes. Where it keeps `housekeeping`, guests are
    checked in to rooms that are clean. Children below the age `infants_below` are infants, who need no bed. What was
    sold before and is not any more is in `retired_types` and `retired_rooms`. `opened_on` is the first business date.
    """

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
    retired_types: tuple[RoomType, ...] = ()
    retired_rooms: tuple[RetiredRoom, ...] = ()
    housekeeping: bool = True
    infants_below: int = 0
    overstays_block_audit: bool = False
    opened_on: date = date.min
    version: int = 1
    clock: HotelClock = HotelClock.WALL
