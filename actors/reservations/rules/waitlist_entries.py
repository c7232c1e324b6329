"""The entries of the waitlist: the event that changes one, and what an event makes of one."""

from typing import Any

import msgspec
from innkeeper.protocol.reservations import events
from innkeeper.protocol.reservations.waitlist import WaitlistEntry
from innkeeper.protocol.values.guests import Guest

ENTRY_TERMS = ("room_type", "arrival", "departure", "adults", "children", "source")


def waiting(event: events.WaitlistJoined, number: int, at: int, by: str) -> WaitlistEntry:
    """The entry that the hotel's event with this number puts on the waitlist."""
    return WaitlistEntry(
        id=event.entry,
        number=number,
        room_type=event.room_type,
        arrival=event.arrival,
        departure=event.departure,
        adults=event.adults,
        children=event.children,
        guest=event.guest,
        source=event.source,
        joined_at=at,
        joined_by=by,
    )


def change_of(entry: WaitlistEntry, guest: Guest, **changed: Any) -> events.WaitlistChanged:
    """The event by which the entry is for this guest, and these of its terms change."""
    terms = {name: getattr(entry, name) for name in ENTRY_TERMS} | changed
    return events.WaitlistChanged(entry=entry.id, guest=guest, **terms)


def changed_entry(was: WaitlistEntry, event: events.WaitlistChanged, number: int) -> WaitlistEntry:
    """The entry after the hotel's event with this number. It keeps its place where the stay is part of the old one."""
    is_part = event.room_type == was.room_type and was.arrival <= event.arrival and event.departure <= was.departure
    return msgspec.structs.replace(
        was,
        number=was.number if is_part else number,
        room_type=event.room_type,
        arrival=event.arrival,
        departure=event.departure,
        adults=event.adults,
        children=event.children,
        guest=event.guest,
        source=event.source,
        version=was.version + 1,
    )
