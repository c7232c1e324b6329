"""Manual charges, and how they are reversed, moved and split. No line is ever edited."""

from typing import Any

import pytest
from innkeeper.protocol.billing.commands import MoveCharges, OpenFolio, PostCharge, ReverseCharge, SplitCharge
from innkeeper.protocol.billing.folio import FolioLine, LineKind, LinePosition
from innkeeper.protocol.billing.queries import ShowBill
from innkeeper.protocol.billing.terms import PartyRequest
from innkeeper.protocol.messages.refusals import ActionNotAllowed, Refused
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.money import Money
from innkeeper.protocol.values.taxes import ChargeKind
from support.billing_fixture import CITY, SERVICE, VAT, VAT_FOOD, LedgerFixture, eur
from support.ledger_refusals import refused
from support.partition_fixture import HOTEL, night

GLOBEX = PartyRequest("Globex", ("1 Main Street",), "PT123")


@pytest.fixture
def ledger() -> LedgerFixture:
    return LedgerFixture(VAT, VAT_FOOD, SERVICE, CITY)


def lines(ledger: LedgerFixture, booking: str, folio: int = 1) -> tuple[FolioLine, ...]:
    return ledger.bill(booking).folios[folio - 1].lines


def test_an_extra_is_charged_on_the_business_date_with_its_taxes(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 3)
    ledger.roll_business_date()
    line = ledger.post_charge(booking, 1_130, charge=ChargeKind.BREAKFAST, text="Breakfast", quantity=3)
    assert (line.amount, line.tax, line.net, line.quantity) == (3_390, 390, 3_000, 3)
    assert (line.business_date, line.night, line.text) == (night(1), None, "Breakfast")


def test_a_tax_that_is_not_included_is_added_to_the_price(ledger: LedgerFixture) -> None:
    line = ledger.post_charge(ledger.book_and_check_in(), 995, charge=ChargeKind.MINIBAR)
    assert (line.amount, line.net, line.tax) == (1_095, 995, 100)


def test_a_charge_of_nothing_is_refused(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in()
    with refused(ledger, "amount:positive"):
        ledger.post_charge(booking, 0)


@pytest.mark.parametrize("ending", [commands.CancelBooking, commands.MarkNoShow])
def test_a_charge_on_a_booking_of_a_guest_who_never_came_has_to_be_asked_for(
    ledger: LedgerFixture, ending: Any
) -> None:
    booking = ledger.book(0, 1)
    ledger.execute_on_hotel(ending(HOTEL, booking))
    with refused(ledger, "a charge on it has to be asked for: allow_ended"):
        ledger.post_charge(booking, 500)
    assert ledger.post_charge(booking, 500, allow_ended=True).amount == 500


def test_a_guest_who_has_left_can_be_charged(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 1)
    ledger.roll_business_date()
    ledger.check_out(booking)
    assert ledger.post_charge(booking, 500).amount == 500


def test_extras_can_be_charged_to_a_booking_that_is_not_in_house(ledger: LedgerFixture) -> None:
    booking = ledger.book(9, 1)
    ledger.post_charge(booking, 700)
    assert ledger.bill(booking).balance == 700


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"folio": 2}, "folio"),
        ({"folio": 0}, "folio"),
        ({"unit_amount": Money("1.00", "USD")}, "amount.currency:currency"),
        ({"unit_amount": eur(limits.charge_minor_units_max), "quantity": 2}, "quantity:amount_max"),
    ],
)
def test_an_invalid_charge_is_refused(ledger: LedgerFixture, more: dict[str, object], problem: str) -> None:
    booking = ledger.book_and_check_in()
    fields = {"charge": ChargeKind.OTHER, "text": "Extra", "unit_amount": eur(100)} | more
    with refused(ledger, problem):
        ledger.execute(PostCharge(HOTEL, booking, **fields))  # type: ignore[arg-type]


