"""Taxes and fees: their terms, and their amounts in integers, without a loss.

Every line is rounded by itself, half up, and the taxes of a stay or document are the sum of its lines'. Directive
2006/112/EC requires the tax payable by rate on an invoice (article 226), and leaves the level and method of rounding to
the member states (Court of Justice, C-484/06, Ahold, and C-302/07, Wetherspoon); most tills round by line and half up.
"""

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import msgspec
from innkeeper.protocol.values import limits

_WHOLE = 100_000  # thousandths of a percent
_REMEMBERED = 4_096  # most nights have the price and the taxes of others, and share their amounts


class ChargeKind(StrEnum):
    """What a charge is for; each kind has a revenue account of its own, and taxes apply by kind."""

    ROOM = "room"
    FEE = "fee"
    BREAKFAST = "breakfast"
    RESTAURANT = "restaurant"
    MINIBAR = "minibar"
    PARKING = "parking"
    LAUNDRY = "laundry"
    SPA = "spa"
    OTHER = "other"


class TaxBase(StrEnum):
    """What a tax is computed on: a rate on the price, or on the price and the added taxes before it in the list; a
    fixed amount per guest, or per room."""

    PRICE = "price"
    TAXED_PRICE = "taxed_price"
    GUEST = "guest"
    ROOM = "room"


class TaxPeriod(StrEnum):
    """How often a tax is due: each night; once for the stay, on its first night; or once, spread over its nights. Where
    the stay changes, what nights that are over have not yet is due on those that are left. A rate per stay is the one
    rate of all its nights, even where it is valid on some of them only."""

    NIGHT = "night"
    STAY = "stay"
    STAY_SPREAD = "stay_spread"


class TaxCategory(StrEnum):
    """What a tax is on an invoice. The first four are value added tax, of which Directive 2006/112/EC (article 226,
    points 9 to 11a) demands rate, taxable amount and the reason where none is payable; a levy, such as a city tax, and
    a fee, such as a service charge, are none."""

    STANDARD = "standard"
    ZERO_RATED = "zero_rated"
    EXEMPT = "exempt"
    REVERSE_CHARGE = "reverse_charge"
    LEVY = "levy"
    FEE = "fee"


NOTHING_DUE = (TaxCategory.ZERO_RATED, TaxCategory.EXEMPT, TaxCategory.REVERSE_CHARGE)
"""The categories whose rate is zero."""


