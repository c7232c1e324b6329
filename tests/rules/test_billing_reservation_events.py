"""What the ledger makes of what happens in reservations: nights, fees, and never anything twice."""

import pytest
from innkeeper.protocol.billing import commands as billing_commands
from innkeeper.protocol.billing import events as billing_events
from innkeeper.protocol.billing.folio import LineKind
from innkeeper.protocol.billing.terms import ChargeKind, Party
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import NotFound, Refused
from innkeeper.protocol.reservations import commands, events
from innkeeper.protocol.reservations.booking import Contact, Status
from innkeeper.protocol.values.money import Money
from support.billing_fixture import CITY, VAT, LedgerFixture
from support.notifications_fixture import DAY, HOUR
from support.partition_fixture import HOTEL, TODAY, night


@pytest.fixture
def books() -> LedgerFixture:
    return LedgerFixture()


def test_a_hotel_opens_its_books_with_its_doors(books: LedgerFixture) -> None:
    ledger = books.ledger.opened()
    assert (ledger.hotel, ledger.title, ledger.currency, ledger.business_date) == (HOTEL, "Seaside", "EUR", TODAY)
    assert ledger.terms.seller == Party("Seaside")
    assert books.event_names() == ["ledger.opened"]


def test_who_books_has_a_folio_in_the_guests_name(books: LedgerFixture) -> None:
    booking = books.book(3, 2, guest="Ann")
    bill = books.bill(booking)
    assert [(folio.number, folio.buyer) for folio in bill.folios] == [(1, Party("Ann"))]
    assert (bill.stay.arrival, bill.stay.nights, bill.stay.status) == (night(3), 2, Status.CONFIRMED)
    assert (bill.stay.booked_on, bill.balance) == (TODAY, 0)


def test_a_hold_that_is_taken_up_keeps_its_folio(books: LedgerFixture) -> None:
    booking = books.book(status="held", hold_seconds=3_600)
    books.execute_on_hotel(commands.Confirm(HOTEL, booking))
    assert len(books.bill(booking).folios) == 1
    assert books.bill(booking).stay.status is Status.CONFIRMED


@pytest.mark.parametrize("how", ["release", "expire"])
def test_a_hold_that_is_over_owes_nothing(books: LedgerFixture, how: str) -> None:
    booking = books.book(status="held", hold_seconds=3_600)
    if how == "release":
        books.execute_on_hotel(commands.Release(HOTEL, booking))
    else:
        books.advance_clock(HOUR)
    books.roll_business_date(5)
    assert books.bill(booking).stay.status in (Status.RELEASED, Status.EXPIRED)
    assert books.bill(booking).balance == 0


def test_changes_of_the_booking_are_known_to_its_bill(books: LedgerFixture) -> None:
    booking = books.book(3, 2)
    books.change(booking, departure=night(9), rate=Money("80.00", "EUR"), guest=Contact("Ann Smith"))
    bill = books.bill(booking)
    assert (bill.stay.departure, bill.stay.rate) == (night(9), 8_000)
    assert bill.folios[0].buyer == Party("Ann Smith")


def test_moves_pins_and_notes_concern_nobody_here(books: LedgerFixture) -> None:
    booking = books.book(3, 2)
    before = len(books.records)
    books.execute_on_hotel(commands.Pin(HOTEL, booking))
    books.execute_on_hotel(commands.Move(HOTEL, booking, room="102"))
    books.change(booking, notes="late")
    assert len(books.hotel_records) > before + 3
    assert len(books.records) == before


def test_each_night_is_posted_when_its_day_closes(books: LedgerFixture) -> None:
    booking = books.book_and_check_in(0, 3)
    assert books.posted_nights(booking) == []
    books.roll_business_date()
    assert books.posted_nights(booking) == [0]
    books.roll_business_date()
    assert books.posted_nights(booking) == [0, 1]
    (first, _) = books.bill(booking).folios[0].lines
    assert (first.charge, first.amount, first.business_date, first.night) == (ChargeKind.ROOM, 10_000, TODAY, TODAY)
    assert books.bill(booking).balance == 20_000


def test_an_audit_over_several_days_posts_each_of_their_nights_on_its_own_date(books: LedgerFixture) -> None:
    booking = books.book_and_check_in(0, 3)
    books.roll_business_date(5)
    lines = books.bill(booking).folios[0].lines
    assert [line.business_date for line in lines] == [night(0), night(1), night(2)]
    assert books.bill(booking).stay.status is Status.CHECKED_OUT
    assert books.ledger.opened().business_date == night(5)


