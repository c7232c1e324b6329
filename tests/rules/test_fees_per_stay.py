"""A fee per stay is owed once, whatever becomes of the stay: on booking, folio and invoice it adds up to the fee (P10).

Nights that are over keep what they have of it. The rest is on those that are left.
"""

from contextlib import suppress
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.reservations.booking import Booking, PriceLine
from innkeeper.protocol.reservations.projection import apply_event
from innkeeper.protocol.reservations.reasons import DepartureReason
from innkeeper.protocol.reservations.requests import TaxExemptionRequest
from innkeeper.protocol.reservations.terms import TaxRequest
from innkeeper.protocol.values.taxes import ChargeKind, TaxBase, TaxPeriod
from support.billing_fixture import LedgerFixture, eur
from support.partition_fixture import HOTEL, night

RATE = 10_000
ONCE = [TaxPeriod.STAY, TaxPeriod.STAY_SPREAD]


def fee(amount: int = 3_000, period: TaxPeriod = TaxPeriod.STAY_SPREAD, **more: Any) -> TaxRequest:
    fields: dict[str, Any] = {"code": "CLEAN", "name": "Cleaning", "base": TaxBase.ROOM, **more}
    return TaxRequest(applies_to=(ChargeKind.ROOM,), amount=eur(amount), period=period, **fields)


def levy(code: str, **more: Any) -> TaxRequest:
    return TaxRequest(code=code, name=code, applies_to=(ChargeKind.ROOM,), **more)


def shares(lines: tuple[PriceLine, ...], code: str = "CLEAN") -> list[int]:
    """What each night has of the fee."""
    return [sum(tax.amount for tax in line.taxes if tax.code == code) for line in lines]


class Stay:
    """A guest in a hotel with these taxes; the first nights of the stay can be over."""

    def __init__(
        self, *taxes: TaxRequest, arrival: int = 0, nights: int = 3, over: int | None = None, **more: Any
    ) -> None:
        self.ledger = LedgerFixture(*taxes, hotel={"max_guests": 4})
        self.id = self.ledger.book(arrival, nights, **more)
        if over is not None:
            self.ledger.execute_on_hotel(commands.CheckInGuest(HOTEL, self.id))
            if over:
                self.ledger.roll_business_date(over)

    def now(self) -> Booking:
        """The booking as it is, also after the hotel has dropped it from its state."""
        found: Booking | None = None
        for record in self.ledger.hotel_records:
            if getattr(record.event, "booking", None) == self.id:
                found = apply_event(found, record, "EUR")
        assert found is not None
        return found

    def today(self) -> date:
        return self.ledger.hotel_state.opened().business_date

    def change(self, **fields: Any) -> list[int]:
        """Change the booking; what each night has of the fee then."""
        return shares(self.ledger.change(self.id, **fields).lines)

    def sell_on(self, *taxes: TaxRequest) -> None:
        """Give the hotel other taxes."""
        self.ledger.set_terms_of_sale(taxes=taxes)

    def leave(self) -> None:
        """Sleep the nights that are left, and check out."""
        if (left := (self.now().departure - self.today()).days) > 0:
            self.ledger.roll_business_date(left)
        self.ledger.execute_on_hotel(commands.CheckOutGuest(HOTEL, self.id))

    def check_documents(self) -> None:
        """Booking, folio and invoice say the same."""
        total = sum(line.total for line in self.now().lines)
        charged = [line for line in self.ledger.bill(self.id).folios[0].lines if line.is_charge]
        invoice = self.ledger.issue_invoice(self.id)
        assert (sum(line.amount for line in charged), invoice.total) == (total, total)
        billed = sum(tax.amount for line in charged for tax in line.taxes if tax.code == "CLEAN")
        assert billed == sum(shares(self.now().lines))


@pytest.mark.parametrize(
    ("departure", "expected"),
    [(6, [1_000, 400, 400, 400, 400, 400]), (2, [1_000, 2_000]), (1, [1_000]), (3, [1_000, 1_000, 1_000])],
)
def test_what_past_nights_have_not_is_spread_over_those_that_are_left(departure: int, expected: list[int]) -> None:
    stay = Stay(fee(), over=1)
    assert stay.change(departure=night(departure)) == expected
    stay.leave()
    stay.check_documents()


