"""The messages between the notifier and its actor. Frozen, because messages between actors are not copied."""

from collections.abc import Mapping

import msgspec
from innkeeper.actors.notifications.rules.notices import KnownBooking, KnownHotel
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.notifications.notices import Notice


class DecideNotices(msgspec.Struct, frozen=True, gc=False):
    """Notifier to actor: events to handle now, and what is known of their hotels and bookings."""

    at: int
    entries: tuple[LogEntry, ...]
    hotels: Mapping[str, KnownHotel]
    bookings: Mapping[str, KnownBooking]


class NoticesDecided(msgspec.Struct, frozen=True, gc=False):
    """Actor to notifier: the hotels and bookings that have changed, the notices to send, and the ids of those to
    withdraw."""

    hotels: Mapping[str, KnownHotel]
    bookings: Mapping[str, KnownBooking]
    notices: tuple[Notice, ...]
    withdrawn: tuple[str, ...]
