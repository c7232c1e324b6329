"""The notices about a place on the waitlist: that a guest has it, and that it is given up without an offer.

Notifications keeps an entry as a booking without a status, under the same id: an offer makes a booking of it.
"""

import msgspec
from innkeeper.actors.notifications.rules.known_bookings import KnownBooking
from innkeeper.actors.notifications.rules.known_hotel import KnownHotel
from innkeeper.actors.notifications.rules.scheduling import NoticeDecision, notify
from innkeeper.actors.notifications.rules.stays import stay_facts
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.notifications.notices import NoticeKind
from innkeeper.protocol.reservations import events


def waits(
    hotel: KnownHotel,
    was: KnownBooking | None,
    record: RecordedEvent,
    event: events.WaitlistJoined | events.WaitlistChanged,
) -> NoticeDecision:
    """A guest has a place on the waitlist. There is another letter for another stay, and to another address."""
    details = event.guest.details
    now = KnownBooking(
        id=event.entry,
        locator="",
        guest=event.guest.id,
        stay=stay_facts(hotel, event),
        status=None,
        email=None if details is None else details.email,
        language="" if details is None else details.language or "",
        free_until=0,
        late_fee=0,
        no_show_fee=0,
    )
    if was is None:
        return notify(hotel, None, now, record, NoticeKind.WAITLIST_JOINED)
    if was.email == now.email:
        now = msgspec.structs.replace(now, refused=was.refused)
    kind = None if (now.stay, now.email) == (was.stay, was.email) else NoticeKind.WAITLIST_JOINED
    return notify(hotel, was, now, record, kind)


def left(hotel: KnownHotel, was: KnownBooking, record: RecordedEvent, event: events.WaitlistLeft) -> NoticeDecision:
    """A guest gives up the place, or the day of arrival is over."""
    return notify(hotel, was, was, record, NoticeKind.WAITLIST_LEFT, reason=event.reason_code.value)
