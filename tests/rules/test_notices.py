"""The notices that notifications sends for the events of reservations and billing, which the real rules produce."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from innkeeper.actors.notifications.rules.notices import UnknownGuest, handle
from innkeeper.actors.notifications.rules.scheduling import NoticeDecision, warning_due_at
from innkeeper.protocol.billing.events import BillingTermsChanged, LedgerOpened, LedgerRenamed
from innkeeper.protocol.billing.terms import BankAccount, BillingTerms, Party
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.notifications.notices import Notice, NoticeKind, Recipient
from innkeeper.protocol.reservations import commands, events
from innkeeper.protocol.reservations.reasons import DepartureReason
from innkeeper.protocol.reservations.requests import Contact, ContactChange
from innkeeper.protocol.reservations.terms import CancellationRequest
from innkeeper.protocol.values.money import Money
from support.notifications_fixture import DAY, HOUR, ZONES, NotificationsFixture, local
from support.partition_fixture import HOTEL, NOON, night


@pytest.fixture
def hotel() -> NotificationsFixture:
    return NotificationsFixture()


def test_a_booking_sends_a_confirmation_and_schedules_a_reminder(hotel: NotificationsFixture) -> None:
    booking = hotel.book(guest=Contact("Ana Sousa", "ana@example.com"), room_type="SUI", adults=2)
    (confirmation,), (reminder,) = hotel.immediate, hotel.scheduled.values()
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


def test_a_guest_without_an_email_address_gets_no_notices(hotel: NotificationsFixture) -> None:
    booking = hotel.book(guest=Contact("Ann", None, "+351 1"))
    hotel.change(booking, departure=night(33))
    hotel.execute(commands.CancelBooking(HOTEL, booking.id))
    assert (hotel.immediate, hotel.scheduled) == ([], {})


def test_a_booking_shortly_before_arrival_has_no_reminder(hotel: NotificationsFixture) -> None:
    hotel.book(arrival=3)
    assert (hotel.immediate_kinds(), hotel.scheduled_kinds()) == (["confirmation"], [])
    hotel.book(arrival=4)
    assert hotel.scheduled_kinds() == ["reminder"]


def test_a_confirmation_offers_free_cancellation_only_while_it_is_free(hotel: NotificationsFixture) -> None:
    hotel.book(arrival=0)
    assert hotel.immediate[-1].free_until == 0
    hotel.book(arrival=1)
    assert local(hotel.immediate[-1].free_until) == "2026-06-01 15:00"


def test_a_reminder_omits_a_free_cancellation_that_ends_before_it_is_sent() -> None:
    hotel = NotificationsFixture(cancellation=CancellationRequest(free_until_hours=7 * 24))
    hotel.book()
    (reminder,) = hotel.scheduled.values()
    assert local(hotel.immediate[0].free_until) == "2026-06-24 15:00"
    assert reminder.free_until == 0


def test_a_hold_sends_a_notice_and_schedules_an_expiry_warning(hotel: NotificationsFixture) -> None:
    hotel.book(status="held", hold_seconds=24 * 3_600)
    (hold,), (warning,) = hotel.immediate, hotel.scheduled.values()
    assert (hold.kind, warning.kind) == (NoticeKind.HOLD, NoticeKind.HOLD_EXPIRING)
    assert hold.expires_at == hold.useful_until == warning.expires_at == warning.useful_until == NOON + DAY
    assert warning.due_at == NOON + DAY - DAY // 10
    assert hold.free_until == 0


@pytest.mark.parametrize(
    ("minutes", "minutes_before_expiry"), [(15, None), (119, None), (120, 30), (300, 30), (600, 60), (1_440, 144)]
)
def test_the_expiry_warning_leaves_time_and_is_omitted_for_short_holds(
    minutes: int, minutes_before_expiry: int | None
) -> None:
    due_at = warning_due_at(NOON, NOON + minutes * HOUR // 60)
    before = minutes_before_expiry
    assert due_at == (0 if before is None else NOON + (minutes - before) * HOUR // 60)


def test_confirming_a_hold_sends_a_confirmation_and_withdraws_the_warning(hotel: NotificationsFixture) -> None:
    booking = hotel.book(status="held", hold_seconds=24 * 3_600)
    hotel.execute(commands.ConfirmBooking(HOTEL, booking.id))
    assert (hotel.immediate_kinds(), hotel.scheduled_kinds()) == (["hold", "confirmation"], ["reminder"])
    assert hotel.immediate[-1].expires_at == 0
    assert hotel.immediate[-1].useful_until == NOON + 7 * DAY


def test_extending_a_hold_postpones_the_warning_and_sends_nothing(hotel: NotificationsFixture) -> None:
    booking = hotel.book(status="held", hold_seconds=24 * 3_600)
    hotel.advance_clock(10 * HOUR)
    hotel.execute(commands.ExtendHold(HOTEL, booking.id, 20 * 3_600))
    (warning,) = hotel.scheduled.values()
    assert (warning.due_at, warning.expires_at) == (NOON + 28 * HOUR, NOON + 30 * HOUR)
    assert hotel.immediate_kinds() == ["hold"]


def test_the_notice_of_a_longer_stay_contains_the_price_of_each_night(hotel: NotificationsFixture) -> None:
    stay = hotel.change(hotel.book(), departure=night(33), rate=Money("90.00", "EUR"))[0].stay
    assert (stay.departure, stay.prices, stay.total) == (night(33), (9_000,) * 3, 27_000)


@pytest.mark.parametrize(
    ("change", "term", "was", "now"),
    [
        ({"room_type": "SUI"}, "room_type", "Type DBL", "Type SUI"),
        ({"adults": 2}, "adults", 1, 2),
        ({"children": (4,)}, "children", (), (4,)),
        ({"rate": Money("90.00", "EUR")}, "prices", (10_000, 10_000), (9_000, 9_000)),
        ({"guest": ContactChange(name="Ann Lee")}, "guest", "Ann", "Ann Lee"),
    ],
)
def test_a_change_notice_contains_the_old_and_the_new_terms(
    hotel: NotificationsFixture, change: dict[str, Any], term: str, was: object, now: object
) -> None:
    booking = hotel.book()
    (reminder,) = hotel.scheduled
    notices = hotel.change(booking, **change)
    assert [notice.kind for notice in notices] == [NoticeKind.CHANGE, NoticeKind.REMINDER]
    assert notices[0].before is not None
    differing = [
        field
        for field in notices[0].stay.__struct_fields__
        if getattr(notices[0].stay, field) != getattr(notices[0].before, field)
    ]
    assert differing == [term]
    assert (getattr(notices[0].before, term), getattr(notices[0].stay, term)) == (was, now)
    assert reminder not in hotel.scheduled
    assert list(hotel.scheduled.values()) == [notices[1]]
    assert notices[1].stay == notices[0].stay


def test_a_new_arrival_date_reschedules_the_reminder_or_drops_it(hotel: NotificationsFixture) -> None:
    booking = hotel.book()
    hotel.change(booking, arrival=night(31), departure=night(33))
    assert [local(notice.due_at) for notice in hotel.scheduled.values()] == ["2026-06-29 10:00"]
    hotel.change(booking, arrival=night(1))
    assert not hotel.scheduled


@pytest.mark.parametrize("change", [{"notes": "late"}, {"source": "phone"}, {"guest": ContactChange(phone="1")}])
def test_changes_of_internal_fields_send_no_notice(hotel: NotificationsFixture, change: dict[str, Any]) -> None:
    booking = hotel.book()
    due = dict(hotel.scheduled)
    assert hotel.change(booking, **change) == []
    assert hotel.scheduled == due


def test_moves_and_pins_send_no_notice(hotel: NotificationsFixture) -> None:
    bookings = [hotel.book(arrival, nights) for arrival, nights in ((30, 1), (31, 1), (30, 1))]
    sent, due = len(hotel.immediate), dict(hotel.scheduled)
    hotel.execute(commands.MoveBooking(HOTEL, bookings[0].id, room="103"))
    hotel.execute(commands.PinBooking(HOTEL, bookings[0].id))
    hotel.execute(commands.UnpinBooking(HOTEL, bookings[0].id))
    hotel.execute(commands.MoveBooking(HOTEL, bookings[1].id, room="201"))
    assert any(isinstance(record.event, events.RoomMoved) for record in hotel.records)
    assert (len(hotel.immediate), hotel.scheduled) == (sent, due)


def test_a_new_email_address_gets_the_current_notices_again(hotel: NotificationsFixture) -> None:
    booking = hotel.book()
    hotel.change(booking, guest=ContactChange(name="Ann", email="new@example.com"))
    assert hotel.immediate_kinds() == ["confirmation", "confirmation"]
    assert {notice.recipient.email for notice in (hotel.immediate[-1], *hotel.scheduled.values())} == {
        "new@example.com"
    }
    hotel.change(booking, guest=ContactChange(email=None))
    assert (len(hotel.immediate), hotel.scheduled) == (2, {})
    held = hotel.book(status="held", guest=Contact("Bo"))
    hotel.change(held, guest=ContactChange(email="bo@example.com"))
    assert hotel.immediate_kinds()[2:] == ["hold"]


def test_changing_a_hold_keeps_its_expiry(hotel: NotificationsFixture) -> None:
    booking = hotel.book(status="held", hold_seconds=24 * 3_600)
    hotel.advance_clock(HOUR)
    hotel.change(booking, adults=2)
    (warning,) = hotel.scheduled.values()
    assert hotel.immediate[-1].kind is NoticeKind.CHANGE
    assert hotel.immediate[-1].expires_at == NOON + DAY
    assert (warning.due_at, warning.stay.adults) == (NOON + DAY - DAY // 10, 2)


def test_a_cancellation_notice_contains_the_fee_and_withdraws_the_reminder(hotel: NotificationsFixture) -> None:
    free, late = hotel.book(), hotel.book(arrival=0)
    hotel.execute(commands.CancelBooking(HOTEL, free.id))
    hotel.execute(commands.CancelBooking(HOTEL, late.id, "flight cancelled"))
    assert hotel.immediate_kinds()[2:] == ["cancellation", "cancellation"]
    assert [(notice.fee, notice.reason) for notice in hotel.immediate[2:]] == [(0, "guest"), (10_000, "guest")]
    assert not hotel.scheduled


def test_reinstating_a_booking_sends_a_new_confirmation(hotel: NotificationsFixture) -> None:
    booking = hotel.book()
    hotel.execute(commands.CancelBooking(HOTEL, booking.id))
    hotel.execute(commands.ReinstateBooking(HOTEL, booking.id))
    assert hotel.immediate_kinds() == ["confirmation", "cancellation", "confirmation"]
    assert hotel.scheduled_kinds() == ["reminder"]
    assert len({notice.id for notice in hotel.immediate}) == 3


def test_check_in_withdraws_the_reminder(hotel: NotificationsFixture) -> None:
    booking = hotel.book(arrival=5)
    hotel.execute(commands.RollBusinessDate(HOTEL, night(5)))  # the business date runs ahead of the clock
    assert hotel.scheduled_kinds() == ["reminder"]
    hotel.execute(commands.CheckInGuest(HOTEL, booking.id))
    assert not hotel.scheduled
    hotel.execute(commands.CheckOutGuest(HOTEL, booking.id, DepartureReason.DAY_USE))
    assert hotel.immediate_kinds() == ["confirmation"]


def test_an_event_handled_twice_produces_the_same_notices(hotel: NotificationsFixture) -> None:
    hotel.book()
    record = hotel.records[-1]
    assert isinstance(record.event, events.BookingConfirmed)
    first, second = (handle(hotel.known_hotel, None, record) for _ in range(2))
    assert first == second
    assert [notice.id for notice in first.notices] == [f"{record.id}:confirmation", f"{record.id}:reminder"]


def test_events_of_an_unknown_hotel_or_booking_are_ignored(hotel: NotificationsFixture) -> None:
    hotel.book()
    assert handle(None, None, hotel.records[-1]) == NoticeDecision(None, None)
    cancelled = msgspec.structs.replace(hotel.records[-1], event=events.BookingCancelled("nobody"))
    assert handle(hotel.known_hotel, None, cancelled) == NoticeDecision(hotel.known_hotel, None)


def test_letters_name_the_bank_account_of_the_billing_terms(hotel: NotificationsFixture) -> None:
    """Its holder is the seller, who has the hotel's name as long as it was not given another one."""
    opened = hotel.records[0].event
    assert isinstance(opened, events.HotelOpened)
    bank, name = BankAccount("PT50000201231234567890154"), "Seaside"
    hotel.apply_billing_event(LedgerOpened(name, "EUR", night(0), opened.terms))
    hotel.book()
    assert hotel.immediate[-1].hotel.contact is None
    for number, (event, holder) in enumerate(
        (
            (BillingTermsChanged(BillingTerms(seller=Party(name), bank=bank)), name),
            (LedgerRenamed("Seaview"), "Seaview"),
            (BillingTermsChanged(BillingTerms(seller=Party("Seaside Lda"), bank=bank)), "Seaside Lda"),
            (LedgerRenamed("Seaside"), "Seaside Lda"),
        )
    ):
        hotel.apply_billing_event(event)
        hotel.book(arrival=10 + 3 * number)
        contact = hotel.immediate[-1].hotel.contact
        assert contact is not None
        assert contact.bank == BankAccount(bank.iban, holder=holder)
    hotel.apply_billing_event(BillingTermsChanged(BillingTerms(seller=Party("Seaside Lda"))))
    hotel.book()
    assert hotel.immediate[-1].hotel.contact is None


