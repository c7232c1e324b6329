"""Money is counted in the smallest unit of its currency, and is never rounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.values.limits import rate_minor_units_max
from innkeeper.protocol.values.money import Money, digits, render


@given(st.integers(0, rate_minor_units_max), st.sampled_from(["EUR", "JPY", "BHD", "USD", "CLF"]))
def test_a_rendered_amount_is_parsed_to_the_same_amount(units: int, currency: str) -> None:
    assert Money(render(units, currency), currency).minor_units() == units


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        ("120.00", "EUR", 12_000),
        ("120", "EUR", 12_000),
        ("120.5", "EUR", 12_050),
        ("120", "JPY", 120),
        ("1.234", "BHD", 1_234),
    ],
)
def test_each_currency_has_its_number_of_digits(amount: str, currency: str, units: int) -> None:
    assert Money(amount, currency).minor_units() == units


@pytest.mark.parametrize(
    ("amount", "currency", "rule"),
    [
        ("1.005", "EUR", "digits"),
        ("1.5", "JPY", "digits"),
        ("-1.00", "EUR", "decimal"),
        ("1e3", "EUR", "decimal"),
        ("1,00", "EUR", "decimal"),
        ("١٢", "EUR", "decimal"),
        ("", "EUR", "decimal"),
        (".5", "EUR", "decimal"),
        ("NaN", "EUR", "decimal"),
        ("999999999999", "EUR", "maximum"),
        ("1.00", "EURO", "iso_4217"),
        ("1.00", "eur", "iso_4217"),
        ("1.00", "XYZ", "iso_4217"),
    ],
)
def test_an_invalid_amount_is_refused(amount: str, currency: str, rule: str) -> None:
    with pytest.raises(Refused) as refused:
        Money(amount, currency)
    assert [error.rule for error in refused.value.refusal.errors] == [rule]


def test_a_negative_amount_is_rendered_with_its_sign() -> None:
    assert render(-5, "EUR") == "-0.05"
    assert render(-120, "JPY") == "-120"


def test_the_digits_of_a_currency_follow_iso_4217() -> None:
    assert [digits(currency) for currency in ("EUR", "JPY", "BHD", "CLF")] == [2, 0, 3, 4]
