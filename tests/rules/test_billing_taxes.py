"""Taxes in whole cents: included, added, by guest and night, and split without a loss."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from innkeeper.actors.billing.rules.taxes import half_up, opposite, split_taxes, taxed
from innkeeper.protocol.billing import queries as billing_queries
from innkeeper.protocol.billing.folio import StayTerms, TaxAmount
from innkeeper.protocol.billing.terms import (
    BillingTermsRequest,
    ChargeKind,
    DepositRequest,
    PartyRequest,
    Tax,
    TaxRequest,
)
from innkeeper.protocol.messages.refusals import InvalidRequest, Refused
from innkeeper.protocol.reservations.booking import BookingStatus
from innkeeper.protocol.values.money import Money
from support.billing_fixture import LedgerFixture, eur
from support.partition_fixture import HOTEL, TODAY, night

STAY = StayTerms(
    locator="L", status=BookingStatus.IN_HOUSE, booked_on=TODAY, arrival=TODAY, departure=night(2), rate=1, adults=2
)
ROOM, OTHER = ChargeKind.ROOM, ChargeKind.OTHER


def tax(code: str = "VAT", **more: object) -> Tax:
    return Tax(code=code, name=code, **{"applies_to": (ROOM,)} | more)  # type: ignore[arg-type]


def amounts(price: int, *taxes: Tax, charge: ChargeKind = ROOM, quantity: int = 1, stay: StayTerms = STAY) -> list[int]:
    """The total amount, and each tax in it."""
    total, parts = taxed(taxes, charge, price, quantity, stay)
    return [total, *(part.amount for part in parts)]


@given(st.integers(0, 10**12), st.integers(1, 10**6))
def test_a_half_is_rounded_up(numerator: int, denominator: int) -> None:
    assert half_up(numerator, denominator) == (Fraction(numerator, denominator) + Fraction(1, 2)).__floor__()


@pytest.mark.parametrize(
    ("price", "rate", "expected"),
    [(10_000, 600, 566), (12_300, 2_300, 2_300), (1, 2_000, 0), (3, 2_000, 1), (0, 600, 0)],
)
def test_an_included_tax_is_part_of_the_price(price: int, rate: int, expected: int) -> None:
    assert amounts(price, tax(rate=rate, included=True)) == [price, expected]


@pytest.mark.parametrize(("price", "rate", "expected"), [(995, 1_000, 100), (994, 1_000, 99), (5, 1_000, 1), (0, 5, 0)])
def test_an_added_tax_is_on_top_of_the_price(price: int, rate: int, expected: int) -> None:
    assert amounts(price, tax(rate=rate)) == [price + expected, expected]


def test_two_included_rates_share_the_price() -> None:
    state, county = tax("STATE", rate=600, included=True), tax("COUNTY", rate=400, included=True)
    assert amounts(11_000, state, county) == [11_000, 600, 400]


def test_an_added_tax_is_calculated_without_the_included_one() -> None:
    assert amounts(12_300, tax(rate=2_300, included=True), tax("CITY", rate=500)) == [12_800, 2_300, 500]


def test_a_tax_applies_only_to_its_kinds_of_charges() -> None:
    assert amounts(100, tax(rate=600), charge=OTHER) == [100]
    assert amounts(100, tax(rate=600, applies_to=(ROOM, OTHER)), charge=OTHER) == [106, 6]


@pytest.mark.parametrize(("exempt_below", "payers"), [(18, 2), (13, 3), (12, 4), (0, 5)])
def test_a_city_tax_exempts_guests_below_its_age(exempt_below: int, payers: int) -> None:
    family = StayTerms(**{name: getattr(STAY, name) for name in STAY.__struct_fields__} | {"children": (3, 12, 13)})
    city = tax("CITY", per_night=200, exempt_below=exempt_below)
    assert amounts(10_000, city, stay=family) == [10_000 + 200 * payers, 200 * payers]
    assert amounts(10_000, city, stay=family, quantity=3)[1] == 600 * payers


def test_an_included_city_tax_is_deducted_before_the_rates() -> None:
    city, vat = tax("CITY", per_night=200, included=True), tax(rate=600, included=True)
    assert amounts(10_400, city, vat) == [10_400, 400, 566]
    assert amounts(300, tax(per_night=200, included=True)) == [300, 300]


@given(
    st.integers(0, 10**9),
    st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 999), st.booleans()), max_size=4),
    st.data(),
)
def test_net_and_taxes_sum_to_the_amount_and_a_split_loses_nothing(
    price: int, rates: list[tuple[int, int, bool]], data: st.DataObject
) -> None:
    taxes = tuple(
        tax(str(number), rate=rate, per_night=0 if rate else fixed, included=included)
        for number, (rate, fixed, included) in enumerate(rates)
    )
    total, parts = taxed(taxes, ROOM, price, 1, STAY)
    assert total - sum(part.amount for part in parts) >= 0
    assert total == price + sum(
        part.amount for part, tax_of_part in zip(parts, taxes, strict=True) if not tax_of_part.included
    )
    if total:
        first, rest = split_taxes(parts, data.draw(st.integers(0, total)), total)
        assert [one.amount + other.amount for one, other in zip(first, rest, strict=True)] == [
            part.amount for part in parts
        ]
    assert sum(part.amount for part in (*parts, *opposite(parts))) == 0


def test_a_reversed_tax_keeps_its_code_and_rate() -> None:
    assert opposite((TaxAmount("VAT", 600, 566),)) == (TaxAmount("VAT", 600, -566),)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({}, "one_of"),
        ({"rate": "6", "per_night": Money("2.00", "EUR")}, "one_of"),
        ({"per_night": Money("2.00", "EUR"), "applies_to": (ROOM, OTHER)}, "only_room"),
    ],
)
def test_an_invalid_tax_is_refused(fields: dict[str, object], rule: str) -> None:
    with pytest.raises(Refused) as refused:
        TaxRequest(**{"code": "T", "name": "T", "applies_to": (ROOM,)} | fields)  # type: ignore[arg-type]
    assert isinstance(refused.value.refusal, InvalidRequest)
    assert refused.value.refusal.errors[0].rule == rule


def test_invalid_terms_are_refused() -> None:
    tax = TaxRequest(code="T", name="T", applies_to=(ROOM,), rate="0.01")
    for fields, rule in (
        ({"taxes": (tax, tax)}, "unique"),
        ({"deposits": (DepositRequest(60), DepositRequest(41))}, "percent_max"),
    ):
        with pytest.raises(Refused) as refused:
            BillingTermsRequest(seller=PartyRequest("S"), **fields)  # type: ignore[arg-type]
        assert isinstance(refused.value.refusal, InvalidRequest)
        assert refused.value.refusal.errors[0].rule == rule
    with pytest.raises(Refused):
        LedgerFixture(TaxRequest(code="T", name="T", applies_to=(ROOM,), per_night=Money("2.00", "USD")))


def test_setting_the_same_terms_again_records_no_event() -> None:
    city_tax = TaxRequest(code="CITY", name="City tax", applies_to=(ROOM,), per_night=eur(200), exempt_below=13)
    ledger = LedgerFixture(city_tax)
    terms = ledger.query(billing_queries.ShowBillingTerms(HOTEL)).ledger.terms
    assert terms.taxes == (Tax(code="CITY", name="City tax", applies_to=(ROOM,), per_night=200, exempt_below=13),)
    ledger.set_billing_terms(city_tax)
    assert ledger.event_names().count("ledger.terms_changed") == 1
