"""What the ledger posts for the events of reservations: nights and fees, each exactly once."""

import msgspec
import pytest
from innkeeper.actors.billing.rules.state import evolve
from innkeeper.protocol.billing import commands as billing_commands
from innkeeper.protocol.billing import events as billing_events
from innkeeper.protocol.billing.folio import Corrected, LineKind, ReversalReason
from innkeeper.protocol.billing.queries import ShowBill
from innkeeper.protocol.billing.terms import Party
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import NotFound, Refused
from innkeeper.protocol.reservations import commands, events
from innkeeper.protocol.reservations.booking import BookingStatus, RoomSegment
from innkeeper.protocol.reservations.reasons import DepartureReason
from innkeeper.protocol.reservations.requests import ContactChange
from innkeeper.protocol.reservations.terms import DepositRequest
from innkeeper.protocol.values.guests import GuestDetails
from innkeeper.protocol.values.money import Money
from innkeeper.protocol.values.taxes import ChargeKind
from innkeeper.storage.audit.billing import BillingAuditor
from support.billing_fixture import CITY, VAT, LedgerFixture, eur
from support.notifications_fixture import DAY, HOUR
from support.partition_fixture import HOTEL, TODAY, night, price_lines


@pytest.fixture
def ledger() -> LedgerFixture:
    return LedgerFixture()


def test_opening_a_hotel_opens_its_ledger() -> None:
    ledger = LedgerFixture(seller=None)
    opened = ledger.state.opened()
    assert (opened.hotel, opened.title, opened.currency, opened.business_date) == (HOTEL, "Seaside", "EUR", TODAY)
    assert opened.terms.seller == Party("Seaside")
    assert ledger.event_names() == ["ledger.opened"]


def test_a_booking_opens_a_folio_in_the_guests_name(ledger: LedgerFixture) -> None:
    booking = ledger.book(3, 2, guest="Ann")
    bill = ledger.bill(booking)
    assert [(folio.number, folio.buyer.details) for folio in bill.folios] == [(1, GuestDetails("Ann"))]
    assert (bill.stay.lines, bill.stay.status) == (price_lines(night(3), 2), BookingStatus.CONFIRMED)
    assert (bill.stay.booked_on, bill.balance) == (TODAY, 0)


def test_confirming_a_hold_keeps_its_folio(ledger: LedgerFixture) -> None:
    booking = ledger.book(status="held", hold_seconds=3_600)
    ledger.execute_on_hotel(commands.ConfirmBooking(HOTEL, booking))
    assert len(ledger.bill(booking).folios) == 1
    assert ledger.bill(booking).stay.status is BookingStatus.CONFIRMED


@pytest.mark.parametrize("ending", ["release", "expire"])
def test_a_released_or_expired_hold_owes_nothing(ledger: LedgerFixture, ending: str) -> None:
    booking = ledger.book(status="held", hold_seconds=3_600)
    if ending == "release":
        ledger.execute_on_hotel(commands.ReleaseHold(HOTEL, booking))
    else:
        ledger.advance_clock(HOUR)
    ledger.roll_business_date(5)
    assert ledger.bill(booking).stay.status in (BookingStatus.RELEASED, BookingStatus.EXPIRED)
    assert ledger.bill(booking).balance == 0


def test_changes_of_a_booking_are_applied_to_its_bill(ledger: LedgerFixture) -> None:
    booking = ledger.book(3, 2)
    ledger.change(booking, departure=night(9), rate=Money("80.00", "EUR"), guest=ContactChange(name="Ann Smith"))
    bill = ledger.bill(booking)
    assert [line.amount for line in bill.stay.lines] == [8_000] * 6
    assert bill.folios[0].buyer.details == GuestDetails("Ann Smith")


def test_moves_pins_and_notes_record_no_ledger_event(ledger: LedgerFixture) -> None:
    booking = ledger.book(3, 2)
    before = len(ledger.records)
    ledger.execute_on_hotel(commands.PinBooking(HOTEL, booking))
    ledger.execute_on_hotel(commands.MoveBooking(HOTEL, booking, room="102"))
    ledger.change(booking, notes="late")
    assert len(ledger.hotel_records) > before + 3
    assert len(ledger.records) == before


