"""The waitlist of stays that are sold out. An entry that is offered a room becomes a hold with the same id."""

from datetime import date

import msgspec
from innkeeper.protocol.values.guests import Guest


class WaitlistEntry(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """An entry of a hotel's waitlist. `number` is that of the hotel's event by which the guest got the present place;
    entries are in this order. `version` counts the changes. Instants are microseconds since 1970 UTC."""

    id: str
    number: int
    room_type: str
    arrival: date
    departure: date
    adults: int
    guest: Guest
    joined_at: int
    joined_by: str
    children: tuple[int, ...] = ()
    source: str = ""
    version: int = 1
