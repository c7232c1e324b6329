"""The waitlist of stays that are sold out. An entry that is offered a room becomes a hold with the same id."""

from datetime import date

import msgspec
from innkeeper.protocol.reservations.booking import Contact, GuestDetails
from innkeeper.protocol.values.stay import check_stay
from innkeeper.protocol.values.text import Adults, Children, Code, Line, Notes


class WaitlistRequest(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """The stay that a guest waits for."""

    room_type: Code
    arrival: date
    departure: date
    guest: Contact
    adults: Adults = 1
    children: Children = ()
    notes: Notes = ""
    source: Line = ""

    def __post_init__(self) -> None:
        check_stay(self.arrival, self.departure)


class WaitlistEntry(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """An entry of a hotel's waitlist. Instants are microseconds since 1970 UTC."""

    id: str
    room_type: str
    arrival: date
    departure: date
    adults: int
    guest: GuestDetails
    joined_at: int
    joined_by: str
    children: tuple[int, ...] = ()
    source: str = ""