def test_the_night_audit_posts_each_night(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 3)
    assert ledger.posted_nights(booking) == []
    ledger.roll_business_date()
    assert ledger.posted_nights(booking) == [0]
    ledger.roll_business_date()
    assert ledger.posted_nights(booking) == [0, 1]
    (first, _) = ledger.bill(booking).folios[0].lines
    assert (first.charge, first.amount, first.business_date, first.night) == (ChargeKind.ROOM, 10_000, TODAY, TODAY)
    assert ledger.bill(booking).balance == 20_000


def test_an_audit_over_several_days_posts_each_night_on_its_date(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 3)
    ledger.roll_business_date(5)
    lines = ledger.bill(booking).folios[0].lines
    assert [line.business_date for line in lines] == [night(0), night(1), night(2), night(3), night(4)]
    assert ledger.bill(booking).stay.status is BookingStatus.IN_HOUSE, "the guest stays on"
    assert ledger.state.opened().business_date == night(5)


def test_a_guest_who_is_not_in_house_is_not_charged_for_a_night(ledger: LedgerFixture) -> None:
    booking = ledger.book(2, 2)
    ledger.roll_business_date()
    assert ledger.bill(booking).balance == 0


def test_check_out_posts_the_nights_that_no_audit_has_posted(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 3)
    ledger.check_out(booking)
    assert ledger.posted_nights(booking) == [0]
    assert ledger.bill(booking).stay.departure == night(1)
    ledger.roll_business_date(4)
    assert ledger.posted_nights(booking) == [0]


def test_check_out_after_the_audit_posts_no_night_twice(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 2)
    ledger.roll_business_date(2)
    ledger.check_out(booking)
    assert ledger.posted_nights(booking) == [0, 1]


ROOMS = (RoomSegment("101", TODAY, night(1)),)


def test_early_departure_reverses_later_nights_on_every_folio(ledger: LedgerFixture) -> None:
    booking, other = ledger.book_and_check_in(0, 3), ledger.book(0, 1)
    ledger.roll_business_date(3)
    second = ledger.bill(booking).folios[0].lines[1]
    ledger.execute(billing_commands.MoveCharges(HOTEL, booking, (second.id,), 1, other))
    assert ledger.balances(booking) + ledger.balances(other) == [20_000, 20_000]  # the other is a no-show with a fee
    ledger.record_hotel_events((events.GuestCheckedOut(booking, night(1), night(1), ROOMS, price_lines(TODAY, 1)),))
    assert (ledger.posted_nights(booking), ledger.posted_nights(other)) == ([0], [])
    assert ledger.balances(booking) + ledger.balances(other) == [10_000, 10_000]


def test_early_departure_reverses_a_split_night_once(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 3)
    ledger.roll_business_date(2)
    second = ledger.bill(booking).folios[0].lines[1]
    ledger.execute(billing_commands.SplitCharge(HOTEL, booking, second.id, Money("30.00", "EUR")))
    ledger.record_hotel_events((events.GuestCheckedOut(booking, night(1), night(1), ROOMS, price_lines(TODAY, 1)),))
    assert (ledger.posted_nights(booking), ledger.bill(booking).balance) == ([0], 10_000)


def test_reinstating_a_booking_keeps_a_fee_that_staff_posted(ledger: LedgerFixture) -> None:
    booking = ledger.book(0, 3)
    ledger.execute_on_hotel(commands.CancelBooking(HOTEL, booking))
    ledger.post_charge(booking, 500, charge=ChargeKind.FEE, text="Telephone", allow_ended=True)
    ledger.execute_on_hotel(commands.ReinstateBooking(HOTEL, booking))
    assert ledger.bill(booking).balance == 500


def test_a_new_rate_applies_from_the_next_night(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 3)
    ledger.roll_business_date()
    ledger.change(booking, rate=Money("70.00", "EUR"))
    ledger.roll_business_date()
    assert [line.amount for line in ledger.bill(booking).folios[0].lines] == [10_000, 7_000]


