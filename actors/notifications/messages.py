"""What the notifier and its actor say to each other. Frozen, as messages between actors are not copied."""

from collections.abc import Mapping

import msgspec
from innkeeper.actors.notifications.rules.notices import KnownBooking, KnownHotel
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.notifications.notices import Notice


class DecideNotices(msgspec.Struct, frozen=True, gc=False):
    """Host to notifier: events to take in now, and what it knows of the hotels and bookings that they are about."""

    at: int
    entries: tuple[LogEntry, ...]
    hotels: Mapping[str, KnownHotel]
    bookings: Mapping[str, KnownBooking]


class NoticesDecided(msgspec.Struct, frozen=True, gc=False):
    """Notifier to host: what it knows now, where that is new, what is to be said, and what is not to be said any
    more."""

    hotels: Mapping[str, KnownHotel]
    bookings: Mapping[str, KnownBooking]
    notices: tuple[Notice, ...]
    withdrawn: tuple[str, ...]
