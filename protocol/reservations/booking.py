"""A booking as everyone sees it: one guest's claim on one room for one stay."""

from datetime import date
from enum import StrEnum

import msgspec
from innkeeper.protocol.values.text import Email, Line, Name


class Status(StrEnum):
    """Where a booking stands: held → confirmed → in_house → checked_out, or one of the ways it ends early."""

    HELD = "held"
    CONFIRMED = "confirmed"
    IN_HOUSE = "in_house"
    CHECKED_OUT = "checked_out"
    RELEASED = "released"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"


class Contact(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """Who the guest is, as the caller says it."""

    name: Name
    email: Email | None = None
    phone: Line | None = None


class Personal(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """All that is known of the guest as a person. Stands only in an event's `guest` part, beside a guest id."""

    name: str
    email: str | None = None
    phone: str | None = None
    notes: str = ""


class Booking(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The whole booking. `rate` is per night and `fee` what the guest owes for not coming, both in minor units;
    instants are microseconds since 1970 UTC. `version` counts the changes; on
    `reminder_on` the guest is to be reminded of the stay, None for the hotel's usual day."""

    id: str
    locator: str
    hotel: str
    status: Status
    room_type: str
    room: str
    arrival: date
    departure: date
    adults: int
    guest_id: str
    guest: Personal
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