def test_a_payment_sends_a_receipt_whatever_the_status_of_the_booking(hotel: NotificationsFixture) -> None:
    booking = hotel.book(guest=Contact("Ana Sousa", "ana@example.com"), status="held", hold_seconds=24 * 3_600)
    (receipt,) = hotel.record_payment(booking.id)
    assert (receipt.kind, receipt.amount, receipt.recipient.name) == (NoticeKind.RECEIPT, 5_000, "Ana Sousa")
    assert (receipt.id, receipt.due_at) == (f"billing:{HOTEL}:1:receipt", 0)
    assert (receipt.expires_at, receipt.useful_until) == (0, NOON + 7 * DAY)
    assert hotel.scheduled_kinds() == ["hold_expiring"]
    hotel.advance_clock(DAY)
    (late,) = hotel.record_payment(booking.id, seq=2)
    assert (late.kind, late.id) == (NoticeKind.RECEIPT, f"billing:{HOTEL}:2:receipt")


def test_a_payment_of_a_guest_without_an_address_sends_no_receipt(hotel: NotificationsFixture) -> None:
    assert hotel.record_payment(hotel.book(guest=Contact("Ann", None, "+351 1")).id) == ()


def test_a_payment_for_an_unknown_booking_raises_an_error(hotel: NotificationsFixture) -> None:
    with pytest.raises(UnknownGuest):
        hotel.record_payment("nobody")


