"""The public form of a booking: one guest's claim on one room for one stay."""

from datetime import date
from enum import StrEnum

import msgspec
from innkeeper.protocol.values.guests import Guest
from innkeeper.protocol.values.taxes import TaxAmount, TaxExemption


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


class RoomSegment(msgspec.Struct, frozen=True, gc=False):
    """The nights [first, until) of a stay in one room; None where no room is assigned."""

    room: str | None
    first: date
    until: date


class PriceLine(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The price of one night, in minor units: `amount` as it was sold, its taxes and fees, and the `total` that the
    guest pays for it. `terms` is the version of the hotel's terms of sale on which the night was priced."""

    night: date
    amount: int
    total: int
    terms: int
    taxes: tuple[TaxAmount, ...] = ()


class BookedStay(msgspec.Struct, frozen=True, gc=False):
    """What was booked, where the guest left before: the departure, the rooms and the price of all nights."""

    departure: date
    rooms: tuple[RoomSegment, ...]
    lines: tuple[PriceLine, ...]


class Booking(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The whole booking. `rooms` are its rooms in the order of their nights: those of the past stay where the guest
    slept. `room` is the one in which the guest is or was, and before the arrival the first of them; it is empty where
    none is assigned. `checked_in_on` and `checked_out_on` are business dates; `booked` is what the guest who left early
    had booked, `overstayed_nights` are those by which a guest has stayed longer than agreed. `lines` are the price of
    each night, in order; `fee` is for a late cancellation or a no-show. Amounts are minor units, instants microseconds
    since 1970 UTC. `terms` is the version of the hotel's terms of sale on which the booking was made: cancelling is
    free up to `free_until`, and costs `late_fee` afterwards; a no-show costs `no_show_fee`, and its nights before
    `kept_until` were kept for the guest. `version` counts the changes. The guest is reminded of the stay on
    `reminder_on`, or on the hotel's usual day where it is None."""

    id: str
    locator: str
    hotel: str
    status: BookingStatus
    room_type: str
    room: str
    rooms: tuple[RoomSegment, ...]
    arrival: date
    departure: date
    adults: int
    guest: Guest
    lines: tuple[PriceLine, ...]
    terms: int
    free_until: int
    late_fee: int
    no_show_fee: int
    currency: str
    created_at: int
    created_by: str
    changed_at: int
    changed_by: str
    version: int = 1
    children: tuple[int, ...] = ()
    exemptions: tuple[TaxExemption, ...] = ()
    pinned: bool = False
    source: str = ""
    group: str | None = None
    expires_at: int | None = None
    fee: int = 0
    kept_until: date | None = None
    reminder_on: date | None = None
    checked_in_on: date | None = None
    checked_out_on: date | None = None
    booked: BookedStay | None = None
    overstayed_nights: int = 0

    def room_on(self, night: date) -> str | None:
        """The room that the booking has on this night; on the day of departure, the one of the last night."""
        return next((part.room for part in self.rooms if night < part.until), self.rooms[-1].room)