def test_a_new_rate_in_the_middle_of_a_stay_leaves_the_nights_slept_as_they_are(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 2)
    ledger.roll_business_date()
    changed = ledger.change(booking, rate=Money("120.00", "EUR"))
    assert [line.total for line in changed.lines] == [10_000, 12_000]
    ledger.roll_business_date()
    assert ledger.bill(booking).balance == 22_000


def test_bookings_keep_the_terms_that_they_were_made_on_and_added_nights_take_the_current_ones() -> None:
    ledger = LedgerFixture(CITY, deposits=(DepositRequest(30),))
    early = ledger.book(3, 1)
    ledger.set_terms_of_sale(taxes=(VAT,), deposits=())
    late = ledger.book(3, 1)
    extended = ledger.change(early, departure=night(5))
    assert [[tax.code for tax in line.taxes] for line in extended.lines] == [["CITY"], ["VAT6"]]
    deposits = [ledger.query(ShowBill(HOTEL, booking)).deposits for booking in (early, late)]
    assert [[deposit.amount for deposit in due] for due in deposits] == [[6_060], []]


def test_each_night_of_an_extended_stay_is_posted_once(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 2)
    ledger.roll_business_date()
    ledger.change(booking, departure=night(4))
    ledger.roll_business_date(3)
    assert ledger.posted_nights(booking) == [0, 1, 2, 3]


def test_a_night_that_staff_reversed_is_not_posted_again(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 3)
    ledger.roll_business_date()
    (line,) = ledger.bill(booking).folios[0].lines
    ledger.execute(billing_commands.ReverseCharge(HOTEL, booking, line.id, "noise"))
    ledger.roll_business_date()
    assert ledger.posted_nights(booking) == [1]


def test_a_late_cancellation_is_charged_a_fee_and_an_early_one_is_not(ledger: LedgerFixture) -> None:
    late, early = ledger.book(0, 2), ledger.book(9, 2)
    for booking in (late, early):
        ledger.execute_on_hotel(commands.CancelBooking(HOTEL, booking))
    (fee,) = ledger.bill(late).folios[0].lines
    assert (fee.charge, fee.amount, fee.text) == (ChargeKind.FEE, 10_000, "Cancellation fee")
    assert ledger.bill(early).folios[0].lines == ()


def test_reinstating_a_no_show_reverses_its_fee() -> None:
    ledger = LedgerFixture(VAT)
    booking = ledger.book(0, 3)
    ledger.roll_business_date()
    (fee,) = ledger.bill(booking).folios[0].lines
    assert (fee.text, fee.tax) == ("No-show fee", 566)
    ledger.execute_on_hotel(commands.ReinstateBooking(HOTEL, booking))
    assert ledger.bill(booking).balance == 0
    ledger.execute_on_hotel(commands.CheckInGuest(HOTEL, booking))
    ledger.roll_business_date()
    assert ledger.posted_nights(booking) == [0, 1]
    late = next(line for line in ledger.bill(booking).folios[0].lines if line.night == night(0))
    assert late.business_date == night(1)


def test_reinstating_a_booking_reverses_all_parts_of_a_split_fee(ledger: LedgerFixture) -> None:
    booking, other = ledger.book(0, 3), ledger.book(2, 1)
    ledger.execute_on_hotel(commands.CancelBooking(HOTEL, booking))
    (fee,) = ledger.bill(booking).folios[0].lines
    ledger.execute(billing_commands.SplitCharge(HOTEL, booking, fee.id, Money("30.00", "EUR")))
    part = ledger.bill(booking).folios[0].lines[-1]
    ledger.execute(billing_commands.MoveCharges(HOTEL, booking, (part.id,), 1, other))
    assert ledger.balances(booking) + ledger.balances(other) == [3_000, 7_000]
    ledger.execute_on_hotel(commands.ReinstateBooking(HOTEL, booking))
    assert ledger.balances(booking) + ledger.balances(other) == [0, 0]