@settings(max_examples=30)
@given(ZONES, st.integers(0, 300), st.integers(0, 24 * 30))
def test_the_offered_free_cancellation_agrees_with_the_fee(timezone: str, arrival: int, hours: int) -> None:
    hotel = NotificationsFixture(timezone=timezone, cancellation=CancellationRequest(free_until_hours=hours))
    booking = hotel.book(arrival=arrival)
    free_until = hotel.immediate[0].free_until
    fee = hotel.execute(commands.CancelBooking(HOTEL, booking.id))[0].fee
    assert (fee == 0) == (free_until >= hotel.at)


class NotificationsMachine(RuleBasedStateMachine):
    """After any commands no notice is repeated, and each scheduled notice agrees with its booking."""

    def __init__(self) -> None:
        super().__init__()
        self.hotel = NotificationsFixture()

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
        today = (self.hotel.state.opened().business_date - night(0)).days
        more: dict[str, Any] = {"status": "held", "hold_seconds": 5 * 3_600} if held else {}
        self._try(lambda: self.hotel.book(today + arrival, nights, Contact("Ann", email), **more))

    @precondition(lambda self: self.hotel.state.bookings)
    @rule(
        kind=st.sampled_from([kind for kind in commands.ACTIONS if kind.action not in ("move", "swap")]),
        random=st.randoms(use_true_random=False),
    )
    def act(self, kind: Any, random: Any) -> None:
        self._try(lambda: self.hotel.execute(kind(HOTEL, random.choice(sorted(self.hotel.state.bookings)))))

    @precondition(lambda self: self.hotel.state.bookings)
    @rule(adults=st.integers(1, 2), random=st.randoms(use_true_random=False))
    def change(self, adults: int, random: Any) -> None:
        booking = self.hotel.state.bookings[random.choice(sorted(self.hotel.state.bookings))]
        self._try(lambda: self.hotel.change(booking, adults=adults))

    @rule(hours=st.integers(1, 30))
    def wait(self, hours: int) -> None:
        self.hotel.advance_clock(hours * HOUR)

    @rule()
    def roll(self) -> None:
        self.hotel.execute(commands.RollBusinessDate(HOTEL))

    @invariant()
    def no_notice_is_repeated(self) -> None:
        ids = [notice.id for notice in (*self.hotel.immediate, *self.hotel.scheduled.values())]
        assert len(set(ids)) == len(ids)

    @invariant()
    def scheduled_notices_agree_with_their_booking(self) -> None:
        for notice in self._future_notices():
            booking = self.hotel.state.bookings[notice.booking]
            status = {"reminder": "confirmed", "hold_expiring": "held"}[notice.kind.value]
            assert booking.status.value == status
            assert notice.recipient.email == (booking.guest.details and booking.guest.details.email)
            assert (notice.stay.arrival, notice.stay.adults) == (booking.arrival, booking.adults)
            assert notice.expires_at == (booking.expires_at or 0)

    @invariant()
    def each_booking_has_at_most_one_scheduled_notice(self) -> None:
        bookings = [notice.booking for notice in self._future_notices()]
        assert len(set(bookings)) == len(bookings)

    def _future_notices(self) -> Iterator[Notice]:
        return (notice for notice in self.hotel.scheduled.values() if notice.due_at > self.hotel.at)


def test_notices_are_correct_and_unique_after_any_sequence() -> None:
    run_state_machine_as_test(
        NotificationsMachine, settings=settings(max_examples=40, stateful_step_count=25, deadline=None)
    )