def test_who_is_not_in_house_is_not_charged_for_a_night(books: LedgerFixture) -> None:
    booking = books.book(2, 2)
    books.roll_business_date()
    assert books.bill(booking).balance == 0


def test_who_leaves_pays_for_the_nights_that_no_audit_has_seen(books: LedgerFixture) -> None:
    booking = books.book_and_check_in(0, 3)
    books.execute_on_hotel(commands.CheckOut(HOTEL, booking))
    assert books.posted_nights(booking) == [0]
    assert books.bill(booking).stay.departure == night(1)
    books.roll_business_date(4)
    assert books.posted_nights(booking) == [0]


def test_who_leaves_after_the_audit_pays_no_night_twice(books: LedgerFixture) -> None:
    booking = books.book_and_check_in(0, 2)
    books.roll_business_date(2)
    books.execute_on_hotel(commands.CheckOut(HOTEL, booking))
    assert books.posted_nights(booking) == [0, 1]


def test_nights_beyond_an_early_departure_are_taken_back_wherever_they_were_moved(books: LedgerFixture) -> None:
    booking, other = books.book_and_check_in(0, 3), books.book(0, 1)
    books.roll_business_date(3)
    second = books.bill(booking).folios[0].lines[1]
    books.execute(billing_commands.MoveCharges(HOTEL, booking, (second.id,), 1, other))
    assert books.balances(booking) + books.balances(other) == [20_000, 20_000]  # the other did not come, and owes a fee
    books.record_hotel_events((events.GuestCheckedOut(booking, night(1)),))
    assert (books.posted_nights(booking), books.posted_nights(other)) == ([0], [])
    assert books.balances(booking) + books.balances(other) == [10_000, 10_000]


def test_a_night_beyond_an_early_departure_that_was_split_is_taken_back_once(books: LedgerFixture) -> None:
    booking = books.book_and_check_in(0, 3)
    books.roll_business_date(2)
    second = books.bill(booking).folios[0].lines[1]
    books.execute(billing_commands.SplitCharge(HOTEL, booking, second.id, Money("30.00", "EUR")))
    books.record_hotel_events((events.GuestCheckedOut(booking, night(1)),))
    assert (books.posted_nights(booking), books.bill(booking).balance) == ([0], 10_000)


def test_a_fee_by_hand_is_owed_even_if_the_guest_comes_after_all(books: LedgerFixture) -> None:
    booking = books.book(0, 3)
    books.execute_on_hotel(commands.Cancel(HOTEL, booking))
    books.post_charge(booking, 500, charge=ChargeKind.FEE, text="Telephone")
    books.execute_on_hotel(commands.Reinstate(HOTEL, booking))
    assert books.bill(booking).balance == 500


def test_a_new_rate_counts_from_the_next_night(books: LedgerFixture) -> None:
    booking = books.book_and_check_in(0, 3)
    books.roll_business_date()
    books.change(booking, rate=Money("70.00", "EUR"))
    books.roll_business_date()
    assert [line.amount for line in books.bill(booking).folios[0].lines] == [10_000, 7_000]


def test_who_stays_longer_pays_for_every_night_once(books: LedgerFixture) -> None:
    booking = books.book_and_check_in(0, 2)
    books.roll_business_date()
    books.change(booking, departure=night(4))
    books.roll_business_date(4)
    assert books.posted_nights(booking) == [0, 1, 2, 3]


def test_a_night_that_staff_took_back_is_not_posted_again(books: LedgerFixture) -> None:
    booking = books.book_and_check_in(0, 3)
    books.roll_business_date()
    (line,) = books.bill(booking).folios[0].lines
    books.execute(billing_commands.ReverseCharge(HOTEL, booking, line.id, "noise"))
    books.roll_business_date()
    assert books.posted_nights(booking) == [1]


def test_a_late_cancellation_costs_a_fee_and_an_early_one_does_not(books: LedgerFixture) -> None:
    late, early = books.book(0, 2), books.book(9, 2)
    for booking in (late, early):
        books.execute_on_hotel(commands.Cancel(HOTEL, booking))
    (fee,) = books.bill(late).folios[0].lines
    assert (fee.charge, fee.amount, fee.text) == (ChargeKind.FEE, 10_000, "Cancellation fee")
    assert books.bill(early).folios[0].lines == ()


def test_who_does_not_come_owes_the_fee_and_no_more_after_coming_late() -> None:
    books = LedgerFixture(VAT)
    booking = books.book(0, 3)
    books.roll_business_date()
    (fee,) = books.bill(booking).folios[0].lines
    assert (fee.text, fee.tax) == ("No-show fee", 566)
    books.execute_on_hotel(commands.Reinstate(HOTEL, booking))
    assert books.bill(booking).balance == 0
    books.execute_on_hotel(commands.CheckIn(HOTEL, booking))
    books.roll_business_date()
    assert books.posted_nights(booking) == [0, 1]
    late = next(line for line in books.bill(booking).folios[0].lines if line.night == night(0))
    assert late.business_date == night(1)


