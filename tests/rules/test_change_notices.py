"""A notice about changes waits for further ones: quick changes are one, and none where they end as they began."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.notifications.notices import KINDS_OF_A_STAY, NoticeKind, StayFacts
from innkeeper.protocol.notifications.terms import NotificationTerms
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.reservations.requests import ContactChange
from innkeeper.protocol.values.money import Money
from support.notifications_fixture import ANN, DAY, HOUR, NotificationsFixture
from support.partition_fixture import HOTEL, NOON, night

MINUTE = HOUR // 60


@pytest.fixture
def hotel() -> NotificationsFixture:
    return NotificationsFixture(change_delay_seconds=120)


def pending(hotel: NotificationsFixture) -> list[Any]:
    """The notices about changes that wait."""
    return [one for one in hotel.scheduled.values() if one.kind is NoticeKind.CHANGE]


def test_a_hotel_waits_two_minutes_unless_it_says_otherwise() -> None:
    assert NotificationTerms().change_delay_seconds == 120


def test_four_quick_changes_are_one_notice_two_minutes_after_the_first(hotel: NotificationsFixture) -> None:
    booking = hotel.book()
    for fields in ({"adults": 2}, {"departure": night(33)}, {"room_type": "SUI"}, {"rate": Money("90.00", "EUR")}):
        hotel.change(booking, **fields)
        hotel.advance_clock(20 * MINUTE // 60)
    assert hotel.immediate_kinds() == ["confirmation"]
    (waiting,) = pending(hotel)
    assert waiting.due_at == NOON + 2 * MINUTE
    hotel.advance_clock(MINUTE)
    assert hotel.immediate_kinds() == ["confirmation", "change"]
    change = hotel.immediate[-1]
    assert change.before == hotel.immediate[0].stay
    assert (change.stay.adults, change.stay.departure, change.stay.room_type) == (2, night(33), "Type SUI")
    assert change.stay.prices == (9_000,) * 3
    hotel.change(booking, adults=1)
    assert pending(hotel)[0].before == change.stay, "a later change is another notice"


def test_changes_that_end_as_they_began_are_no_notice(hotel: NotificationsFixture) -> None:
    booking = hotel.book()
    hotel.change(booking, adults=2)
    hotel.change(booking, adults=1)
    assert pending(hotel) == []
    hotel.advance_clock(DAY)
    assert hotel.immediate_kinds() == ["confirmation"]
    assert hotel.scheduled_kinds() == ["reminder"]


def test_a_way_back_after_the_notice_was_sent_is_told(hotel: NotificationsFixture) -> None:
    booking = hotel.book()
    hotel.change(booking, adults=2)
    hotel.advance_clock(2 * MINUTE)
    hotel.change(booking, adults=1)
    hotel.advance_clock(2 * MINUTE)
    assert hotel.immediate_kinds() == ["confirmation", "change", "change"]
    assert (hotel.immediate[1].stay.adults, hotel.immediate[2].stay.adults) == (2, 1)


def test_a_cancellation_replaces_the_notice_about_a_change(hotel: NotificationsFixture) -> None:
    booking = hotel.book()
    hotel.change(booking, adults=2)
    hotel.execute(commands.CancelBooking(HOTEL, booking.id))
    assert hotel.immediate_kinds() == ["confirmation", "cancellation"]
    assert hotel.immediate[-1].stay.adults == 2
    hotel.execute(commands.ReinstateBooking(HOTEL, booking.id))
    hotel.advance_clock(HOUR)
    assert hotel.immediate_kinds() == ["confirmation", "cancellation", "confirmation"]


def test_a_receipt_comes_after_the_change_that_was_made_before_it(hotel: NotificationsFixture) -> None:
    booking = hotel.book()
    hotel.change(booking, adults=2)
    hotel.record_payment(booking.id)
    assert hotel.immediate_kinds() == ["confirmation", "change", "receipt"]
    assert pending(hotel) == []
    hotel.change(booking, adults=1)
    assert pending(hotel)[0].before == hotel.immediate[1].stay


def test_a_hold_that_ends_sooner_is_told_at_once_and_its_confirmation_says_all(hotel: NotificationsFixture) -> None:
    short = hotel.book(status="held", hold_seconds=100)
    hotel.change(short, adults=2)
    assert hotel.immediate_kinds() == ["hold", "change"]
    held = hotel.book(status="held", hold_seconds=24 * 3_600)
    hotel.change(held, adults=2)
    hotel.execute(commands.ConfirmBooking(HOTEL, held.id))
    hotel.advance_clock(HOUR)
    assert hotel.immediate_kinds() == ["hold", "change", "hold", "confirmation", "hold_expired"]


def test_the_waiting_notice_goes_to_the_address_that_the_guest_has_when_it_is_sent(
    hotel: NotificationsFixture,
) -> None:
    booking = hotel.book()
    other = hotel.book(arrival=35)
    hotel.change(booking, adults=2)
    known = hotel.known_bookings[booking.id]
    assert known.guest != hotel.known_bookings[other.id].guest
    hotel.change(booking, guest=ContactChange(email="new@example.com"))
    assert hotel.immediate_kinds() == ["confirmation", "confirmation", "confirmation"], "the new address is told all"
    assert hotel.immediate[-1].stay.adults == 2
    assert pending(hotel) == []
    hotel.change(booking, adults=1)
    hotel.change(booking, guest=ContactChange(language="de"))
    assert [(one.language, one.before.adults, one.due_at) for one in pending(hotel)] == [("de", 2, NOON + 2 * MINUTE)]
    hotel.change(booking, guest=ContactChange(email=None))
    assert pending(hotel) == []


def test_the_change_is_told_before_a_reminder_that_is_due_sooner(hotel: NotificationsFixture) -> None:
    booking = hotel.book(arrival=4)
    (reminder,) = hotel.scheduled.values()
    hotel.at = reminder.due_at - MINUTE
    hotel.change(booking, adults=2)
    change, reminder = hotel.scheduled.values()
    assert (change.kind, reminder.kind) == (NoticeKind.CHANGE, NoticeKind.REMINDER)
    assert change.due_at == reminder.due_at


def test_the_change_is_told_before_a_reminder_that_is_asked_for_at_once(hotel: NotificationsFixture) -> None:
    booking = hotel.book()
    hotel.change(booking, adults=2)
    hotel.change(booking, reminder_on=night(0))
    assert hotel.immediate_kinds() == ["confirmation", "change", "reminder"]
    assert hotel.scheduled == {}


def test_without_a_delay_every_change_is_told_at_once() -> None:
    hotel = NotificationsFixture(change_delay_seconds=0)
    booking = hotel.book()
    for adults in (2, 1):
        hotel.change(booking, adults=adults)
    assert hotel.immediate_kinds() == ["confirmation", "change", "change"]


class ChangesMachine(RuleBasedStateMachine):
    """Whatever happens in whatever time, the guest was told, or will be, what the stay is, and each change starts from
    what was told before it."""

    def __init__(self) -> None:
        super().__init__()
        self.hotel = NotificationsFixture(change_delay_seconds=120)

    @rule(held=st.booleans())
    def book(self, held: bool) -> None:
        more: dict[str, Any] = {"status": "held", "hold_seconds": 5 * 3_600} if held else {}
        try:
            self.hotel.book(40, 2, ANN, **more)
        except Refused:
            return

    @precondition(lambda self: self.hotel.state.bookings)
    @rule(
        fields=st.sampled_from([{"adults": 1}, {"adults": 2}, {"departure": night(42)}, {"departure": night(43)}]),
        random=st.randoms(use_true_random=False),
    )
    def change(self, fields: dict[str, Any], random: Any) -> None:
        booking = self.hotel.state.bookings[random.choice(sorted(self.hotel.state.bookings))]
        try:
            self.hotel.change(booking, **fields)
        except Refused:
            return

    @precondition(lambda self: self.hotel.state.bookings)
    @rule(
        kind=st.sampled_from((commands.CancelBooking, commands.ReinstateBooking, commands.ConfirmBooking)),
        random=st.randoms(use_true_random=False),
    )
    def act(self, kind: Any, random: Any) -> None:
        try:
            self.hotel.execute(kind(HOTEL, random.choice(sorted(self.hotel.state.bookings))))
        except Refused:
            return

    @precondition(lambda self: self.hotel.state.bookings)
    @rule(random=st.randoms(use_true_random=False))
    def pay(self, random: Any) -> None:
        booking = random.choice(sorted(self.hotel.state.bookings))
        self.hotel.record_payment(booking, seq=1_000 + len(self.hotel.records))

    @rule(seconds=st.sampled_from((1, 60, 119, 121)))
    def wait(self, seconds: int) -> None:
        self.hotel.advance_clock(seconds * 1_000_000)

    @invariant()
    def every_guest_knows_the_stay(self) -> None:
        told: dict[str, StayFacts] = {}
        for notice in (*self.hotel.immediate, *pending(self.hotel)):
            if notice.kind is NoticeKind.CHANGE:
                assert notice.before == told[notice.booking]
                assert notice.before != notice.stay
            if notice.kind in KINDS_OF_A_STAY:
                told[notice.booking] = notice.stay
        for booking in self.hotel.known_bookings.values():
            if booking.status is not None and booking.status.value in ("held", "confirmed"):
                assert told[booking.id] == booking.stay


def test_every_guest_knows_the_stay_after_any_sequence() -> None:
    run_state_machine_as_test(ChangesMachine, settings=settings(max_examples=60, stateful_step_count=25, deadline=None))
