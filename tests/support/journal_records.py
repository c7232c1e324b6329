"""Recorded events and commits, for tests of journals and logs."""

from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.ports.journal import Journal, StoredReply
from innkeeper.protocol.reservations.events import GuestChanged, HoldExpired
from innkeeper.protocol.values.guests import SALT_BYTES, Guest, GuestDetails, StoredGuest, new_guest
from msgspec.structs import replace


def recorded(seq: int, hotel: str = "north") -> RecordedEvent:
    """An event with this number."""
    return RecordedEvent(hotel, seq, 1_000 + seq, "ann", "request", f"command-{seq}", HoldExpired(f"booking-{seq}"))


def stored_guest(version: int, guest: str = "g-1", **details: str) -> StoredGuest:
    """A version of a guest, whose salt is its number."""
    salt = bytes([version]) * SALT_BYTES
    made = new_guest("north", guest, version, GuestDetails(f"Ann {version}", **details), salt)  # type: ignore[arg-type]
    return StoredGuest("north", made, salt)


def naming(seq: int, guest: Guest) -> RecordedEvent:
    """An event with this number that names a guest."""
    return replace(recorded(seq), event=GuestChanged("b", guest))


def write_and_sync(
    journal: Journal,
    *records: RecordedEvent,
    replies: tuple[StoredReply, ...] = (),
    guests: tuple[StoredGuest, ...] = (),
) -> int:
    """Commit these events, replies and guests; the position of the last event."""
    position = journal.write(records, replies, guests)
    journal.sync()
    return position