def test_a_fee_that_was_split_and_moved_is_taken_back_in_all_its_parts(books: LedgerFixture) -> None:
    booking, other = books.book(0, 3), books.book(2, 1)
    books.execute_on_hotel(commands.Cancel(HOTEL, booking))
    (fee,) = books.bill(booking).folios[0].lines
    books.execute(billing_commands.SplitCharge(HOTEL, booking, fee.id, Money("30.00", "EUR")))
    part = books.bill(booking).folios[0].lines[-1]
    books.execute(billing_commands.MoveCharges(HOTEL, booking, (part.id,), 1, other))
    assert books.balances(booking) + books.balances(other) == [3_000, 7_000]
    books.execute_on_hotel(commands.Reinstate(HOTEL, booking))
    assert books.balances(booking) + books.balances(other) == [0, 0]


def test_a_fee_on_an_invoice_is_corrected_on_the_next_document(books: LedgerFixture) -> None:
    booking = books.book(0, 3)
    books.execute_on_hotel(commands.Cancel(HOTEL, booking))
    first = books.issue_invoice(booking)
    books.execute_on_hotel(commands.Reinstate(HOTEL, booking))
    assert books.bill(booking).balance == 0
    correction = books.issue_invoice(booking)
    assert (correction.kind.value, correction.total, correction.credits) == ("credit_note", -first.total, None)


def test_a_second_cancellation_owes_a_second_fee_and_only_one_at_a_time(books: LedgerFixture) -> None:
    booking = books.book(0, 3)
    for _ in range(2):
        books.execute_on_hotel(commands.Cancel(HOTEL, booking))
        assert books.bill(booking).balance == 10_000
        books.execute_on_hotel(commands.Reinstate(HOTEL, booking))
        assert books.bill(booking).balance == 0


def test_what_follows_says_what_it_follows_from(books: LedgerFixture) -> None:
    books.book_and_check_in(0, 1)
    books.roll_business_date()
    causes = {record.event.name: record.cause for record in books.records}
    rolled = next(record for record in books.hotel_records if isinstance(record.event, events.BusinessDateRolled))
    assert causes["folio.charge_posted"] == causes["ledger.day_opened"] == rolled.id
    assert books.ledger.applied_seq == rolled.hotel_seq


def test_an_event_told_again_changes_nothing(books: LedgerFixture) -> None:
    booking = books.book_and_check_in(0, 2)
    books.roll_business_date()
    books.execute_on_hotel(commands.CheckOut(HOTEL, booking))
    before = list(books.records)
    for record in books.hotel_records:
        assert books.apply_hotel_event(record) == []
    assert books.records == before


def test_an_event_without_effect_told_again_has_none_then_either(books: LedgerFixture) -> None:
    booking = books.book(3, 2)
    books.execute_on_hotel(commands.Pin(HOTEL, booking))
    books.post_charge(booking)
    assert books.apply_hotel_event(books.hotel_records[-1]) == []


def test_before_the_doors_open_the_ledger_knows_nothing() -> None:
    books = LedgerFixture()
    books.ledger = type(books.ledger)()
    assert books.apply_hotel_event(RecordedEvent(HOTEL, 7, 0, "", "", "", events.BookingCancelled("b-1", 100))) == []
    with pytest.raises(Refused) as refused:
        books.execute(billing_commands.IssueInvoice(HOTEL, "b-1"))
    assert refused.value.refusal == NotFound("hotel", HOTEL)


def test_a_room_night_bears_its_taxes() -> None:
    books = LedgerFixture(VAT, CITY)
    booking = books.book_and_check_in(0, 1, adults=1, children=(12,))
    books.roll_business_date(2)
    (line,) = books.bill(booking).folios[0].lines
    assert line.amount == 10_000 + 200
    assert [(tax.code, tax.amount) for tax in line.taxes] == [("VAT6", 566), ("CITY", 200)]
    assert (line.net, line.kind) == (9_434, LineKind.CHARGE)


def test_the_day_of_the_ledger_is_the_hotels(books: LedgerFixture) -> None:
    books.roll_business_date(3)
    assert isinstance(books.records[-1].event, billing_events.LedgerDayOpened)
    assert books.ledger.opened().business_date == night(3)
    books.advance_clock(DAY)
    assert books.ledger.opened().business_date == night(3)