def test_an_overstay_pays_no_fee_again() -> None:
    stay = Stay(fee(), nights=2, over=4)
    assert shares(stay.now().lines) == [1_500, 1_500, 0, 0]
    stay.leave()
    stay.check_documents()


def test_a_share_that_is_open_is_on_the_night_of_an_overstay() -> None:
    stay = Stay(fee(), over=1)
    stay.change(departure=night(1))
    stay.ledger.roll_business_date(1)
    assert shares(stay.now().lines) == [1_000, 2_000]


@pytest.mark.parametrize("period", ONCE)
@pytest.mark.parametrize("later", [(), (fee(9_900),), (levy("CLEAN", rate="5"),), (fee(9_900, TaxPeriod.NIGHT),)])
@pytest.mark.parametrize(
    "fields", [{"departure": night(11)}, {"arrival": night(4)}, {"arrival": night(7)}, {"source": "phone"},
               {"arrival": night(20), "departure": night(22)}], ids=str
)  # fmt: skip
def test_the_fee_is_the_one_that_was_agreed_whatever_the_hotel_asks_now(
    fields: dict[str, Any], later: tuple[TaxRequest, ...], period: TaxPeriod
) -> None:
    stay = Stay(fee(period=period), arrival=5)
    stay.sell_on(*later)
    assert sum(stay.change(**fields)) == 3_000


@pytest.mark.parametrize("period", ONCE)
def test_a_fee_that_was_not_agreed_is_not_on_nights_that_are_added(period: TaxPeriod) -> None:
    stay = Stay(levy("CITY", amount=eur(200)), arrival=5)
    stay.sell_on(fee(period=period), levy("CITY", amount=eur(300)))
    assert stay.change(departure=night(10)) == [0] * 5
    assert shares(stay.now().lines, "CITY") == [200, 200, 200, 300, 300]
    assert stay.change(arrival=night(4)) == [0] * 6


def test_a_guest_more_pays_the_fee_on_the_nights_that_are_left() -> None:
    spread = Stay(fee(base=TaxBase.GUEST), over=1)
    assert spread.change(adults=2) == [1_000, 2_500, 2_500]
    spread.ledger.roll_business_date(1)
    assert spread.change(adults=1) == [1_000, 2_500, 0]
    first_only = Stay(fee(base=TaxBase.GUEST, nights_max=1), over=1)
    assert first_only.change(adults=2) == [3_000, 3_000, 0]
    once = Stay(fee(period=TaxPeriod.STAY, base=TaxBase.GUEST), over=1)
    assert once.change(adults=2) == [3_000, 3_000, 0]
    assert once.change(adults=1) == [3_000, 0, 0]


def test_who_becomes_exempt_pays_no_more_of_the_fee() -> None:
    stay = Stay(fee(), over=1)
    assert stay.change(exemptions=(TaxExemptionRequest("CLEAN", "ill"),)) == [1_000, 0, 0]


def test_a_fee_is_spread_over_as_many_nights_as_it_is_due_on() -> None:
    stay = Stay(fee(nights_max=2), nights=4, over=1)
    assert shares(stay.now().lines) == [1_500, 1_500, 0, 0]
    assert stay.change(departure=night(6)) == [1_500, 1_500, 0, 0, 0, 0]


def test_an_added_tax_on_the_taxed_price_is_on_the_fee_of_added_nights_too() -> None:
    vat = levy("VAT", rate="10", base=TaxBase.TAXED_PRICE)
    stay = Stay(fee(), vat, arrival=5)
    stay.sell_on(fee(9_000), vat)
    stay.change(departure=night(11))
    assert shares(stay.now().lines, "VAT") == [1_050] * 6
    stay.sell_on(vat)
    stay.change(departure=night(15))
    assert shares(stay.now().lines, "VAT") == [1_030] * 10


def test_an_included_fee_that_is_more_than_a_night_is_not_shared_anew_without_need() -> None:
    """The first night costs 5.00, and can have no more of the fee."""
    stay = Stay(fee(included=True), nights=1, rate=eur(500))
    assert stay.change(departure=night(3)) == [500, 1_000, 1_000]
    stay.ledger.execute_on_hotel(commands.CheckInGuest(HOTEL, stay.id))
    stay.ledger.roll_business_date(1)
    assert stay.change(source="phone") == [500, 1_000, 1_000]


