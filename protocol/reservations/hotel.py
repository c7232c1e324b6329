"""The public form of a hotel: its room types, time zone, currency, hours and business date."""

from datetime import date
from typing import Final

import msgspec

MANUAL_AUDIT: Final = "manual"
"""In place of a local time: the business date rolls only on request."""


class CancellationPolicy(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """Cancelling is free until this many hours before check-in time on the day of arrival; later it costs a night."""

    free_until_hours: int = 24


class RoomType(msgspec.Struct, frozen=True, gc=False):
    """What is sold: a code, how many guests it takes, its rate per night in minor units, and its rooms in order."""

    code: str
    name: str
    max_guests: int
    rate: int
    rooms: tuple[str, ...] = ()


class Hotel(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One property. `night_audit` is "manual" or the local time at which the business date rolls."""

    id: str
    name: str
    timezone: str
    currency: str
    check_in: str
    check_out: str
    night_audit: str
    cancellation: CancellationPolicy
    business_date: date
    room_types: tuple[RoomType, ...] = ()
