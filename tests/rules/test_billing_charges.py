"""Charges by hand, and what can be done with them: take back, move, split. Nothing is ever edited."""

import pytest
from innkeeper.protocol.billing.commands import MoveCharges, OpenFolio, PostCharge, ReverseCharge, SplitCharge
from innkeeper.protocol.billing.folio import FolioLine, LineKind, LinePosition
from innkeeper.protocol.billing.queries import ShowBill
from innkeeper.protocol.billing.terms import ChargeKind, PartyPlan
from innkeeper.protocol.messages.refusals import NotAllowed, Refused
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.money import Money
from support.billing_fixture import CITY, SERVICE, VAT, VAT_FOOD, LedgerFixture, eur
from support.ledger_refusals import refused
from support.partition_fixture import HOTEL, night

GLOBEX = PartyPlan("Globex", ("1 Main Street",), "PT123")


@pytest.fixture
def books() -> LedgerFixture:
    return LedgerFixture(VAT, VAT_FOOD, SERVICE, CITY)


def lines(books: LedgerFixture, booking: str, folio: int = 1) -> tuple[FolioLine, ...]:
    return books.bill(booking).folios[folio - 1].lines


def test_an_extra_is_charged_on_the_business_date_with_its_taxes(books: LedgerFixture) -> None:
    booking = books.stay(0, 3)
    books.roll()
    line = books.charge(booking, 1_130, charge=ChargeKind.BREAKFAST, text="Breakfast", quantity=3)
    assert (line.amount, line.tax, line.net, line.quantity) == (3_390, 390, 3_000, 3)
    assert (line.business_date, line.night, line.text) == (night(1), None, "Breakfast")


def test_a_tax_that_is_not_in_the_price_comes_on_top_of_it(books: LedgerFixture) -> None:
    line = books.charge(books.stay(), 995, charge=ChargeKind.MINIBAR)
    assert (line.amount, line.net, line.tax) == (1_095, 995, 100)


def test_a_gift_is_charged_at_nothing(books: LedgerFixture) -> None:
    assert books.charge(books.stay(), 0).amount == 0


def test_late_extras_are_charged_after_the_guest_has_left_or_cancelled(books: LedgerFixture) -> None:
    booking = books.book(9, 1)
    books.charge(booking, 700)
    assert books.bill(booking).balance == 700


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"folio": 2}, "folio"),
        ({"folio": 0}, "folio"),
        ({"unit_amount": Money("1.00", "USD")}, "unit_amount.currency:currency"),
        ({"unit_amount": eur(limits.charge_minor_units_max), "quantity": 2}, "quantity:amount_max"),
    ],
)
def test_what_cannot_be_charged_is_refused(books: LedgerFixture, more: dict[str, object], what: str) -> None:
    booking = books.stay()
    fields = {"charge": ChargeKind.OTHER, "text": "Extra", "unit_amount": eur(100)} | more
    with refused(books, what):
        books.enter(PostCharge(HOTEL, booking, **fields))  # type: ignore[arg-type]


def test_an_unknown_booking_has_no_bill(books: LedgerFixture) -> None:
    with refused(books, "booking"):
        books.charge("nobody")
    with refused(books, "booking"):
        books.ask(ShowBill(HOTEL, "nobody"))
    booking = books.book()
    with refused(books, "folio"):
        books.charge(booking, folio=2)


def test_a_charge_is_taken_back_by_another_line(books: LedgerFixture) -> None:
    booking = books.stay()
    charged = books.charge(booking, 1_000, charge=ChargeKind.BREAKFAST)
    books.enter(ReverseCharge(HOTEL, booking, charged.id, "not eaten"))
    first, second = lines(books, booking)
    assert (second.kind, second.amount, second.tax, second.reverses) == (
        LineKind.REVERSAL, -1_000, -charged.tax, charged.id,
    )  # fmt: skip
    assert first.reversed_by == second.id
    assert books.bill(booking).balance == 0


def test_a_charge_is_taken_back_once_and_for_good(books: LedgerFixture) -> None:
    booking = books.stay()
    charged = books.charge(booking)
    books.enter(ReverseCharge(HOTEL, booking, charged.id, "wrong"))
    with refused(books, "is already reversed"):
        books.enter(ReverseCharge(HOTEL, booking, charged.id, "wrong"))
    with refused(books, "is a reversal"):
        books.enter(ReverseCharge(HOTEL, booking, charged.id + 1, "wrong"))
    with refused(books, "line"):
        books.enter(ReverseCharge(HOTEL, booking, 99, "wrong"))


def test_a_payment_is_not_a_charge_to_take_back_or_move(books: LedgerFixture) -> None:
    booking = books.stay()
    books.pay(booking, 500)
    (paid,) = lines(books, booking)
    with refused(books, "is a payment"):
        books.enter(ReverseCharge(HOTEL, booking, paid.id, "wrong"))
    books.enter(OpenFolio(HOTEL, booking, GLOBEX))
    with refused(books, "is a payment"):
        books.enter(MoveCharges(HOTEL, booking, (paid.id,), 2))


