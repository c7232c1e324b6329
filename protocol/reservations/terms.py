"""A hotel's terms of sale: taxes and fees, deposits, cancellation. A booking keeps the version that it was made on."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated

import msgspec
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.money import Money
from innkeeper.protocol.values.percentage import thousandths
from innkeeper.protocol.values.taxes import NOTHING_DUE, ChargeKind, Tax, TaxBase, TaxCategory, TaxPeriod, half_up
from innkeeper.protocol.values.text import Code, Line, Name, Percent, PercentText
from msgspec import Meta


class CancellationPolicy(msgspec.Struct, frozen=True, gc=False):
    """Cancelling is free until this many hours before check-in time on the day of arrival. Later it costs the first
    `late_nights` nights, and a no-show the first `no_show_nights`, but never more than the stay; 0 is none."""

    free_until_hours: int = 24
    late_nights: int = 1
    no_show_nights: int = 1


class Deposit(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A percentage of the stay's price that is due a number of days before arrival; at booking where that is None."""

    percent: int
    days_before_arrival: int | None = None


class TermsOfSale(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One version of the terms of sale; the first is 1."""

    version: int = 1
    taxes: tuple[Tax, ...] = ()
    deposits: tuple[Deposit, ...] = ()
    cancellation: CancellationPolicy = CancellationPolicy()


class CancellationRequest(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A cancellation policy in a request; see `CancellationPolicy`."""

    free_until_hours: Annotated[int, Meta(ge=0, le=limits.free_cancellation_hours_max)] = (
        CancellationPolicy().free_until_hours
    )
    late_nights: Annotated[int, Meta(ge=0, le=limits.stay_nights_max)] = CancellationPolicy().late_nights
    no_show_nights: Annotated[int, Meta(ge=0, le=limits.stay_nights_max)] = CancellationPolicy().no_show_nights

    def policy(self) -> CancellationPolicy:
        """Returns the policy of the hotel."""
        return CancellationPolicy(self.free_until_hours, self.late_nights, self.no_show_nights)


class DepositRequest(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A deposit in a request; see `Deposit`."""

    percent: Percent
    days_before_arrival: Annotated[int, Meta(ge=0, le=limits.arrival_days_ahead_max)] | None = None


_RATES = (TaxBase.PRICE, TaxBase.TAXED_PRICE)


class TaxRequest(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """A tax or fee in a request; see `Tax`. `rate` is in percent, as "6" or "19.25"; without it the tax is an `amount`
    per guest or per room (`base`), by default per guest. A rate is by default of the category standard, or zero_rated
    where it is "0", and exempt where an exemption is given; an amount is a levy."""

    code: Code
    name: Name
    applies_to: Annotated[tuple[ChargeKind, ...], Meta(min_length=1, max_length=len(ChargeKind))]
    rate: PercentText | None = None
    amount: Money | None = None
    base: TaxBase | None = None
    period: TaxPeriod = TaxPeriod.NIGHT
    included: bool = False
    nights_max: Annotated[int, Meta(ge=1, le=limits.stay_nights_max)] | None = None
    exempt_below: Annotated[int, Meta(ge=0, le=limits.child_age_max + 1)] = limits.child_age_max + 1
    valid_from: date | None = None
    valid_to: date | None = None
    category: TaxCategory | None = None
    exemption: Line = ""

    def __post_init__(self) -> None:
        by_rate = self.rate is not None
        if by_rate == (self.amount is not None):
            raise invalid("rate", "one_of", "expected either a rate in percent, or an amount")
        self._check_category()
        if not by_rate and self.applies_to != (ChargeKind.ROOM,):
            raise invalid("applies_to", "only_room", "a fixed tax applies only to charges of kind room")
        if self.base is not None and by_rate != (self.base in _RATES):
            raise invalid("base", "one_of", "a rate is on the price or taxed_price, an amount per guest or room")
        if self.included and self.base is TaxBase.TAXED_PRICE:
            raise invalid("base", "not_included", "only an added tax can be on the taxed_price")
        if by_rate and self.period is TaxPeriod.STAY_SPREAD:
            raise invalid("period", "only_amount", "only an amount can be spread over the nights")
        if self.valid_from is not None and self.valid_to is not None and self.valid_to < self.valid_from:
            raise invalid("valid_to", "after_from", "expected a date that is not before valid_from")

    def _check_category(self) -> None:
        """Refuses a category that contradicts the rate or amount, and one without the text that the law demands."""
        category = self._category()
        if self.rate is None:
            if category not in (TaxCategory.LEVY, TaxCategory.FEE):
                raise invalid("category", "one_of", "an amount is a levy or a fee; value added tax is a rate")
        elif (thousandths(self.rate, "rate") == 0) != (category in NOTHING_DUE):
            raise invalid(
                "category", "rate", "the rate is 0 for zero_rated, exempt and reverse_charge, and only for these"
            )
        if category in (TaxCategory.EXEMPT, TaxCategory.REVERSE_CHARGE) and not self.exemption:
            raise invalid("exemption", "required", "expected the text for invoices that says why no tax is due")
        if self.exemption and category not in NOTHING_DUE:
            raise invalid("exemption", "only_zero", "only a tax that is not due has an exemption")

    def _category(self) -> TaxCategory:
        if self.category is not None:
            return self.category
        if self.rate is None:
            return TaxCategory.LEVY
        if thousandths(self.rate, "rate") > 0:
            return TaxCategory.STANDARD
        return TaxCategory.EXEMPT if self.exemption else TaxCategory.ZERO_RATED

    def tax(self, currency: str) -> Tax:
        """Returns the tax of the terms of sale. Refuses an amount in another currency than this, the hotel's."""
        amount = 0
        if self.amount is not None:
            if self.amount.currency != currency:
                raise invalid("taxes.amount", "currency", f"amounts of this hotel are in {currency}")
            amount = self.amount.minor_units()
        return Tax(
            code=self.code,
            name=self.name,
            applies_to=self.applies_to,
            rate=0 if self.rate is None else thousandths(self.rate, "rate"),
            amount=amount,
            base=self.base or (TaxBase.GUEST if self.amount is not None else TaxBase.PRICE),
            period=self.period,
            included=self.included,
            nights_max=self.nights_max,
            exempt_below=self.exempt_below,
            valid_from=self.valid_from,
            valid_to=self.valid_to,
            category=self._category(),
            exemption=self.exemption,
        )


TaxRequests = Annotated[tuple[TaxRequest, ...], Meta(max_length=limits.taxes_per_hotel_max)]
DepositRequests = Annotated[tuple[DepositRequest, ...], Meta(max_length=limits.deposits_per_hotel_max)]


def deposits_of(requests: tuple[DepositRequest, ...]) -> tuple[Deposit, ...]:
    """Returns the deposits of the terms of sale."""
    return tuple(Deposit(request.percent, request.days_before_arrival) for request in requests)


def deposit_schedule(
    deposits: Sequence[Deposit], total: int, booked_on: date, arrival: date
) -> tuple[tuple[date, int], ...]:
    """Returns by which date each deposit of a stay is due, and its amount (minor units), the earliest first. Each is
    rounded so that together they add up to the sum of their percentages. None is due before the day of booking."""
    due = sorted((_deposit_day(one, booked_on, arrival), one.percent) for one in deposits)
    schedule = []
    percent = requested = 0
    for day, more in due:
        percent += more
        amount = half_up(total * percent, 100) - requested
        requested += amount
        schedule.append((day, amount))
    return tuple(schedule)


def _deposit_day(deposit: Deposit, booked_on: date, arrival: date) -> date:
    if deposit.days_before_arrival is None:
        return booked_on
    return max(booked_on, arrival - timedelta(days=deposit.days_before_arrival))


def check_taxes(taxes: tuple[TaxRequest, ...]) -> None:
    """Refuses two taxes of one code that are valid on the same night."""
    for number, tax in enumerate(taxes):
        for other in taxes[:number]:
            if tax.code == other.code and _overlap(tax, other):
                raise invalid("taxes", "unique", f"two taxes have the code {tax.code} and are valid on the same night")


def _overlap(one: TaxRequest, other: TaxRequest) -> bool:
    return (one.valid_from or date.min) <= (other.valid_to or date.max) and (other.valid_from or date.min) <= (
        one.valid_to or date.max
    )


def check_deposits(deposits: tuple[DepositRequest, ...]) -> None:
    """Refuses deposits of more than the whole price; the rest of it is due at check-out."""
    if sum(deposit.percent for deposit in deposits) > 100:
        raise invalid("deposits", "percent_max", "together they must not exceed 100 percent")
