"""Discounts and vouchers: lines of their own that lower what was charged, with their taxes and a reason.

A discount lowers charges of one kind on one folio, at most down to zero, so that it has the taxes of what it lowers.
"""

from innkeeper.actors.billing.rules.folios import PricedCharge, charge_line
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
from innkeeper.actors.billing.rules.taxes import opposite
from innkeeper.protocol.billing import commands, events
from innkeeper.protocol.billing.folio import LineKind
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.values.money import render
from msgspec.structs import replace


def post_discount(state: LedgerState, command: commands.PostDiscount, envelope: Envelope) -> Decision:
    """Posts a discount on the hotel's business date."""
    bill = find_bill(state, command.booking)
    folio = find_folio(bill, command.folio)
    check_room(folio)
    ledger = state.opened()
    text = f"{command.reason} ({command.voucher})" if command.voucher else command.reason
    priced = PricedCharge(command.charge, text, positive(state, command.amount))
    charged = charge_line(next(line_numbers(state)), ledger.business_date, priced, ledger.taxes)
    most = sum(line.amount for line in folio.lines if line.charge is command.charge)
    if charged.amount > most:
        shown = render(max(most, 0), ledger.currency)
        raise invalid("amount", "charged_max", f"the maximum is {shown}, what the folio has of {command.charge.value}")
    line = replace(charged, kind=LineKind.DISCOUNT, amount=-charged.amount, taxes=opposite(charged.taxes))
    return Decision((events.ChargePosted(bill.booking, command.folio, line),), the_bill(bill.booking))
