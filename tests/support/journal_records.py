"""Recorded events and commits, for tests of journals and logs."""

from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.ports.journal import Journal, StoredReply
from innkeeper.protocol.reservations.events import HoldExpired


def recorded(seq: int, hotel: str = "north") -> RecordedEvent:
    """An event with this number."""
    return RecordedEvent(hotel, seq, 1_000 + seq, "ann", "request", f"command-{seq}", HoldExpired(f"booking-{seq}"))


def write_and_sync(journal: Journal, *records: RecordedEvent, replies: tuple[StoredReply, ...] = ()) -> int:
    """Commit these events and replies; the position of the last event."""
    position = journal.write(records, replies)
    journal.sync()
    return position
