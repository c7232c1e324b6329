"""Taxes in whole cents: included, added, by guest and night, and split without a loss."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from innkeeper.actors.billing.rules.taxes import opposite, split_taxes
from innkeeper.protocol.messages.refusals import InvalidRequest, Refused
from innkeeper.protocol.reservations.hotel_requests import HotelChange
from innkeeper.protocol.reservations.terms import DepositRequest, TaxRequest
from innkeeper.protocol.values.money import Money
from innkeeper.protocol.values.taxes import (
    ChargeKind,
    Guests,
    Tax,
    TaxAmount,
    TaxBase,
    TaxCategory,
    TaxPeriod,
    added,
    half_up,
    night_taxes,
    taxes_on,
)
from support.billing_fixture import LedgerFixture, eur
from support.partition_fixture import TODAY, night

COUPLE = Guests(2)
ROOM, OTHER = ChargeKind.ROOM, ChargeKind.OTHER


def tax(code: str = "VAT", **more: object) -> Tax:
    if "amount" in more:
        more = {"base": TaxBase.GUEST, "category": TaxCategory.LEVY} | more
    return Tax(**{"code": code, "name": code, "applies_to": (ROOM,)} | more)  # type: ignore[arg-type]


def amounts(price: int, *taxes: Tax, guests: Guests = COUPLE) -> list[int]:
    """What a night costs at this price, and each tax in it."""
    parts = taxes_on(price, night_taxes(taxes, [TODAY], 0, guests))
    return [price + added(parts), *(part.amount for part in parts)]


def nightly(taxes: tuple[Tax, ...], nights: int, price: int = 10_000, guests: Guests = COUPLE) -> list[int]:
    """The taxes of each night of a stay from today on, in all."""
    dates = [night(place) for place in range(nights)]
    due = (night_taxes(taxes, dates, place, guests) for place in range(nights))
    return [sum(part.amount for part in taxes_on(price, one)) for one in due]


@given(st.integers(0, 10**12), st.integers(1, 10**6))
def test_a_half_is_rounded_up(numerator: int, denominator: int) -> None:
    assert half_up(numerator, denominator) == (Fraction(numerator, denominator) + Fraction(1, 2)).__floor__()


@pytest.mark.parametrize(
    ("price", "rate", "expected"),
    [(10_000, 6_000, 566), (12_300, 23_000, 2_300), (1, 20_000, 0), (3, 20_000, 1), (0, 6_000, 0)],
)
def test_an_included_tax_is_part_of_the_price(price: int, rate: int, expected: int) -> None:
    assert amounts(price, tax(rate=rate, included=True)) == [price, expected]


@pytest.mark.parametrize(
    ("price", "rate", "expected"), [(995, 10_000, 100), (994, 10_000, 99), (5, 10_000, 1), (0, 50, 0)]
)
def test_an_added_tax_is_on_top_of_the_price(price: int, rate: int, expected: int) -> None:
    assert amounts(price, tax(rate=rate)) == [price + expected, expected]


def test_two_included_rates_share_the_price() -> None:
    state, county = tax("STATE", rate=6_000, included=True), tax("COUNTY", rate=4_000, included=True)
    assert amounts(11_000, state, county) == [11_000, 600, 400]


def test_an_added_tax_is_calculated_without_the_included_one() -> None:
    assert amounts(12_300, tax(rate=23_000, included=True), tax("CITY", rate=5_000)) == [12_800, 2_300, 500]


def test_a_tax_applies_only_to_its_kinds_of_charges() -> None:
    assert amounts(100, tax(rate=6_000, applies_to=(OTHER,))) == [100]
    assert amounts(100, tax(rate=6_000, applies_to=(ROOM, OTHER))) == [106, 6]


@pytest.mark.parametrize(("exempt_below", "payers"), [(18, 2), (13, 3), (12, 4), (0, 5)])
def test_a_city_tax_exempts_guests_below_its_age(exempt_below: int, payers: int) -> None:
    city = tax("CITY", amount=200, exempt_below=exempt_below)
    assert amounts(10_000, city, guests=Guests(2, (3, 12, 13))) == [10_000 + 200 * payers, 200 * payers]


def test_a_fee_per_room_does_not_count_guests() -> None:
    assert amounts(10_000, tax("LINEN", amount=500, base=TaxBase.ROOM)) == [10_500, 500]


def test_a_tax_on_the_taxed_price_includes_the_added_taxes_before_it() -> None:
    service, state = tax("SERVICE", rate=10_000), tax("STATE", rate=5_000, base=TaxBase.TAXED_PRICE)
    assert amounts(10_000, service, state) == [11_550, 1_000, 550]


def test_a_city_tax_is_due_on_the_first_nights_only() -> None:
    assert nightly((tax("CITY", amount=200, nights_max=2),), 4) == [400, 400, 0, 0]


def test_a_rate_that_changes_follows_each_night_or_is_one_for_the_stay() -> None:
    def versions(period: TaxPeriod) -> tuple[Tax, ...]:
        first = tax(rate=6_000, valid_to=night(1), period=period)
        return first, tax(rate=7_000, valid_from=night(2), period=period)

    assert nightly(versions(TaxPeriod.NIGHT), 3) == [600, 600, 700]
    assert nightly(versions(TaxPeriod.STAY), 3) == [700, 700, 700]
    assert nightly(versions(TaxPeriod.STAY), 2) == [600, 600]


def test_a_fee_per_stay_is_due_on_the_first_night_or_spread_without_a_loss() -> None:
    cleaning = {"amount": 1_000, "base": TaxBase.ROOM}
    assert nightly((tax("CLEANING", period=TaxPeriod.STAY, **cleaning),), 3) == [1_000, 0, 0]
    assert nightly((tax("CLEANING", period=TaxPeriod.STAY_SPREAD, **cleaning),), 3) == [334, 333, 333]


def test_an_included_city_tax_is_deducted_before_the_rates() -> None:
    city, vat = tax("CITY", amount=200, included=True), tax(rate=6_000, included=True)
    assert amounts(10_400, city, vat) == [10_400, 400, 566]
    assert amounts(300, tax(amount=200, included=True)) == [300, 300]


@given(
    st.integers(0, 10**9),
    st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 999), st.booleans()), max_size=4),
    st.data(),
)
def test_net_and_taxes_sum_to_the_amount_and_a_split_loses_nothing(
    price: int, rates: list[tuple[int, int, bool]], data: st.DataObject
) -> None:
    taxes = [
        tax(str(number), **{"rate": rate} if rate else {"amount": fixed}, included=included)
        for number, (rate, fixed, included) in enumerate(rates)
    ]
    parts = taxes_on(price, night_taxes(taxes, [TODAY], 0, COUPLE))
    total = price + sum(part.amount for part in parts if not part.included)
    assert total - sum(part.amount for part in parts) >= 0
    if total:
        part = data.draw(st.integers(0, total))
        first, rest = split_taxes(parts, part, total)
        assert [one.amount + other.amount for one, other in zip(first, rest, strict=True)] == [
            whole.amount for whole in parts
        ]
        for total_of, shared in ((part, first), (total - part, rest)):
            net = total_of - sum(one.amount for one in shared)
            bases = {one.base for one, whole in zip(shared, parts, strict=True) if whole.base}
            assert bases <= {net}, "a rate is computed on another amount than the net one"
    assert sum(part.amount for part in (*parts, *opposite(parts))) == 0


def test_a_reversed_tax_keeps_its_code_and_rate() -> None:
    assert opposite((TaxAmount("VAT", 6_000, 566, True),)) == (TaxAmount("VAT", 6_000, -566, True),)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({}, "one_of"),
        ({"rate": "6", "amount": Money("2.00", "EUR")}, "one_of"),
        ({"amount": Money("2.00", "EUR"), "applies_to": (ROOM, OTHER)}, "only_room"),
        ({"rate": "6", "base": TaxBase.GUEST}, "one_of"),
        ({"amount": Money("2.00", "EUR"), "base": TaxBase.PRICE}, "one_of"),
        ({"rate": "6", "included": True, "base": TaxBase.TAXED_PRICE}, "not_included"),
        ({"rate": "6", "period": TaxPeriod.STAY_SPREAD}, "only_amount"),
        ({"rate": "6", "valid_from": night(2), "valid_to": night(1)}, "after_from"),
    ],
)
def test_an_invalid_tax_is_refused(fields: dict[str, object], rule: str) -> None:
    with pytest.raises(Refused) as refused:
        TaxRequest(**{"code": "T", "name": "T", "applies_to": (ROOM,)} | fields)  # type: ignore[arg-type]
    assert isinstance(refused.value.refusal, InvalidRequest)
    assert refused.value.refusal.errors[0].rule == rule


def test_invalid_terms_are_refused() -> None:
    tax = TaxRequest(code="T", name="T", applies_to=(ROOM,), rate="0.001")
    for fields, rule in (
        ({"taxes": (tax, tax)}, "unique"),
        ({"deposits": (DepositRequest(60), DepositRequest(41))}, "percent_max"),
    ):
        with pytest.raises(Refused) as refused:
            HotelChange(**fields)  # type: ignore[arg-type]
        assert isinstance(refused.value.refusal, InvalidRequest)
        assert refused.value.refusal.errors[0].rule == rule
    with pytest.raises(Refused):
        LedgerFixture(TaxRequest(code="T", name="T", applies_to=(ROOM,), amount=Money("2.00", "USD")))


def test_a_tax_may_have_several_rates_one_after_the_other() -> None:
    until = TaxRequest(code="T", name="T", applies_to=(ROOM,), rate="6", valid_to=night(1))
    after = TaxRequest(code="T", name="T", applies_to=(ROOM,), rate="7", valid_from=night(2))
    ledger = LedgerFixture(until, after)
    lines = ledger.hotel_state.bookings[ledger.book(1, 3)].lines
    assert [line.taxes[0].amount for line in lines] == [600, 700, 700]


def test_setting_the_same_terms_again_records_no_event() -> None:
    city_tax = TaxRequest(code="CITY", name="City tax", applies_to=(ROOM,), amount=eur(200), exempt_below=13)
    ledger = LedgerFixture(city_tax)
    terms = ledger.hotel_state.opened().terms_of_sale[-1]
    assert terms.taxes == (tax("CITY", name="City tax", amount=200, exempt_below=13),)
    ledger.set_terms_of_sale(taxes=(city_tax,))
    ledger.set_billing_terms()
    assert len(ledger.hotel_state.opened().terms_of_sale) == 1
    assert ledger.event_names().count("ledger.terms_changed") == 1
