"""Taxes in integers: those a price includes, those added to it, and how a line's taxes are split without a loss.

Every line is rounded by itself, half up, and a document's taxes are the sum of its lines'. Directive 2006/112/EC
requires the tax payable by rate on an invoice (article 226), and leaves the level and method of rounding to the member
states (Court of Justice, C-484/06, Ahold, and C-302/07, Wetherspoon); most tills round by line and half up.
"""

from innkeeper.protocol.billing.folio import StayTerms, TaxAmount
from innkeeper.protocol.billing.terms import ChargeKind, Tax

_WHOLE = 10_000  # basis points


def half_up(numerator: int, denominator: int) -> int:
    """The quotient of two non-negative numbers, rounded to the nearest integer, a half upwards."""
    return (2 * numerator + denominator) // (2 * denominator)


def taxed(
    taxes: tuple[Tax, ...], charge: ChargeKind, price: int, quantity: int, stay: StayTerms
) -> tuple[int, tuple[TaxAmount, ...]]:
    """The total of a charge at this price (minor units, for the whole quantity), and the taxes in it.

    Included taxes: those per guest and night are deducted from the price first, down to zero; of the rest, the tax of
    each rate is rest × rate / (1 + all included rates). Added taxes: rate × the price without included taxes.
    """
    due = [tax for tax in taxes if charge in tax.applies_to]
    fixed = {tax.code: tax.per_night * quantity * _payers(tax, stay) for tax in due if not tax.rate}
    left = price
    amounts: dict[str, int] = {}
    for tax in due:
        if tax.included and not tax.rate:
            amounts[tax.code] = min(fixed[tax.code], left)
            left -= amounts[tax.code]
    rated = [tax for tax in due if tax.included and tax.rate]
    whole = _WHOLE + sum(tax.rate for tax in rated)
    amounts |= {tax.code: half_up(left * tax.rate, whole) for tax in rated}
    net = price - sum(amounts.values())
    on_top = {
        tax.code: half_up(net * tax.rate, _WHOLE) if tax.rate else fixed[tax.code] for tax in due if not tax.included
    }
    amounts |= on_top
    return price + sum(on_top.values()), tuple(TaxAmount(tax.code, tax.rate, amounts[tax.code]) for tax in due)


def _payers(tax: Tax, stay: StayTerms) -> int:
    """How many guests pay a tax per night."""
    return stay.adults + sum(age >= tax.exempt_below for age in stay.children)


def split_taxes(
    taxes: tuple[TaxAmount, ...], part: int, whole: int
) -> tuple[tuple[TaxAmount, ...], tuple[TaxAmount, ...]]:
    """The taxes of a part of a charge, and those of the rest. Together they equal the taxes of the charge."""
    first = tuple(TaxAmount(tax.code, tax.rate, half_up(tax.amount * part, whole)) for tax in taxes)
    rest = (TaxAmount(tax.code, tax.rate, tax.amount - share.amount) for tax, share in zip(taxes, first, strict=True))
    return first, tuple(rest)


def opposite(taxes: tuple[TaxAmount, ...]) -> tuple[TaxAmount, ...]:
    """The same taxes with the opposite sign."""
    return tuple(TaxAmount(tax.code, tax.rate, -tax.amount) for tax in taxes)