def test_an_unknown_booking_has_no_bill(ledger: LedgerFixture) -> None:
    with refused(ledger, "booking"):
        ledger.post_charge("nobody")
    with refused(ledger, "booking"):
        ledger.query(ShowBill(HOTEL, "nobody"))
    booking = ledger.book()
    with refused(ledger, "folio"):
        ledger.post_charge(booking, folio=2)


def test_a_reversal_is_a_line_of_its_own(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in()
    charged = ledger.post_charge(booking, 1_000, charge=ChargeKind.BREAKFAST)
    ledger.execute(ReverseCharge(HOTEL, booking, charged.id, "not eaten"))
    first, second = lines(ledger, booking)
    assert (second.kind, second.amount, second.tax, second.reverses) == (
        LineKind.REVERSAL, -1_000, -charged.tax, charged.id,
    )  # fmt: skip
    assert first.reversed_by == second.id
    assert ledger.bill(booking).balance == 0


def test_a_charge_is_reversed_once_and_a_reversal_never(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in()
    charged = ledger.post_charge(booking)
    ledger.execute(ReverseCharge(HOTEL, booking, charged.id, "wrong"))
    with refused(ledger, "is already reversed"):
        ledger.execute(ReverseCharge(HOTEL, booking, charged.id, "wrong"))
    with refused(ledger, "is a reversal"):
        ledger.execute(ReverseCharge(HOTEL, booking, charged.id + 1, "wrong"))
    with refused(ledger, "line"):
        ledger.execute(ReverseCharge(HOTEL, booking, 99, "wrong"))


def test_a_payment_cannot_be_reversed_or_moved_as_a_charge(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in()
    ledger.record_payment(booking, 500)
    (paid,) = lines(ledger, booking)
    with refused(ledger, "is a payment"):
        ledger.execute(ReverseCharge(HOTEL, booking, paid.id, "wrong"))
    ledger.execute(OpenFolio(HOTEL, booking, GLOBEX))
    with refused(ledger, "is a payment"):
        ledger.execute(MoveCharges(HOTEL, booking, (paid.id,), 2))


def test_an_invoiced_charge_cannot_be_reversed_or_split(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in()
    charged = ledger.post_charge(booking)
    ledger.issue_invoice(booking)
    with refused(ledger, "issue a credit note"):
        ledger.execute(ReverseCharge(HOTEL, booking, charged.id, "wrong"))
    with pytest.raises(Refused) as refusal:
        ledger.execute(SplitCharge(HOTEL, booking, charged.id, eur(1)))
    assert isinstance(refusal.value.refusal, ActionNotAllowed)
    assert refusal.value.refusal.allowed == ("credit-note",)


def test_nights_move_to_a_company_folio_and_extras_stay_with_the_guest(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 2)
    ledger.roll_business_date(2)
    ledger.post_charge(booking, 700)
    ledger.execute(OpenFolio(HOTEL, booking, GLOBEX))
    rooms = tuple(line.id for line in lines(ledger, booking) if line.charge is ChargeKind.ROOM)
    ledger.execute(MoveCharges(HOTEL, booking, rooms, 2))
    assert ledger.balances(booking) == [700, 20_400]
    assert ledger.bill(booking).folios[1].buyer.details == GLOBEX.details()
    moved = lines(ledger, booking, 2)[0]
    assert moved.moved_from == LinePosition(booking, 1, rooms[0])
    reversal = next(line for line in lines(ledger, booking) if line.reverses == rooms[0])
    assert reversal.moved_to == (LinePosition(booking, 2, moved.id),)
    assert moved.night == night(0)


def test_a_charge_moves_to_another_booking(ledger: LedgerFixture) -> None:
    first_booking, second_booking = ledger.book_and_check_in(), ledger.book_and_check_in()
    charged = ledger.post_charge(first_booking, 700)
    ledger.execute(MoveCharges(HOTEL, first_booking, (charged.id,), 1, second_booking))
    assert (ledger.bill(first_booking).balance, ledger.bill(second_booking).balance) == (0, 700)
    with refused(ledger, "is already reversed"):
        ledger.execute(MoveCharges(HOTEL, first_booking, (charged.id,), 1, second_booking))


def test_an_invalid_move_of_charges_is_refused(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in()
    first, second = ledger.post_charge(booking), ledger.post_charge(booking)
    ledger.execute(OpenFolio(HOTEL, booking, GLOBEX))
    with refused(ledger, "to_folio:other"):
        ledger.execute(MoveCharges(HOTEL, booking, (first.id,), 1))
    with refused(ledger, "folio"):
        ledger.execute(MoveCharges(HOTEL, booking, (first.id,), 3))
    with refused(ledger, "booking"):
        ledger.execute(MoveCharges(HOTEL, booking, (first.id,), 1, "nobody"))
    with refused(ledger, "lines:unique"):
        MoveCharges(HOTEL, booking, (first.id, first.id), 2)
    ledger.execute(ReverseCharge(HOTEL, booking, second.id, "wrong"))
    with refused(ledger, "is already reversed"):
        ledger.execute(MoveCharges(HOTEL, booking, (first.id, second.id), 2))


def test_a_split_of_a_charge_loses_no_cent(ledger: LedgerFixture) -> None:
    booking = ledger.book_and_check_in(0, 2)
    ledger.roll_business_date()
    (charge,) = lines(ledger, booking)
    ledger.execute(SplitCharge(HOTEL, booking, charge.id, eur(3_333)))
    _, reversal, first, second = lines(ledger, booking)
    assert (first.amount, second.amount, reversal.amount) == (3_333, charge.amount - 3_333, -charge.amount)
    for tax, first_tax, second_tax in zip(charge.taxes, first.taxes, second.taxes, strict=True):
        assert first_tax.amount + second_tax.amount == tax.amount
    assert reversal.moved_to == (LinePosition(booking, 1, first.id), LinePosition(booking, 1, second.id))
    assert first.moved_from == second.moved_from == LinePosition(booking, 1, charge.id)
    ledger.roll_business_date()
    assert ledger.bill(booking).balance == 2 * charge.amount


@pytest.mark.parametrize("amount", [0, 1_000, 1_001])
def test_a_split_part_must_be_less_than_the_charge(ledger: LedgerFixture, amount: int) -> None:
    booking = ledger.book_and_check_in()
    charged = ledger.post_charge(booking, 1_000)
    with refused(ledger, "amount:part"):
        ledger.execute(SplitCharge(HOTEL, booking, charged.id, eur(amount)))


def test_the_number_of_folios_of_a_booking_is_limited(ledger: LedgerFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "folios_per_booking_max", 2)
    booking = ledger.book_and_check_in()
    ledger.execute(OpenFolio(HOTEL, booking, GLOBEX))
    with refused(ledger, "booking:folios_max"):
        ledger.execute(OpenFolio(HOTEL, booking, GLOBEX))


def test_a_full_folio_refuses_manual_lines_but_nights_are_posted(
    ledger: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "lines_per_folio_max", 2)
    booking, other = ledger.book_and_check_in(0, 2), ledger.book_and_check_in()
    charged, moved = ledger.post_charge(booking), ledger.post_charge(other)
    with refused(ledger, "folio:lines_max"):
        ledger.execute(SplitCharge(HOTEL, booking, charged.id, eur(1)))
    ledger.post_charge(booking)
    with refused(ledger, "folio:lines_max"):
        ledger.execute(MoveCharges(HOTEL, other, (moved.id,), 1, booking))
    with refused(ledger, "folio:lines_max"):
        ledger.post_charge(booking)
    with refused(ledger, "folio:lines_max"):
        ledger.record_payment(booking, 100)
    ledger.execute(ReverseCharge(HOTEL, booking, charged.id, "wrong"))
    ledger.roll_business_date()
    assert ledger.posted_nights(booking) == [0]
