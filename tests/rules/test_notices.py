"""What guests are told. Commands are decided by the real rules, and notifications takes in what happens."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from innkeeper.actors.notifications.rules.notices import UnknownBooking, handle, reminder_due_at, warning_due_at
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.notifications.notices import Notice, NoticeKind, Recipient
from innkeeper.protocol.reservations import commands, events
from innkeeper.protocol.reservations.booking import Contact
from innkeeper.protocol.reservations.hotel import CancellationPolicy
from innkeeper.protocol.values.instants import instant
from innkeeper.protocol.values.money import Money
from support.notifications_fixture import ANN, DAY, HOUR, NotificationsFixture
from support.partition_fixture import HOTEL, NOON, night


@pytest.fixture
def house() -> NotificationsFixture:
    return NotificationsFixture()


def local(at: int, timezone: str = "Europe/Lisbon") -> str:
    return f"{instant(at).astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M}"


def test_who_books_gets_a_confirmation_and_later_a_reminder(house: NotificationsFixture) -> None:
    booking = house.book(guest=Contact("Ana Sousa", "ana@example.com"), room_type="SUI", adults=2)
    (confirmation,), (reminder,) = house.immediate, house.scheduled.values()
    assert confirmation.kind is NoticeKind.CONFIRMATION
    assert confirmation.recipient == reminder.recipient == Recipient("Ana Sousa", "ana@example.com")
    assert confirmation.locator == booking.locator
    assert confirmation.hotel.name == "Seaside"
    assert confirmation.stay.room_type == "Type SUI"
    assert (confirmation.stay.nights, confirmation.stay.total) == (2, 20_000)
    assert confirmation.due_at == 0
    assert local(confirmation.free_until) == "2026-06-30 15:00"
    assert local(reminder.due_at) == "2026-06-28 10:00"
    assert local(reminder.useful_until) == "2026-07-02 00:00"


def test_who_left_no_address_is_told_nothing(house: NotificationsFixture) -> None:
    booking = house.book(guest=Contact("Ann", None, "+351 1"))
    house.change(booking, departure=night(33))
    house.execute(commands.Cancel(HOTEL, booking.id))
    assert (house.immediate, house.scheduled) == ([], {})


def test_who_arrives_soon_is_not_reminded(house: NotificationsFixture) -> None:
    house.book(arrival=3)
    assert (house.immediate_kinds(), house.scheduled_kinds()) == (["confirmation"], [])
    house.book(arrival=4)
    assert house.scheduled_kinds() == ["reminder"]


def test_cancelling_is_offered_for_free_only_while_it_is(house: NotificationsFixture) -> None:
    house.book(arrival=0)
    assert house.immediate[-1].free_until == 0
    house.book(arrival=1)
    assert local(house.immediate[-1].free_until) == "2026-06-01 15:00"


def test_a_reminder_offers_no_free_cancelling_that_is_past_when_it_is_read() -> None:
    house = NotificationsFixture(cancellation=CancellationPolicy(free_until_hours=7 * 24))
    house.book()
    (reminder,) = house.scheduled.values()
    assert local(house.immediate[0].free_until) == "2026-06-24 15:00"
    assert reminder.free_until == 0


def test_a_hold_is_told_and_its_end_announced(house: NotificationsFixture) -> None:
    house.book(status="held", hold_seconds=24 * 3_600)
    (hold,), (warning,) = house.immediate, house.scheduled.values()
    assert (hold.kind, warning.kind) == (NoticeKind.HOLD, NoticeKind.HOLD_EXPIRING)
    assert hold.expires_at == hold.useful_until == warning.expires_at == warning.useful_until == NOON + DAY
    assert warning.due_at == NOON + DAY - DAY // 10
    assert hold.free_until == 0


@pytest.mark.parametrize(
    ("minutes", "warned_minutes_before"), [(15, None), (119, None), (120, 30), (300, 30), (600, 60), (1_440, 144)]
)
def test_the_warning_comes_in_time_and_not_for_short_holds(minutes: int, warned_minutes_before: int | None) -> None:
    due_at = warning_due_at(NOON, NOON + minutes * HOUR // 60)
    before = warned_minutes_before
    assert due_at == (0 if before is None else NOON + (minutes - before) * HOUR // 60)


def test_a_hold_that_is_taken_up_is_confirmed_and_warns_no_more(house: NotificationsFixture) -> None:
    booking = house.book(status="held", hold_seconds=24 * 3_600)
    house.execute(commands.Confirm(HOTEL, booking.id))
    assert (house.immediate_kinds(), house.scheduled_kinds()) == (["hold", "confirmation"], ["reminder"])
    assert house.immediate[-1].expires_at == 0
    assert house.immediate[-1].useful_until == NOON + 7 * DAY


def test_a_hold_that_is_extended_warns_later_and_is_not_told_again(house: NotificationsFixture) -> None:
    booking = house.book(status="held", hold_seconds=24 * 3_600)
    house.advance_clock(10 * HOUR)
    house.execute(commands.Extend(HOTEL, booking.id, 20 * 3_600))
    (warning,) = house.scheduled.values()
    assert (warning.due_at, warning.expires_at) == (NOON + 28 * HOUR, NOON + 30 * HOUR)
    assert house.immediate_kinds() == ["hold"]


def test_a_hold_that_is_over_warns_no_more(house: NotificationsFixture) -> None:
    released = house.book(status="held", hold_seconds=24 * 3_600)
    house.book(status="held", hold_seconds=24 * 3_600)
    house.execute(commands.Release(HOTEL, released.id))
    assert len(house.scheduled) == 1
    house.advance_clock(DAY)
    assert house.scheduled == {}
    assert house.immediate_kinds() == ["hold", "hold"]


@pytest.mark.parametrize(
    ("change", "term", "was", "now"),
    [
        ({"departure": night(33)}, "departure", night(32), night(33)),
        ({"room_type": "SUI"}, "room_type", "Type DBL", "Type SUI"),
        ({"adults": 2}, "adults", 1, 2),
        ({"children": (4,)}, "children", (), (4,)),
        ({"rate": Money("90.00", "EUR")}, "rate", 10_000, 9_000),
        ({"guest": Contact("Ann Lee", "ann@example.com")}, "guest", "Ann", "Ann Lee"),
    ],
)
def test_a_change_that_matters_is_told_old_and_new(
    house: NotificationsFixture, change: dict[str, Any], term: str, was: object, now: object
) -> None:
    booking = house.book()
    (reminder,) = house.scheduled
    told = house.change(booking, **change)
    assert [notice.kind for notice in told] == [NoticeKind.CHANGE, NoticeKind.REMINDER]
    assert told[0].before is not None
    differing = [
        field
        for field in told[0].stay.__struct_fields__
        if getattr(told[0].stay, field) != getattr(told[0].before, field)
    ]
    assert differing == [term]
    assert (getattr(told[0].before, term), getattr(told[0].stay, term)) == (was, now)
    assert reminder not in house.scheduled
    assert list(house.scheduled.values()) == [told[1]]
    assert told[1].stay == told[0].stay


def test_a_new_arrival_moves_the_reminder_and_an_early_one_drops_it(house: NotificationsFixture) -> None:
    booking = house.book()
    house.change(booking, arrival=night(31), departure=night(33))
    assert [local(notice.due_at) for notice in house.scheduled.values()] == ["2026-06-29 10:00"]
    house.change(booking, arrival=night(1))
    assert not house.scheduled


def test_a_booking_may_say_on_which_day_its_guest_is_reminded(house: NotificationsFixture) -> None:
    booking = house.book(reminder_on=night(25))
    assert [local(notice.due_at) for notice in house.scheduled.values()] == ["2026-06-26 10:00"]
    house.change(booking, reminder_on=night(30))
    assert [local(notice.due_at) for notice in house.scheduled.values()] == ["2026-07-01 10:00"]
    house.change(booking, reminder_on=None)
    assert [local(notice.due_at) for notice in house.scheduled.values()] == ["2026-06-28 10:00"]
    assert house.immediate_kinds() == ["confirmation"]


@pytest.mark.parametrize("change", [{"notes": "late"}, {"source": "phone"}, {"guest": Contact("Ann", ANN.email, "1")}])
def test_what_the_guest_does_not_care_about_is_not_told(house: NotificationsFixture, change: dict[str, Any]) -> None:
    booking = house.book()
    due = dict(house.scheduled)
    assert house.change(booking, **change) == []
    assert house.scheduled == due


def test_rooms_are_rearranged_moved_and_promised_in_silence(house: NotificationsFixture) -> None:
    bookings = [house.book(arrival, nights) for arrival, nights in ((30, 1), (31, 1), (30, 1))]
    told, due = len(house.immediate), dict(house.scheduled)
    house.execute(commands.Move(HOTEL, bookings[0].id, room="103"))
    house.execute(commands.Pin(HOTEL, bookings[0].id))
    house.execute(commands.Unpin(HOTEL, bookings[0].id))
    house.execute(commands.Move(HOTEL, bookings[1].id, room="201"))
    assert any(isinstance(record.event, events.RoomMoved) for record in house.records)
    assert (len(house.immediate), house.scheduled) == (told, due)


def test_a_new_address_gets_what_was_said_to_the_old_one(house: NotificationsFixture) -> None:
    booking = house.book()
    house.change(booking, guest=Contact("Ann", "new@example.com"))
    assert house.immediate_kinds() == ["confirmation", "confirmation"]
    assert {notice.recipient.email for notice in (house.immediate[-1], *house.scheduled.values())} == {
        "new@example.com"
    }
    house.change(booking, guest=Contact("Ann"))
    assert (len(house.immediate), house.scheduled) == (2, {})
    held = house.book(status="held", guest=Contact("Bo"))
    house.change(held, guest=Contact("Bo", "bo@example.com"))
    assert house.immediate_kinds()[2:] == ["hold"]


def test_a_hold_that_changes_keeps_its_end(house: NotificationsFixture) -> None:
    booking = house.book(status="held", hold_seconds=24 * 3_600)
    house.advance_clock(HOUR)
    house.change(booking, adults=2)
    (warning,) = house.scheduled.values()
    assert house.immediate[-1].kind is NoticeKind.CHANGE
    assert house.immediate[-1].expires_at == NOON + DAY
    assert (warning.due_at, warning.stay.adults) == (NOON + DAY - DAY // 10, 2)


def test_a_cancellation_says_the_fee_and_ends_the_reminder(house: NotificationsFixture) -> None:
    free, late = house.book(), house.book(arrival=0)
    house.execute(commands.Cancel(HOTEL, free.id))
    house.execute(commands.Cancel(HOTEL, late.id, "flight cancelled"))
    assert house.immediate_kinds()[2:] == ["cancellation", "cancellation"]
    assert [(notice.fee, notice.reason) for notice in house.immediate[2:]] == [(0, ""), (10_000, "flight cancelled")]
    assert not house.scheduled


def test_who_comes_back_is_confirmed_again(house: NotificationsFixture) -> None:
    booking = house.book()
    house.execute(commands.Cancel(HOTEL, booking.id))
    house.execute(commands.Reinstate(HOTEL, booking.id))
    assert house.immediate_kinds() == ["confirmation", "cancellation", "confirmation"]
    assert house.scheduled_kinds() == ["reminder"]
    assert len({notice.id for notice in house.immediate}) == 3


def test_who_has_arrived_is_not_reminded(house: NotificationsFixture) -> None:
    booking = house.book(arrival=5)
    house.execute(commands.RollBusinessDate(HOTEL, night(5)))  # the business date runs ahead of the clock
    assert house.scheduled_kinds() == ["reminder"]
    house.execute(commands.CheckIn(HOTEL, booking.id))
    assert not house.scheduled
    house.execute(commands.CheckOut(HOTEL, booking.id))
    assert house.immediate_kinds() == ["confirmation"]


def test_who_did_not_come_is_not_reminded(house: NotificationsFixture) -> None:
    house.book(arrival=5)
    house.execute(commands.RollBusinessDate(HOTEL, night(6)))
    assert (house.immediate_kinds(), house.scheduled) == (["confirmation"], {})


def test_an_event_that_is_told_twice_makes_the_same_notices(house: NotificationsFixture) -> None:
    house.book()
    record = house.records[-1]
    assert isinstance(record.event, events.BookingConfirmed)
    first, second = (handle(house.hotel, None, record) for _ in range(2))
    assert first == second
    assert [notice.id for notice in first.notices] == [f"{record.id}:confirmation", f"{record.id}:reminder"]


def test_what_happens_in_an_unknown_hotel_or_to_an_unknown_booking_is_passed_over(house: NotificationsFixture) -> None:
    house.book()
    assert handle(None, None, house.records[-1]) == (None, None, (), ())
    cancelled = msgspec.structs.replace(house.records[-1], event=events.BookingCancelled("nobody"))
    assert handle(house.hotel, None, cancelled) == (house.hotel, None, (), ())


def test_who_pays_gets_a_receipt_whatever_became_of_the_booking(house: NotificationsFixture) -> None:
    booking = house.book(guest=Contact("Ana Sousa", "ana@example.com"), status="held", hold_seconds=24 * 3_600)
    (receipt,) = house.record_payment(booking.id)
    assert (receipt.kind, receipt.amount, receipt.recipient.name) == (NoticeKind.RECEIPT, 5_000, "Ana Sousa")
    assert (receipt.id, receipt.due_at) == (f"billing:{HOTEL}:1:receipt", 0)
    assert (receipt.expires_at, receipt.useful_until) == (0, NOON + 7 * DAY)
    assert house.scheduled_kinds() == ["hold_expiring"]
    house.advance_clock(DAY)
    (late,) = house.record_payment(booking.id, seq=2)
    assert (late.kind, late.id) == (NoticeKind.RECEIPT, f"billing:{HOTEL}:2:receipt")


def test_who_pays_and_left_no_address_gets_no_receipt(house: NotificationsFixture) -> None:
    assert house.record_payment(house.book(guest=Contact("Ann", None, "+351 1")).id) == ()


def test_a_payment_for_an_unknown_booking_is_not_passed_over(house: NotificationsFixture) -> None:
    with pytest.raises(UnknownBooking):
        house.record_payment("nobody")


zones = st.sampled_from(
    ["Europe/Lisbon", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu", "UTC"]
)


@given(zones, st.dates(date(2024, 1, 10), date(2030, 12, 31)))
def test_the_reminder_comes_at_ten_on_the_hotels_clock_whatever_the_season(timezone: str, arrival: date) -> None:
    house = NotificationsFixture(timezone=timezone)
    assert house.hotel is not None
    due = instant(reminder_due_at(house.hotel, arrival)).astimezone(ZoneInfo(timezone))
    assert (due.date(), due.hour, due.minute) == (arrival - timedelta(days=3), 10, 0)


def test_clocks_that_change_before_arrival_change_nothing_at_the_hotel() -> None:
    """Lisbon went back to winter time on 2026-10-25."""
    house = NotificationsFixture(timezone="Europe/Lisbon")
    assert house.hotel is not None
    before, after = (reminder_due_at(house.hotel, date(2026, 10, day)) for day in (27, 28))
    assert instant(before) == datetime(2026, 10, 24, 9, tzinfo=UTC)
    assert instant(after) == datetime(2026, 10, 25, 10, tzinfo=UTC)


@settings(max_examples=30)
@given(zones, st.integers(0, 300), st.integers(0, 24 * 30))
def test_free_cancelling_is_offered_exactly_as_long_as_it_is_free(timezone: str, arrival: int, hours: int) -> None:
    house = NotificationsFixture(timezone=timezone, cancellation=CancellationPolicy(free_until_hours=hours))
    booking = house.book(arrival=arrival)
    free_until = house.immediate[0].free_until
    cost = house.execute(commands.Cancel(HOTEL, booking.id))[0].fee
    assert (cost == 0) == (free_until >= house.at)


class Guests(RuleBasedStateMachine):
    """Whatever happens, nothing is said twice, and what waits belongs to who shall hear it."""

    def __init__(self) -> None:
        super().__init__()
        self.house = NotificationsFixture()

    def _try(self, command: Callable[[], object]) -> None:
        try:
            command()
        except Refused:
            return

    @rule(
        arrival=st.integers(0, 6),
        nights=st.integers(1, 3),
        held=st.booleans(),
        email=st.none() | st.just("a@example.com"),
    )
    def book(self, arrival: int, nights: int, held: bool, email: str | None) -> None:
        today = (self.house.state.opened().business_date - night(0)).days
        more: dict[str, Any] = {"status": "held", "hold_seconds": 5 * 3_600} if held else {}
        self._try(lambda: self.house.book(today + arrival, nights, Contact("Ann", email), **more))

    @precondition(lambda self: self.house.state.bookings)
    @rule(
        kind=st.sampled_from([kind for kind in commands.ACTIONS if kind is not commands.Move]),
        which=st.randoms(use_true_random=False),
    )
    def act(self, kind: Any, which: Any) -> None:
        self._try(lambda: self.house.execute(kind(HOTEL, which.choice(sorted(self.house.state.bookings)))))

    @precondition(lambda self: self.house.state.bookings)
    @rule(adults=st.integers(1, 2), which=st.randoms(use_true_random=False))
    def change(self, adults: int, which: Any) -> None:
        booking = self.house.state.bookings[which.choice(sorted(self.house.state.bookings))]
        self._try(lambda: self.house.change(booking, adults=adults))

    @rule(hours=st.integers(1, 30))
    def wait(self, hours: int) -> None:
        self.house.advance_clock(hours * HOUR)

    @rule()
    def roll(self) -> None:
        self.house.execute(commands.RollBusinessDate(HOTEL))

    @invariant()
    def nothing_is_said_twice(self) -> None:
        ids = [notice.id for notice in (*self.house.immediate, *self.house.scheduled.values())]
        assert len(set(ids)) == len(ids)

    @invariant()
    def what_waits_is_true(self) -> None:
        for notice in self._still_due():
            booking = self.house.state.bookings[notice.booking]
            status = {"reminder": "confirmed", "hold_expiring": "held"}[notice.kind.value]
            assert booking.status.value == status
            assert notice.recipient.email == booking.guest.email
            assert (notice.stay.arrival, notice.stay.adults) == (booking.arrival, booking.adults)
            assert notice.expires_at == (booking.expires_at or 0)

    @invariant()
    def each_booking_waits_for_one_notice_at_most(self) -> None:
        waiting = [notice.booking for notice in self._still_due()]
        assert len(set(waiting)) == len(waiting)

    def _still_due(self) -> Iterator[Notice]:
        return (notice for notice in self.house.scheduled.values() if notice.due_at > self.house.at)


def test_whatever_happens_guests_hear_what_is_true_and_once() -> None:
    run_state_machine_as_test(Guests, settings=settings(max_examples=40, stateful_step_count=25, deadline=None))