def test_an_invoiced_fee_is_corrected_on_the_next_document(ledger: LedgerFixture) -> None:
    booking = ledger.book(0, 3)
    ledger.execute_on_hotel(commands.CancelBooking(HOTEL, booking))
    first = ledger.issue_invoice(booking)
    ledger.execute_on_hotel(commands.ReinstateBooking(HOTEL, booking))
    assert ledger.bill(booking).balance == 0
    correction = ledger.issue_invoice(booking)
    assert (correction.kind.value, correction.total, correction.credits) == ("credit_note", -first.total, first.number)
    assert correction.reason == "The booking was reinstated"
    assert [(line.corrects, line.reason_code) for line in correction.lines] == [
        (Corrected(first.number, 1), ReversalReason.REINSTATED)
    ]


def test_a_second_cancellation_is_charged_one_new_fee(ledger: LedgerFixture) -> None:
    booking = ledger.book(0, 3)
    for _ in range(2):
        ledger.execute_on_hotel(commands.CancelBooking(HOTEL, booking))
        assert ledger.bill(booking).balance == 10_000
        ledger.execute_on_hotel(commands.ReinstateBooking(HOTEL, booking))
        assert ledger.bill(booking).balance == 0


def test_ledger_events_name_the_reservation_event_that_caused_them(ledger: LedgerFixture) -> None:
    ledger.book_and_check_in(0, 1)
    ledger.roll_business_date()
    causes = {record.event.name: record.cause for record in ledger.records}
    rolled = next(record for record in ledger.hotel_records if isinstance(record.event, events.BusinessDateRolled))
    assert causes["folio.charge_posted"] == causes["ledger.day_opened"] == rolled.id
    assert ledger.state.applied_seq == rolled.hotel_seq


def test_an_event_applied_again_changes_nothing(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 2)
    ledger.roll_business_date()
    ledger.check_out(booking)
    before = list(ledger.records)
    for record in ledger.hotel_records:
        assert ledger.apply_hotel_event(record) == []
    assert ledger.records == before


def test_an_event_without_effect_applied_later_has_no_effect(ledger: LedgerFixture) -> None:
    booking = ledger.book(3, 2)
    ledger.execute_on_hotel(commands.PinBooking(HOTEL, booking))
    ledger.post_charge(booking)
    assert ledger.apply_hotel_event(ledger.hotel_records[-1]) == []


def test_a_ledger_that_is_not_open_ignores_events_and_refuses_commands() -> None:
    ledger = LedgerFixture()
    ledger.state = type(ledger.state)()
    assert ledger.apply_hotel_event(RecordedEvent(HOTEL, 7, 0, "", "", "", events.BookingCancelled("b-1", 100))) == []
    with pytest.raises(Refused) as refused:
        ledger.execute(billing_commands.IssueInvoice(HOTEL, "b-1"))
    assert refused.value.refusal == NotFound("hotel", HOTEL)


def test_a_room_night_is_posted_with_its_taxes() -> None:
    ledger = LedgerFixture(VAT, CITY)
    booking = ledger.book_and_check_in(0, 1, adults=1, children=(12,))
    ledger.roll_business_date()
    (line,) = ledger.bill(booking).folios[0].lines
    assert line.amount == 10_000 + 200
    assert [(tax.code, tax.amount) for tax in line.taxes] == [("VAT6", 566), ("CITY", 200)]
    assert (line.net, line.kind) == (9_434, LineKind.CHARGE)


def test_the_business_date_of_the_ledger_follows_the_hotel(ledger: LedgerFixture) -> None:
    ledger.roll_business_date(3)
    assert isinstance(ledger.records[-1].event, billing_events.LedgerDayOpened)
    assert ledger.state.opened().business_date == night(3)
    ledger.advance_clock(DAY)
    assert ledger.state.opened().business_date == night(3)


def test_a_bill_continues_after_an_event_of_its_booking_was_dropped(ledger: LedgerFixture) -> None:
    booking = ledger.book(0)
    ledger.execute_on_hotel(commands.CancelBooking(HOTEL, booking))
    last = ledger.hotel_records[-1]  # the reinstatement that follows is a dead letter that was dropped
    arrived = events.GuestCheckedIn(booking, "101", TODAY)
    ledger.apply_hotel_event(msgspec.structs.replace(last, hotel_seq=last.hotel_seq + 2, event=arrived))
    assert ledger.bill(booking).stay.status is BookingStatus.IN_HOUSE


