"""The public form of a booking: one guest's claim on one room for one stay."""

from datetime import date
from enum import StrEnum

import msgspec


class BookingStatus(StrEnum):
    """The status of a booking: held → confirmed → in_house → checked_out, or one of those that end it early."""

    HELD = "held"
    CONFIRMED = "confirmed"
    IN_HOUSE = "in_house"
    CHECKED_OUT = "checked_out"
    RELEASED = "released"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"


class GuestDetails(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The personal data of a guest. Is only in an event's `guest` part, beside a guest id."""

    name: str
    email: str | None = None
    phone: str | None = None
    notes: str = ""


class Booking(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The whole booking. `rate` is per night, `fee` is for a late cancellation or a no-show, both in minor units;
    instants are microseconds since 1970 UTC. `version` counts the changes. The guest is reminded of the stay on
    `reminder_on`, or on the hotel's usual day where it is None."""

    id: str
    locator: str
    hotel: str
    status: BookingStatus
    room_type: str
    room: str
    arrival: date
    departure: date
    adults: int
    guest_id: str
    guest: GuestDetails
    rate: int
    currency: str
    created_at: int
    created_by: str
    changed_at: int
    changed_by: str
    version: int = 1
    children: tuple[int, ...] = ()
    pinned: bool = False
    source: str = ""
    group: str | None = None
    expires_at: int | None = None
    fee: int = 0
    reminder_on: date | None = None