@pytest.mark.parametrize("period", ONCE)
def test_an_early_departure_gives_back_the_shares_of_the_nights_not_slept(period: TaxPeriod) -> None:
    stay = Stay(fee(period=period), over=1)
    stay.ledger.execute_on_hotel(commands.CheckOutGuest(HOTEL, stay.id, DepartureReason.EARLY))
    assert shares(stay.now().lines) == [3_000 if period is TaxPeriod.STAY else 1_000]
    stay.check_documents()


@pytest.mark.parametrize("period", ONCE)
def test_a_guest_who_comes_after_the_audit_owes_the_fee_on_the_nights_that_are_left(period: TaxPeriod) -> None:
    """The first night was given back."""
    stay = Stay(fee(period=period))
    stay.ledger.execute_on_hotel(commands.MarkNoShow(HOTEL, stay.id))
    stay.ledger.roll_business_date(1)
    stay.ledger.execute_on_hotel(commands.ReinstateBooking(HOTEL, stay.id))
    expected = [0, 3_000, 0] if period is TaxPeriod.STAY else [0, 1_500, 1_500]
    assert shares(stay.now().lines) == expected
    assert [line.total for line in stay.now().lines] == [0, RATE + expected[1], RATE + expected[2]]
    assert stay.change(source="phone") == expected
    stay.ledger.execute_on_hotel(commands.CheckInGuest(HOTEL, stay.id, accept_not_clean=True))
    stay.leave()
    stay.check_documents()


STEPS = ("sleep", "departure", "arrival", "rate", "terms", "type", "source", "arrive", "no-show")


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_fee_per_stay_adds_up_whatever_becomes_of_the_stay(data: st.DataObject) -> None:
    amount, period = data.draw(st.integers(1, 5_000), "amount"), data.draw(st.sampled_from(ONCE), "period")
    agreed = fee(amount, period, nights_max=data.draw(st.none() | st.integers(1, 3), "nights_max"))
    stay = Stay(agreed, levy("VAT", rate="7"), nights=data.draw(st.integers(1, 5), "nights"))
    for step in data.draw(st.lists(st.sampled_from(STEPS), max_size=8), "steps"):
        with suppress(Refused):
            take(stay, step, data)
        assert sum(shares(stay.now().lines)) == amount, step
    if stay.now().status.value == "confirmed":
        with suppress(Refused):
            stay.ledger.execute_on_hotel(commands.CheckInGuest(HOTEL, stay.id, accept_not_clean=True))
    if stay.now().status.value == "in_house":
        stay.leave()
        assert sum(shares(stay.now().lines)) == amount
        stay.check_documents()


def take(stay: Stay, step: str, data: st.DataObject) -> None:
    """Take a step, which may be refused."""
    number = data.draw(st.integers(1, 7), step)
    match step:
        case "sleep" if stay.today() < stay.now().departure - timedelta(days=1):
            stay.ledger.roll_business_date(1)
            if stay.now().status.value == "no_show":
                stay.ledger.execute_on_hotel(commands.ReinstateBooking(HOTEL, stay.id))
        case "departure":
            stay.change(departure=stay.today() + timedelta(days=number))
        case "arrival":
            stay.change(arrival=stay.today() + timedelta(days=number - 1))
        case "rate":
            stay.change(rate=eur(number * 1_000))
        case "terms":
            stay.sell_on(fee(number * 100, data.draw(st.sampled_from(TaxPeriod))), levy("VAT", rate=str(number)))
        case "type":
            stay.change(room_type=data.draw(st.sampled_from(["DBL", "SUI"])))
        case "source":
            stay.change(source=str(number))
        case "arrive":
            stay.ledger.execute_on_hotel(commands.CheckInGuest(HOTEL, stay.id, accept_not_clean=True))
        case "no-show":
            stay.ledger.execute_on_hotel(commands.MarkNoShow(HOTEL, stay.id))
            stay.ledger.execute_on_hotel(commands.ReinstateBooking(HOTEL, stay.id))
