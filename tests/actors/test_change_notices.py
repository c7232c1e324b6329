"""A notice about changes is replaced only while it was surely not sent, however late events are handled."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from innkeeper.actors.notifications.event_handler import NotificationsEventHandler
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.notifications.notices import Notice
from innkeeper.protocol.notifications.terms import ChangeNotificationTerms, NotificationTerms, ShowNotificationTerms
from innkeeper.protocol.ports.service_store import Keep
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.events import HotelChanged
from innkeeper.storage.memory.database import MemoryDatabase
from innkeeper.storage.memory.outbox import MemoryOutbox
from support.notifications_fixture import NotificationsFixture
from support.partition_fixture import HOTEL, NOON

SECOND = 1_000_000


class LateNotifications:
    """A hotel with a booking that changes at noon, and notifications that handle its events when a test says so."""

    def __init__(self) -> None:
        self.now = NOON
        self.hotel = NotificationsFixture()
        self.outbox = MemoryOutbox(MemoryDatabase(), "mail")
        self.handler = NotificationsEventHandler(self.outbox, lambda: self.now, lambda: None)
        self.booking: Booking = self.hotel.book()
        self.handle(self.hotel.records)

    def change(self, **fields: Any) -> Sequence[RecordedEvent]:
        """Change the booking; the events."""
        before = len(self.hotel.records)
        self.hotel.change(self.booking, **fields)
        return self.hotel.records[before:]

    def decide(self, records: Sequence[RecordedEvent]) -> Any:
        """Handle events, without their effects."""
        entries: list[LogEntry] = [(record.hotel_seq, record) for record in records]
        return asyncio.run(self.handler.handle(entries))

    def handle(self, records: Sequence[RecordedEvent]) -> None:
        """Handle events."""
        self.decide(records)()

    def send(self) -> list[Notice]:
        """Send what is due."""
        due = [one.notice for one in self.outbox.due(self.now, 100)]
        self.outbox.mark_sent([notice.id for notice in due])
        return due

    def waiting(self) -> list[str]:
        return [one.id.rpartition(":")[2] for one in self.outbox.unsent(self.booking.id)]


@contextmanager
def no_request() -> Iterator[Keep]:
    """A transaction whose reply is not kept."""
    yield lambda _: None


@pytest.fixture
def late() -> LateNotifications:
    return LateNotifications()


def test_a_quick_way_back_is_no_letter(late: LateNotifications) -> None:
    assert [notice.kind.value for notice in late.send()] == ["confirmation"]
    late.handle(late.change(adults=2))
    assert late.waiting() == ["reminder", "change"] or late.waiting() == ["change", "reminder"]
    late.now += 60 * SECOND
    late.handle(late.change(adults=1))
    assert late.waiting() == ["reminder"]
    late.now += 3_600 * SECOND
    assert late.send() == []


def test_a_way_back_that_is_handled_after_the_letter_was_sent_is_told(late: LateNotifications) -> None:
    late.send()
    late.handle(late.change(adults=2))
    back = late.change(adults=1)  # at noon too
    late.now += 120 * SECOND
    (change,) = late.send()
    assert (change.stay.adults, change.before and change.before.adults) == (2, 1)
    late.handle(back)
    late.now += 120 * SECOND
    (again,) = late.send()
    assert (again.stay.adults, again.before and again.before.adults) == (1, 2)


def test_a_letter_that_falls_due_between_a_decision_and_its_effects_counts_as_sent(late: LateNotifications) -> None:
    late.send()
    late.handle(late.change(adults=2))
    back = late.change(adults=1)
    late.now += 119 * SECOND
    effects = late.decide(back)
    late.now += SECOND
    assert [notice.kind.value for notice in late.send()] == ["change"]
    with pytest.raises(Stalled):
        effects()
    late.handle(back)
    assert late.waiting() == ["reminder", "change"] or late.waiting() == ["change", "reminder"]


def test_changes_that_are_handled_together_are_one_letter_however_late(late: LateNotifications) -> None:
    late.send()
    records = [*late.change(adults=2), *late.change(adults=1), *late.change(adults=2)]
    late.now += 3_600 * SECOND
    late.handle(records)
    (change,) = late.send()
    assert (change.stay.adults, change.before and change.before.adults) == (2, 1)


def test_terms_that_change_between_a_decision_and_its_effects_are_kept(late: LateNotifications) -> None:
    """As while the database is locked, where both wait."""
    before = len(late.hotel.records)
    late.hotel.apply_events((HotelChanged("Cliff", "15:00", "11:00", "manual", housekeeping=False, infants_below=0),))
    renamed = late.hotel.records[before:]
    effects = late.decide(renamed)
    terms = NotificationTerms(language="de")
    asyncio.run(late.handler.change_terms(ChangeNotificationTerms(HOTEL, terms), no_request))
    with pytest.raises(Stalled):
        effects()
    late.handle(renamed)
    assert asyncio.run(late.handler.show_terms(ShowNotificationTerms(HOTEL), no_request)).terms == terms
