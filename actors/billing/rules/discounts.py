"""Discounts and vouchers: lines of their own that lower what was charged, with their taxes and a reason.

A discount lowers charges of one kind on one folio, at most down to zero, and has the taxes of what it lowers: those
that are on the folio's lines, by the terms and the exemptions of the booking, and not those that the hotel has now.
Where these have several rates there is a line for each, so that every line has the rates of what it lowers.
"""

from collections.abc import Sequence
from typing import NamedTuple

from innkeeper.actors.billing.rules.lookups import (
    Decision,
    check_room,
    find_bill,
    find_folio,
    line_numbers,
    positive,
    the_bill,
)
from innkeeper.actors.billing.rules.state import LedgerState
from innkeeper.actors.billing.rules.taxes import opposite, shares, split_taxes
from innkeeper.protocol.billing import commands, events
from innkeeper.protocol.billing.folio import Folio, FolioLine, LineKind
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.values.money import render
from innkeeper.protocol.values.taxes import ChargeKind, TaxAmount, added


class PriceLeft(NamedTuple):
    """What is left of the price of charges with the same rates, in minor units without added taxes and without fixed
    amounts, and the taxes that these rates have on it."""

    price: int
    taxes: tuple[TaxAmount, ...]


def post_discount(state: LedgerState, command: commands.PostDiscount, envelope: Envelope) -> Decision:
    """Posts a discount on the hotel's business date."""
    bill = find_bill(state, command.booking)
    folio = find_folio(bill, command.folio)
    ledger = state.opened()
    amount = positive(state, command.amount)
    left = prices_left(folio, command.charge)
    most = sum(group.price for group in left)
    if amount > most:
        shown = render(max(most, 0), ledger.currency)
        what = f"what the folio has of {command.charge.value}, without added taxes and fixed amounts of tax"
        raise invalid("amount", "charged_max", f"the maximum is {shown}, {what}")
    text = f"{command.reason} ({command.voucher})" if command.voucher else command.reason
    numbers = line_numbers(state)
    lines = [
        FolioLine(
            id=next(numbers),
            kind=LineKind.DISCOUNT,
            business_date=ledger.business_date,
            amount=-price - added(taxes),
            charge=command.charge,
            text=text,
            taxes=opposite(taxes),
        )
        for price, taxes in _lowered(left, amount)
    ]
    check_room(folio, len(lines))
    posted = (events.ChargePosted(bill.booking, command.folio, line) for line in lines)
    return Decision(tuple(posted), the_bill(bill.booking))


def prices_left(folio: Folio, charge: ChargeKind) -> list[PriceLeft]:
    """What is left of the charges of a kind on a folio after reversals and discounts, by their rates."""
    prices: dict[tuple[tuple[str, int, bool], ...], int] = {}
    sums: dict[tuple[tuple[str, int, bool], ...], list[TaxAmount]] = {}
    for line in folio.lines:
        if line.charge is not charge:
            continue
        taxes = [tax for tax in line.taxes if tax.by_rate]
        rates = tuple((tax.code, tax.rate, tax.included) for tax in taxes)
        price = line.net + sum(tax.amount for tax in taxes if tax.included)
        prices[rates] = prices.get(rates, 0) + price
        sums[rates] = [_sum(one, tax) for one, tax in zip(sums[rates], taxes, strict=True)] if rates in sums else taxes
    return [PriceLeft(price, tuple(sums[rates])) for rates, price in prices.items()]


def _sum(one: TaxAmount, other: TaxAmount) -> TaxAmount:
    return TaxAmount(one.code, one.rate, one.amount + other.amount, one.included, one.base + other.base)


def _lowered(left: Sequence[PriceLeft], amount: int) -> list[PriceLeft]:
    """The amount, and its taxes, in proportion to what is left by each rate. Nothing is left of charges that were
    reversed after a discount, so that these are below zero: they are not lowered again."""
    groups = [group for group in left if group.price > 0]
    parts = zip(groups, shares(amount, [group.price for group in groups]), strict=True)
    return [
        PriceLeft(part, split_taxes(group.taxes, part, group.price, with_added=False)[0])
        for group, part in parts
        if part
    ]
