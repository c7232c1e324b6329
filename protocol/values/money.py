"""Money: integer minor units in the system, in its interfaces a decimal string with the digits of ISO 4217."""

import re
from functools import cache, lru_cache

import msgspec
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.values.limits import rate_minor_units_max
from innkeeper.protocol.values.text import Amount, CurrencyCode
from iso4217 import Currency

_REMEMBERED = 4_096  # the same amounts come again and again
_AMOUNT = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,4}))?", re.ASCII)


@cache
def digits(currency: str) -> int:
    """Returns how many digits follow the decimal point in this currency; refuses one that ISO 4217 does not list."""
    try:
        exponent = Currency(currency).exponent
    except ValueError:
        exponent = None
    if exponent is None:
        raise invalid("currency", "iso_4217", f"{currency!r} is not a currency code of ISO 4217")
    return int(exponent)


class Money(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An amount as the interfaces have it: `{"amount": "120.00", "currency": "EUR"}`."""

    amount: Amount
    currency: CurrencyCode

    def __post_init__(self) -> None:
        self.minor_units()

    def minor_units(self) -> int:
        """Returns the amount in the currency's smallest unit: 120.00 EUR is 12000, 120 JPY is 120."""
        places = digits(self.currency)
        match = _AMOUNT.fullmatch(self.amount)
        if match is None:
            raise invalid("amount", "decimal", "expected digits with an optional decimal point, such as 120.00")
        whole, fraction = match[1], match[2] or ""
        if len(fraction) > places:
            raise invalid("amount", "digits", f"{self.currency} has at most {places} digits after the point")
        units = int(whole + fraction.ljust(places, "0"))
        if units > rate_minor_units_max:
            raise invalid("amount", "maximum", f"the maximum is {render(rate_minor_units_max, self.currency)}")
        return units


@lru_cache(_REMEMBERED)
def render(minor_units: int, currency: str) -> str:
    """Returns minor units as a decimal string: 12000 EUR → "120.00"."""
    places = digits(currency)
    if not places:
        return str(minor_units)
    sign, units = ("-", -minor_units) if minor_units < 0 else ("", minor_units)
    scale = 10**places
    return f"{sign}{units // scale}.{units % scale:0{places}d}"


def unit_price(minor_units: int, quantity: int, currency: str) -> str:
    """Returns an amount divided by a quantity as a decimal string: with the digits of the currency where it divides,
    else with four more, rounded half up. Both have the same sign; the price of a unit is never below zero."""
    whole, of = abs(minor_units), abs(quantity)
    if whole % of == 0:
        return render(whole // of, currency)
    scale = 10 ** (digits(currency) + 4)
    units = (2 * whole * 10**4 + of) // (2 * of)
    return f"{units // scale}.{units % scale:0{digits(currency) + 4}d}"