class Tax(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A tax or fee on charges of these kinds: either `rate` (thousandths of a percent: 6000 is 6 %) of its `base`, or
    `amount` (minor units), such as a city tax, which children below the age of `exempt_below` do not pay. The rate is
    zero in the categories in which nothing is due; `exemption` is the text for invoices that says why.

    An `included` tax is part of the price; any other is added on top of it. It is due on at most the first `nights_max`
    nights of a stay, and on the nights from `valid_from` to `valid_to`. Several of one code, valid on different nights,
    are one tax that changes."""

    code: str
    name: str
    applies_to: tuple[ChargeKind, ...]
    rate: int = 0
    amount: int = 0
    base: TaxBase = TaxBase.PRICE
    period: TaxPeriod = TaxPeriod.NIGHT
    included: bool = False
    nights_max: int | None = None
    exempt_below: int = limits.child_age_max + 1
    valid_from: date | None = None
    valid_to: date | None = None
    category: TaxCategory = TaxCategory.STANDARD
    exemption: str = ""

    @property
    def by_rate(self) -> bool:
        """Whether it is a rate, and no fixed amount."""
        return self.base in (TaxBase.PRICE, TaxBase.TAXED_PRICE)

    @property
    def is_once(self) -> bool:
        """Whether it is a fixed amount for the whole stay."""
        return not self.by_rate and self.period is not TaxPeriod.NIGHT

    def is_valid(self, night: date) -> bool:
        """Whether it is due on this date."""
        return (self.valid_from is None or self.valid_from <= night) and (
            self.valid_to is None or night <= self.valid_to
        )


class TaxAmount(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The amount of a tax, in minor units; `rate` in thousandths of a percent, 0 for a fixed amount. It is part of the
    price where it is `included`, else on top of it. `base` is the amount on which the rate was computed: the price
    without taxes, or that and the added taxes before it; 0 for a fixed amount."""

    code: str
    rate: int
    amount: int
    included: bool = False
    base: int = 0

    @property
    def by_rate(self) -> bool:
        """Whether it was computed by a rate, which may be zero, and is no fixed amount."""
        return bool(self.rate or self.base)


class TaxExemption(msgspec.Struct, frozen=True, gc=False):
    """The guests of a booking do not pay the tax of this code, for this reason: they are on business, or ill."""

    code: str
    reason: str


class Guests(NamedTuple):
    """Who stays: the number of adults, the ages of the children, and the taxes from which they are exempt."""

    adults: int
    children: tuple[int, ...] = ()
    exemptions: tuple[TaxExemption, ...] = ()

    def is_exempt(self, tax: Tax) -> bool:
        """Whether they do not pay this tax at all."""
        return any(exemption.code == tax.code for exemption in self.exemptions)

    def payers(self, tax: Tax) -> int:
        """How many guests pay this tax."""
        return self.adults + sum(age >= tax.exempt_below for age in self.children)


class DueTax(NamedTuple):
    """A tax of one charge: fixed taxes have their `amount` already, rates have None."""

    tax: Tax
    amount: int | None = None


def half_up(numerator: int, denominator: int) -> int:
    """The quotient of two non-negative numbers, rounded to the nearest integer, a half upwards."""
    return (2 * numerator + denominator) // (2 * denominator)


@lru_cache(_REMEMBERED)
def taxes_on(price: int, due: tuple[DueTax, ...]) -> tuple[TaxAmount, ...]:
    """The amounts of these taxes on a price (minor units).

    Included taxes: fixed ones are deducted from the price first, down to zero; of the rest, the tax of each rate is
    rest × rate / (1 + all included rates). Added taxes: rate × the price without included taxes, or × that and the
    added taxes so far.
    """
    left = price
    amounts: dict[int, int] = {}
    for number, (tax, fixed) in enumerate(due):
        if tax.included and fixed is not None:
            amounts[number] = min(fixed, left)
            left -= amounts[number]
    whole = _WHOLE + sum(tax.rate for tax, fixed in due if tax.included and fixed is None)
    for number, (tax, fixed) in enumerate(due):
        if tax.included and fixed is None:
            amounts[number] = half_up(left * tax.rate, whole)
    net = taxed = price - sum(amounts.values())
    bases = {number: net for number, (_, fixed) in enumerate(due) if fixed is None}
    for number, (tax, fixed) in enumerate(due):
        if not tax.included:
            if fixed is None and tax.base is TaxBase.TAXED_PRICE:
                bases[number] = taxed
            amounts[number] = half_up(bases[number] * tax.rate, _WHOLE) if fixed is None else fixed
            taxed += amounts[number]
    return tuple(
        TaxAmount(tax.code, tax.rate, amounts[number], tax.included, bases.get(number, 0))
        for number, (tax, _) in enumerate(due)
    )


def added(amounts: Sequence[TaxAmount]) -> int:
    """The sum of the taxes on top of the price."""
    return sum(tax.amount for tax in amounts if not tax.included)


def taxes_within(total: int, due: Sequence[DueTax]) -> tuple[TaxAmount, ...]:
    """The amounts of these rates in a total that includes all of them, also those that are otherwise added: such as a
    fee for a cancellation, whose total was quoted to the guest."""
    shares: list[Fraction] = []
    above = Fraction(1)  # the net price and the added taxes so far, as a multiple of the net price
    for tax, _ in due:
        rate = Fraction(tax.rate, _WHOLE)
        shares.append(rate * above if tax.base is TaxBase.TAXED_PRICE else rate)
        if not tax.included:
            above += shares[-1]
    whole = 1 + sum(shares)
    amounts = [half_up(total * share.numerator * whole.denominator, share.denominator * whole.numerator)
               for share in shares]  # fmt: skip
    net = total - sum(amounts)
    return tuple(
        TaxAmount(tax.code, tax.rate, amount, True, net + _before(due, amounts, number))
        for number, ((tax, _), amount) in enumerate(zip(due, amounts, strict=True))
    )


def _before(due: Sequence[DueTax], amounts: Sequence[int], number: int) -> int:
    """The added taxes that the tax at this place of the list is computed on, beside the price."""
    if due[number].tax.base is not TaxBase.TAXED_PRICE:
        return 0
    return sum(amount for (tax, _), amount in zip(due[:number], amounts, strict=False) if not tax.included)


def fee_taxes(taxes: Sequence[Tax], total: int, day: date) -> tuple[TaxAmount, ...]:
    """The taxes in a fee for a cancellation or a no-show on this day."""
    due = [DueTax(tax) for tax in taxes if tax.by_rate and ChargeKind.FEE in tax.applies_to and tax.is_valid(day)]
    return taxes_within(total, due)


def charge_taxes(taxes: Sequence[Tax], charge: ChargeKind, price: int, day: date) -> tuple[TaxAmount, ...]:
    """The taxes on a charge on this day that is no night of a stay: only rates apply to it."""
    due = (DueTax(tax) for tax in taxes if tax.by_rate and charge in tax.applies_to and tax.is_valid(day))
    return taxes_on(price, tuple(due))


def night_taxes(
    taxes: Sequence[Tax],
    nights: Sequence[date],
    place: int,
    guests: Guests,
    over: Sequence[Sequence[TaxAmount]] = (),
) -> tuple[DueTax, ...]:
    """The taxes due on one night of a stay: that at this place among its nights. Its first nights are `over`, and have
    these taxes."""
    due = []
    for tax in taxes:
        if ChargeKind.ROOM not in tax.applies_to:
            continue
        if tax.nights_max is not None and place >= tax.nights_max and not tax.is_once:
            continue
        if not (tax.is_valid(nights[place]) if tax.period is TaxPeriod.NIGHT else _is_of_stay(tax, taxes, nights)):
            continue
        if guests.exemptions and guests.is_exempt(tax):
            continue
        if tax.by_rate:
            due.append(DueTax(tax))
            continue
        amount = tax.amount * (guests.payers(tax) if tax.base is TaxBase.GUEST else 1)
        if tax.period is not TaxPeriod.NIGHT:
            amount = _share(tax, amount, len(nights), place, over)
        if amount:
            due.append(DueTax(tax, amount))
    return tuple(due)


def _share(tax: Tax, amount: int, nights: int, place: int, over: Sequence[Sequence[TaxAmount]]) -> int:
    """What the night at this place has of a fee per stay: of the amount that those that are over have not yet."""
    left = max(amount - sum(one.amount for night in over for one in night if one.code == tax.code), 0)
    spread = 1
    if tax.period is TaxPeriod.STAY_SPREAD:
        spread = max(min(nights, tax.nights_max or nights) - len(over), 1)
    turn = place - len(over)
    return left // spread + (turn < left % spread) if turn < spread else 0


def with_fees_of_stay(taxes: Sequence[Tax], booked: Sequence[Tax]) -> tuple[Tax, ...]:
    """The taxes of a night on other terms than those that its stay was booked on: fees per stay are those that were
    booked, in the place of a tax of the same code where there is one."""
    fees = [tax for tax in booked if tax.is_once]
    codes = {fee.code for fee in fees}
    places = {tax.code: place for place, tax in enumerate(taxes)}
    ordered = [(places.get(fee.code, -1), fee) for fee in fees]
    ordered += [(place, tax) for place, tax in enumerate(taxes) if not tax.is_once and tax.code not in codes]
    return tuple(tax for _, tax in sorted(ordered, key=lambda one: one[0]))


def _is_of_stay(tax: Tax, taxes: Sequence[Tax], nights: Sequence[date]) -> bool:
    """Whether a tax per stay is due on it: of those of one code that are valid on any of its nights, the last one."""
    valid = [one for one in taxes if one.code == tax.code and any(map(one.is_valid, nights))]
    return bool(valid) and max(valid, key=lambda one: one.valid_from or date.min) is tax