def test_what_stands_on_an_invoice_needs_a_credit_note(books: LedgerFixture) -> None:
    booking = books.stay()
    charged = books.charge(booking)
    books.invoice(booking)
    with refused(books, "issue a credit note"):
        books.enter(ReverseCharge(HOTEL, booking, charged.id, "wrong"))
    with pytest.raises(Refused) as told:
        books.enter(SplitCharge(HOTEL, booking, charged.id, eur(1)))
    assert isinstance(told.value.refusal, NotAllowed)
    assert told.value.refusal.allowed == ("credit-note",)


def test_a_company_pays_the_room_and_the_guest_the_extras(books: LedgerFixture) -> None:
    booking = books.stay(0, 2)
    books.roll(3)
    books.charge(booking, 700)
    books.enter(OpenFolio(HOTEL, booking, GLOBEX))
    rooms = tuple(line.id for line in lines(books, booking) if line.charge is ChargeKind.ROOM)
    books.enter(MoveCharges(HOTEL, booking, rooms, 2))
    assert books.balances(booking) == [700, 20_400]
    assert books.bill(booking).folios[1].buyer == GLOBEX.party()
    there = lines(books, booking, 2)[0]
    assert there.moved_from == LinePosition(booking, 1, rooms[0])
    back = next(line for line in lines(books, booking) if line.reverses == rooms[0])
    assert back.moved_to == (LinePosition(booking, 2, there.id),)
    assert there.night == night(0)


def test_a_guest_pays_for_another(books: LedgerFixture) -> None:
    mine, yours = books.stay(), books.stay()
    charged = books.charge(mine, 700)
    books.enter(MoveCharges(HOTEL, mine, (charged.id,), 1, yours))
    assert (books.bill(mine).balance, books.bill(yours).balance) == (0, 700)
    with refused(books, "is already reversed"):
        books.enter(MoveCharges(HOTEL, mine, (charged.id,), 1, yours))


def test_a_move_goes_somewhere_else_or_nowhere(books: LedgerFixture) -> None:
    booking = books.stay()
    first, second = books.charge(booking), books.charge(booking)
    books.enter(OpenFolio(HOTEL, booking, GLOBEX))
    with refused(books, "to_folio:other"):
        books.enter(MoveCharges(HOTEL, booking, (first.id,), 1))
    with refused(books, "folio"):
        books.enter(MoveCharges(HOTEL, booking, (first.id,), 3))
    with refused(books, "booking"):
        books.enter(MoveCharges(HOTEL, booking, (first.id,), 1, "nobody"))
    with refused(books, "lines:unique"):
        MoveCharges(HOTEL, booking, (first.id, first.id), 2)
    books.enter(ReverseCharge(HOTEL, booking, second.id, "wrong"))
    with refused(books, "is already reversed"):
        books.enter(MoveCharges(HOTEL, booking, (first.id, second.id), 2))


def test_a_charge_is_split_and_no_cent_is_lost(books: LedgerFixture) -> None:
    booking = books.stay(0, 1)
    books.roll()
    (whole,) = lines(books, booking)
    books.enter(SplitCharge(HOTEL, booking, whole.id, eur(3_333)))
    _, back, first, second = lines(books, booking)
    assert (first.amount, second.amount, back.amount) == (3_333, whole.amount - 3_333, -whole.amount)
    for of_whole, of_first, of_second in zip(whole.taxes, first.taxes, second.taxes, strict=True):
        assert of_first.amount + of_second.amount == of_whole.amount
    assert back.moved_to == (LinePosition(booking, 1, first.id), LinePosition(booking, 1, second.id))
    assert first.moved_from == second.moved_from == LinePosition(booking, 1, whole.id)
    books.roll()
    assert books.bill(booking).balance == whole.amount


@pytest.mark.parametrize("amount", [0, 1_000, 1_001])
def test_a_part_is_less_than_the_whole(books: LedgerFixture, amount: int) -> None:
    booking = books.stay()
    charged = books.charge(booking, 1_000)
    with refused(books, "amount:part"):
        books.enter(SplitCharge(HOTEL, booking, charged.id, eur(amount)))


def test_a_booking_has_so_many_folios_and_no_more(books: LedgerFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "folios_per_booking_max", 2)
    booking = books.stay()
    books.enter(OpenFolio(HOTEL, booking, GLOBEX))
    with refused(books, "booking:folios_max"):
        books.enter(OpenFolio(HOTEL, booking, GLOBEX))


def test_a_full_folio_takes_nothing_by_hand_but_every_night_slept(
    books: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "lines_per_folio_max", 2)
    booking, other = books.stay(0, 2), books.stay()
    charged, moved = books.charge(booking), books.charge(other)
    with refused(books, "folio:lines_max"):
        books.enter(SplitCharge(HOTEL, booking, charged.id, eur(1)))
    books.charge(booking)
    with refused(books, "folio:lines_max"):
        books.enter(MoveCharges(HOTEL, other, (moved.id,), 1, booking))
    with refused(books, "folio:lines_max"):
        books.charge(booking)
    with refused(books, "folio:lines_max"):
        books.pay(booking, 100)
    books.enter(ReverseCharge(HOTEL, booking, charged.id, "wrong"))
    books.roll()
    assert books.nights(booking) == [0]