def begin_timeline(ledger: LedgerFixture, *lost: str) -> list[str]:
    """The hotel goes on without these bookings; the names of the events of the ledger."""
    before = len(ledger.records)
    ledger.record_hotel_events((events.TimelineBegun("1" * 32, lost),))
    return [record.event.name for record in ledger.records[before:]]


def test_what_was_charged_for_a_booking_that_is_lost_is_reversed_and_what_was_paid_stays() -> None:
    ledger = LedgerFixture(VAT)
    lost, other = ledger.book_and_check_in(0, 5), ledger.book_and_check_in(0, 5)
    ledger.roll_business_date(1)
    ledger.record_payment(lost, 2_500)
    names = begin_timeline(ledger, lost, "unknown")
    assert names == ["folio.terms_changed", "folio.charge_reversed", "ledger.bookings_lost"]
    assert (ledger.bill(lost).charged, ledger.bill(lost).balance) == (0, -2_500)
    assert (ledger.bill(lost).stay.status, ledger.bill(other).charged) == (BookingStatus.CANCELLED, 10_000)
    ledger.roll_business_date(1)
    assert (ledger.bill(lost).charged, ledger.bill(other).charged) == (0, 20_000)
    auditor = BillingAuditor()
    auditor.handle(ledger.records)
    assert (auditor.violations, auditor.hotels[HOTEL].given_up) == ([], {lost})


def test_a_new_timeline_without_lost_bookings_changes_no_bill(ledger: LedgerFixture) -> None:
    ledger.book()
    assert begin_timeline(ledger) == []


def test_a_ledger_follows_its_hotel_again_from_where_the_timeline_begins(ledger: LedgerFixture) -> None:
    ledger.book(1)
    first = ledger.hotel_records[-1]
    assert ledger.apply_hotel_event(first) == []
    begun = billing_events.LedgerTimelineBegun("1" * 32, first.hotel_seq - 1)
    evolve(ledger.state, RecordedEvent(HOTEL, ledger.state.seq + 1, ledger.at, "operator", "", "restore", begun))
    assert isinstance(first.event, events.BookingConfirmed)
    other = msgspec.structs.replace(first.event, booking="another")
    assert [each.name for each in ledger.apply_hotel_event(msgspec.structs.replace(first, event=other))] == [
        "folio.opened"
    ]


def test_an_undone_check_out_takes_back_the_parts_of_a_night_that_was_split(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 1)
    ledger.execute_on_hotel(commands.CheckOutGuest(HOTEL, booking, DepartureReason.DAY_USE))
    line = ledger.bill(booking).folios[0].lines[0]
    ledger.execute(billing_commands.SplitCharge(HOTEL, booking, line.id, eur(100)))
    ledger.execute_on_hotel(commands.UndoCheckOut(HOTEL, booking))
    assert ledger.bill(booking).balance == 0
    ledger.roll_business_date()
    assert ledger.bill(booking).balance == 10_000


def test_after_an_undone_check_out_a_night_is_charged_also_where_its_charge_was_reversed_by_hand(
    ledger: LedgerFixture,
) -> None:
    booking = ledger.book_and_check_in(0, 1)
    ledger.execute_on_hotel(commands.CheckOutGuest(HOTEL, booking, DepartureReason.DAY_USE))
    line = ledger.bill(booking).folios[0].lines[0]
    ledger.execute(billing_commands.ReverseCharge(HOTEL, booking, line.id, "no day use after all"))
    ledger.execute_on_hotel(commands.UndoCheckOut(HOTEL, booking))
    assert (ledger.bill(booking).balance, ledger.bill(booking).owed) == (0, 10_000)
    ledger.roll_business_date()
    assert ledger.bill(booking).balance == 10_000
    auditor = BillingAuditor()
    auditor.handle(ledger.records)
    assert auditor.violations == []


def test_the_auditor_knows_that_a_check_out_was_undone(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 1)
    ledger.check_out(booking)
    ledger.execute_on_hotel(commands.UndoCheckOut(HOTEL, booking))
    auditor = BillingAuditor()
    auditor.handle(ledger.records)
    assert auditor.violations == []
